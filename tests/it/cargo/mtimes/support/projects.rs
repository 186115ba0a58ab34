//! Small Cargo projects and their checkouts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Files of a project: paths and texts.
pub(crate) type Files = BTreeMap<String, String>;

/// The modification times of a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// The time now, as git does.
    Now,
    /// Times long ago, as rsync, tar and `cp -p` may.
    Old,
}

/// Checks files out into a directory that is emptied first.
pub(crate) fn check_out(files: &Files, directory: &Path, times: Times) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    if times == Times::Old {
        make_old(directory);
    }
}

/// Sets the times of everything in a directory to long ago.
pub(crate) fn make_old(directory: &Path) {
    let mut age = 0;
    crate::support::trees::walk(directory, &mut |path| {
        age += 1;
        set_time(
            path,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - age),
        );
    });
}

fn set_time(path: &Path, time: SystemTime) {
    if path.symlink_metadata().unwrap().is_symlink() {
        return;
    }
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// The files of a package: a manifest with dependencies by path, and its sources.
pub(crate) fn package(files: &mut Files, path: &str, rest: &str, sources: &[(&str, &str)]) {
    let name = path.rsplit('/').next().unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
    files.insert(format!("{path}/Cargo.toml"), manifest);
    for (source, text) in sources {
        files.insert(format!("{path}/{source}"), (*text).to_owned());
    }
}

/// A package whose program `app` prints the number of a library that it depends on.
pub(crate) fn pair(library: &str, package_path: &str, below: &str) -> Files {
    let mut files = Files::new();
    let name = if package_path == "." {
        "repo"
    } else {
        package_path
    };
    package(
        &mut files,
        name,
        &format!(
            "[workspace]\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n[dependencies]\nlib = {{ path = \"{below}\" }}\n"
        ),
        &[("src/main.rs", "fn main() { println!(\"{}\", lib::N) }\n")],
    );
    if package_path == "." {
        files = files
            .into_iter()
            .map(|(path, text)| (path["repo/".len()..].to_owned(), text))
            .collect();
    }
    package(
        &mut files,
        library,
        "",
        &[("src/lib.rs", "pub const N: u32 = 1;\n")],
    );
    files
}

/// A workspace whose program prints one value for each way in which cargo tracks sources.
pub(crate) fn project() -> Files {
    let mut files = Files::new();
    let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"lib\", \"mac\", \"scripted\", \"plain\"]\n";
    files.insert("Cargo.toml".into(), manifest.into());
    files.insert(".gitignore".into(), "/target\n".into());
    package(
        &mut files,
        "app",
        "[dependencies]\nlib = { path = \"../lib\" }\nmac = { path = \"../mac\" }\n\
         scripted = { path = \"../scripted\" }\nplain = { path = \"../plain\" }\n",
        &[
            (
                "src/main.rs",
                "mod part;\nfn main() {\n    println!(\"{} {} {} {} {}\", part::PART, lib::text(), mac::value!(), scripted::TEXT, plain::TEXT);\n}\n",
            ),
            ("src/part.rs", "pub const PART: u32 = 1;\n"),
        ],
    );
    package(
        &mut files,
        "lib",
        "",
        &[
            (
                "src/lib.rs",
                "pub fn text() -> String {\n    format!(\"lib1 {}\", include_str!(\"../data.txt\").trim())\n}\n",
            ),
            ("data.txt", "data1\n"),
            ("unused.txt", "unused\n"),
        ],
    );
    package(
        &mut files,
        "mac",
        "[lib]\nproc-macro = true\n",
        &[(
            "src/lib.rs",
            "use proc_macro::TokenStream;\n#[proc_macro]\npub fn value(_: TokenStream) -> TokenStream {\n    \"41\".parse().unwrap()\n}\n",
        )],
    );
    let generated = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n";
    let read_all = "fn read(dir: &str) -> String {\n    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();\n    names.sort();\n    names.iter().map(|p| format!(\"{}={};\", p.display(), std::fs::read_to_string(p).unwrap().trim())).collect()\n}\n";
    let write = "    let out = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(format!(\"{out}/made.rs\"), format!(\"pub const TEXT: &str = {text:?};\")).unwrap();\n}\n";
    let watching = format!(
        "{read_all}fn main() {{\n    println!(\"cargo:rerun-if-changed=watched.txt\");\n    println!(\"cargo:rerun-if-changed=dir\");\n    let text = std::fs::read_to_string(\"watched.txt\").unwrap().trim().to_owned() + &read(\"dir\");\n{write}"
    );
    package(
        &mut files,
        "scripted",
        "",
        &[
            ("src/lib.rs", generated),
            ("build.rs", &watching),
            ("watched.txt", "watched1\n"),
            ("unwatched.txt", "unwatched1\n"),
            ("dir/one.txt", "one\n"),
            ("dir/two.txt", "two\n"),
        ],
    );
    let plain = format!("{read_all}fn main() {{\n    let text = read(\"files\");\n{write}");
    package(
        &mut files,
        "plain",
        "",
        &[
            ("src/lib.rs", generated),
            ("build.rs", &plain),
            ("files/one.txt", "one\n"),
            ("files/two.txt", "two\n"),
        ],
    );
    files
}
