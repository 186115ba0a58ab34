//! Commits stamped into programs, and what git thinks of a checkout after a restore.

use std::fs;

use super::support::{BUILD, Files, Hit, Host, TESTS};

/// How a build script that stamps the commit is watched.
const WATCHES: [(&str, &str); 3] = [
    ("nothing", ""),
    ("itself", "println!(\"cargo:rerun-if-changed=build.rs\");"),
    ("HEAD", "println!(\"cargo:rerun-if-changed=../.git/HEAD\");"),
];

fn stamped(watch: &str, readme: &str) -> Files {
    Files::default()
        .with(".gitignore", "/target")
        .with("README.md", readme)
        .with_members(&["cli", "lib"])
        .with_package("lib", "lib", "")
        .with("lib/src/lib.rs", format!("pub const V: &str = \"{readme}\";"))
        .with_package("cli", "cli", "")
        .with("cli/src/main.rs", "fn main() { println!(\"{}\", env!(\"SHA\")); }")
        .with(
            "cli/build.rs",
            format!(
                "fn main() {{\n    {watch}\n    let git = std::process::Command::new(\"git\").args([\"rev-parse\", \"--short\", \"HEAD\"]).output().unwrap();\n    \
                 println!(\"cargo:rustc-env=SHA={{}}\", String::from_utf8_lossy(&git.stdout).trim());\n}}"
            ),
        )
}

#[test]
fn a_build_script_that_stamps_the_commit_runs_for_each_commit_and_only_then() {
    for (name, watch) in WATCHES {
        let host = Host::new();
        let origin = host.path("origin");
        for readme in ["one", "two", "three"] {
            let commit = host.commit(&origin, &host.locked(stamped(watch, readme)));
            for is_first in [true, false] {
                let job = host.clone_job(&origin);
                job.restore();
                let built = job.builds_like_clean(BUILD);
                assert!(commit.starts_with(built.output("cli")), "{name}");
                if !is_first {
                    built.compiled_only(&[]);
                }
                job.save(&["--move"]);
            }
        }
    }
}

/// A package that has the contents of `.git/HEAD` in its program, as vergen and others do it.
fn reading_head() -> Files {
    Files::default()
        .with(".gitignore", "/target")
        .with_package(".", "app", "")
        .with("src/main.rs", "fn main() { println!(\"{}\", env!(\"SHA\")); }")
        .with(
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=.git/HEAD\");\n    \
             println!(\"cargo:rustc-env=SHA={}\", std::fs::read_to_string(\".git/HEAD\").unwrap().trim());\n}",
        )
}

#[test]
fn a_commit_that_another_runner_saved_after_the_checkout_is_not_stamped() {
    let host = Host::new();
    let origin = host.path("origin");
    let one = host.commit(&origin, &host.locked(reading_head().with("a", "1")));
    let two = host.commit(&origin, &host.locked(reading_head().with("a", "2")));
    // The checkout of the second commit waits while a job for the first one saves.
    let job = host.clone_job(&origin);
    host.git(&job.directory, &["checkout", "-q", &two]);
    let waiting = host.path("waiting");
    fs::rename(host.checkout(), &waiting).unwrap();
    let job = host.clone_job(&origin);
    host.git(&job.directory, &["checkout", "-q", &one]);
    job.restore();
    assert_eq!(job.build(BUILD).output("app"), one);
    job.save(&["--move"]);
    fs::remove_dir_all(host.checkout()).unwrap();
    fs::rename(&waiting, host.checkout()).unwrap();
    assert_ne!(job.restore(), Hit::Miss);
    assert_eq!(job.builds_like_clean(BUILD).output("app"), two);
}

#[test]
fn a_run_that_is_repeated_in_a_persistent_checkout_stamps_its_own_commit() {
    let host = Host::new();
    let origin = host.path("origin");
    let commits =
        ["1", "2"].map(|text| host.commit(&origin, &host.locked(reading_head().with("a", text))));
    let job = host.clone_job(&origin);
    for commit in [
        &commits[0],
        &commits[1],
        &commits[0],
        &commits[0],
        &commits[1],
    ] {
        host.git(&job.directory, &["checkout", "-q", commit]);
        job.restore();
        assert_eq!(job.builds_like_clean(BUILD).output("app"), commit);
        job.save(&["--move"]);
    }
}

#[test]
fn git_finds_a_checkout_clean_after_a_restore() {
    let host = Host::new();
    let origin = host.path("origin");
    let files = Files::default()
        .with(".gitignore", "/target")
        .with_package(".", "app", "")
        .with("src/main.rs", "fn main() {}")
        .with("tests/t.rs", "#[test] fn t() {}")
        .with("watched.txt", "watched")
        .with(
            "build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=watched.txt\"); }",
        );
    host.commit(&origin, &host.locked(files));
    for number in 0..3 {
        let job = host.clone_job(&origin);
        // Neither refreshes the index: a changed time is a modification.
        let commands: [&[&str]; 2] = [
            &["diff-index", "--quiet", "HEAD"],
            &["diff-files", "--quiet"],
        ];
        for command in commands {
            host.git(&job.directory, command);
        }
        job.restore();
        for command in commands {
            host.git(&job.directory, command);
        }
        let built = job.builds_like_clean(TESTS);
        if number > 0 {
            built.compiled_only(&[]);
        }
        for command in commands {
            host.git(&job.directory, command);
        }
        job.save(&["--move"]);
    }
}
