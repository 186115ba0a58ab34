//! Nothing but cargo's own files comes back with a target directory, and builds lack nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::support::{Files, Runner, check_out};
use super::{Layout, names};
use crate::cargo::builds::cargo;
use crate::cargo::support::run;
use crate::support::machine::{Job, Machine};

/// A package with a program and examples, and one whose library other programs load by name.
const FILES: [(&str, &str); 9] = [
    (
        "Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [workspace]\nmembers = [\"plain\"]\n\
         [dependencies]\nplain = { path = \"plain\" }\n",
    ),
    ("src/lib.rs", "pub fn a() {}\n"),
    ("src/main.rs", "fn main() { println!(\"app\") }\n"),
    (
        "src/bin/old-tool.rs",
        "fn main() { println!(\"old tool\") }\n",
    ),
    (
        "examples/stay.rs",
        "fn main() { println!(\"{}\", plain::p()) }\n",
    ),
    ("examples/old.rs", "fn main() {}\n"),
    (
        "tests/outer.rs",
        "#[test]\nfn t() {\n    let dir = concat!(env!(\"CARGO_TARGET_TMPDIR\"), \"/work\");\n    \
         std::fs::create_dir(dir).unwrap();\n    \
         assert!(std::path::Path::new(env!(\"CARGO_BIN_EXE_app\")).exists());\n}\n",
    ),
    (
        "plain/Cargo.toml",
        "[package]\nname = \"plain\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [lib]\ncrate-type = [\"cdylib\", \"staticlib\", \"rlib\"]\n[features]\nf = []\n",
    ),
    (
        "plain/src/lib.rs",
        "#[unsafe(no_mangle)]\npub extern \"C\" fn p() -> u32 { if cfg!(feature = \"f\") { 2 } else { 1 } }\n",
    ),
];

fn files() -> Files {
    FILES
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn check_out_job<'m>(machine: &'m Machine, files: &Files) -> Job<'m> {
    let job = machine.job_in("repo");
    for (name, text) in files {
        job.file(name, text);
    }
    job
}

fn file_names(directory: &Path) -> BTreeSet<String> {
    let names = names(directory).into_iter();
    names
        .map(|path| path.rsplit('/').next().unwrap().to_owned())
        .collect()
}

#[test]
fn products_of_an_earlier_job_do_not_come_back() {
    for reuse in ["copy", "move"] {
        let machine = Machine::new();
        let with = &[("reuse", reuse)];
        let mut files = files();
        let job = check_out_job(&machine, &files);
        cargo(&machine, &job.workspace, &["generate-lockfile"]);
        files.insert("Cargo.lock".into(), job.read("Cargo.lock").unwrap());
        let products = [
            "target/wheels/app-0.1.0.whl",
            "target/package/app-0.1.0.crate",
            "target/nextest/ci/junit.xml",
            "target/report.txt",
            "target/debug/bundle/app.deb",
            "target/debug/report.txt",
            "target/llvm-cov-target/.rustc_info.json",
            "target/llvm-cov-target/debug/deps/libapp-0123456789abcdef.rlib",
        ];
        let build = |job: &Job<'_>, command: &[&str]| cargo(&machine, &job.workspace, command);
        run(&job, with, |_| {
            build(&job, &["build", "--all-targets", "--workspace"]);
            build(&job, &["doc", "--no-deps", "--workspace"]);
            build(&job, &["test"]);
            for product in products {
                job.file(product, "0.1.0");
            }
        });

        // The programs are as before; nothing was removed.
        let job = check_out_job(&machine, &files);
        run(&job, with, |_| {
            for product in products {
                assert!(!job.locate(product).exists(), "{reuse}: {product}");
            }
            let tmp = fs::read_dir(job.locate("target/tmp"));
            assert_eq!(tmp.unwrap().count(), 0, "{reuse}: no file of a test");
            assert!(job.locate("target/doc/old_tool/index.html").exists());
            let built = build(&job, &["build", "-v", "--all-targets", "--workspace"]);
            assert!(!built.contains("Compiling"), "{reuse}: {built}");
            for output in ["app", "old-tool", "examples/stay", "libplain.so", "app.d"] {
                let output = format!("target/debug/{output}");
                assert!(job.locate(&output).exists(), "{reuse}: {output}");
            }
            build(&job, &["test"]);
        });

        files.remove("src/bin/old-tool.rs");
        files.remove("examples/old.rs");
        let job = check_out_job(&machine, &files);
        run(&job, with, |_| {
            let all = file_names(&job.locate("target"));
            let is_old = |name: &&String| {
                ["old-", "old_tool", "bin-old", "old."]
                    .iter()
                    .any(|part| name.contains(part))
            };
            let old: Vec<&String> = all.iter().filter(is_old).collect();
            assert!(old.is_empty(), "{reuse}: {old:?}");
            // Two files of `app` are gone.
            let built = build(&job, &["build", "-v", "--workspace"]);
            assert!(!built.contains("Compiling plain"), "{reuse}: {built}");
            build(&job, &["doc", "--no-deps", "--workspace"]);
            assert!(job.locate("target/doc/app/index.html").exists());
            assert!(!job.locate("target/doc/old_tool").exists());
        });
    }
}

/// A checkout of the files, built with all targets in a layout.
struct Checkout {
    runner: Runner,
    files: Files,
    checkout: PathBuf,
}

impl Checkout {
    /// `None` if this cargo does not support the layout.
    fn build(layout: Layout) -> Option<Self> {
        let mut runner = Runner::new();
        runner.env = layout.env();
        let checkout = runner.path("repo");
        let mut files = files();
        check_out(&files, &checkout);
        let built = runner.build_as(&checkout, &ALL, &[]);
        assert!(built.succeeded, "{}", built.errors);
        let lock = fs::read_to_string(checkout.join("Cargo.lock")).unwrap();
        files.insert("Cargo.lock".into(), lock);
        let is_there = layout.is_there(&checkout.join("target"));
        is_there.then(|| Self {
            runner,
            files,
            checkout,
        })
    }

    /// Saves, and begins the next job with a checkout of the files.
    fn next_job(&self) {
        self.runner.save(&self.checkout);
        check_out(&self.files, &self.checkout);
        self.runner.restore(&self.checkout);
    }

    /// The packages that a build compiles.
    fn compiled(&self, command: &[&str]) -> BTreeSet<String> {
        let built = self.runner.build_as(&self.checkout, command, &[]);
        assert!(built.succeeded, "{}", built.errors);
        built.compiled
    }

    fn has(&self, path: &str) -> bool {
        self.checkout.join("target").join(path).exists()
    }

    /// The names in the target directory that begin with a text.
    fn beginning_with(&self, text: &str) -> Vec<String> {
        let names = file_names(&self.checkout.join("target")).into_iter();
        names.filter(|name| name.starts_with(text)).collect()
    }
}

const ALL: [&str; 3] = ["build", "--all-targets", "--workspace"];

fn checkouts() -> impl Iterator<Item = Checkout> {
    [Layout::Kinds, Layout::Units]
        .into_iter()
        .filter_map(Checkout::build)
}

#[test]
fn libraries_without_a_hash_stay_fresh() {
    for job in checkouts() {
        job.next_job();
        for link in ["debug/app", "debug/libplain.so", "debug/examples/stay"] {
            assert!(!job.has(link), "{link} is not saved");
        }
        assert_eq!(job.compiled(&ALL), BTreeSet::new());
        for link in [
            "debug/app",
            "debug/libplain.so",
            "debug/libplain.a",
            "debug/examples/stay",
        ] {
            assert!(job.has(link), "{link} is linked again");
        }
    }
}

#[test]
fn of_two_units_that_write_one_file_only_the_last_one_is_kept() {
    for job in checkouts() {
        let with_feature = ["build", "-p", "plain", "--features", "plain/f"];
        assert!(job.compiled(&with_feature).contains("plain"));
        job.next_job();
        assert_eq!(job.compiled(&with_feature), BTreeSet::new());
        // In the layout by units, both are kept.
        job.compiled(&["build", "--example", "stay"]);
        let example = job.checkout.join("target/debug/examples/stay");
        let output = std::process::Command::new(example).output().unwrap();
        assert_eq!(output.stdout, b"1\n");
    }
}

#[test]
fn an_output_that_was_changed_in_place_is_built_again() {
    for job in checkouts() {
        let program = job.checkout.join("target/debug/app");
        let bytes = fs::read(&program).unwrap();
        // As `strip` does: other bytes in the same file.
        fs::write(&program, &bytes[..bytes.len() / 2]).unwrap();
        job.next_job();
        assert_eq!(job.compiled(&ALL), BTreeSet::from(["repo".to_owned()]));
        assert!(fs::read(&program).unwrap().len() > bytes.len() / 2);
    }
}

#[test]
fn targets_that_were_removed_or_renamed_are_not_saved() {
    for mut job in checkouts() {
        assert!(!job.beginning_with("old-").is_empty());
        // One example goes, a program gets another name with the same source, a package as well.
        job.files.remove("examples/old.rs");
        let manifest = job.files.get_mut("Cargo.toml").unwrap();
        *manifest = format!(
            "{}[[bin]]\nname = \"new-tool\"\npath = \"src/bin/old-tool.rs\"\n",
            manifest
                .replace("edition", "autobins = false\nedition")
                .replace("plain = {", "plain = { package = \"other\", ")
        );
        let manifest = job.files.get_mut("plain/Cargo.toml").unwrap();
        *manifest = manifest
            .replace("name = \"plain\"", "name = \"other\"")
            .replace("[lib]", "[lib]\nname = \"other\"");
        job.files.insert(
            "src/main.rs".into(),
            "fn main() { println!(\"app\") } // not built\n".into(),
        );
        job.files.remove("tests/outer.rs");
        job.files.remove("Cargo.lock");
        for name in ["examples/old.rs", "tests/outer.rs", "Cargo.lock"] {
            fs::remove_file(job.checkout.join(name)).unwrap();
        }
        for (name, text) in &job.files {
            fs::write(job.checkout.join(name), text).unwrap();
        }
        job.compiled(&ALL);
        let lock = fs::read_to_string(job.checkout.join("Cargo.lock")).unwrap();
        job.files.insert("Cargo.lock".into(), lock);
        job.next_job();
        for gone in [
            "old-",
            "old_tool",
            "bin-old-tool",
            "plain",
            "libplain",
            "outer",
            "bin-app",
            "integration-test",
        ] {
            assert_eq!(job.beginning_with(gone), Vec::<String>::new(), "{gone}");
        }
        assert_eq!(job.compiled(&ALL), BTreeSet::new());
    }
}
