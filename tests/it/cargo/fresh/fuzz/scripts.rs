//! Build scripts: what they watch, what they read, where they write.

use crate::cargo::fresh::support::Files;
use crate::support::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// No `rerun-if`: cargo watches the whole package.
    WatchesNothing,
    WatchesFile,
    WatchesDirectory,
    WatchesMissingFile,
    WatchesVariable,
    /// Writes a file below `OUT_DIR` that the library includes.
    WritesOutDir,
    /// Writes a module that git ignores.
    WritesModule,
    /// Overwrites a committed module.
    OverwritesModule,
    /// Writes a file outside of its package that the library includes.
    WritesBeside,
    /// Puts the commit into the library.
    StampsCommit,
    StampsCommitWatchingNothing,
    /// Reads a file of its package without telling cargo.
    ReadsHiddenFile,
    /// Reads a file outside of its package without telling cargo.
    ReadsOutside,
}

use Script::{
    OverwritesModule, ReadsHiddenFile, ReadsOutside, StampsCommit, StampsCommitWatchingNothing,
    WatchesDirectory, WatchesFile, WatchesMissingFile, WatchesNothing, WatchesVariable,
    WritesBeside, WritesModule, WritesOutDir,
};

/// Scripts that are right in every package.
const ANYWHERE: [Script; 4] = [WatchesNothing, WatchesFile, WatchesDirectory, WritesOutDir];
/// Scripts of packages in the checkout whose inputs cargo knows.
const KNOWN: [Script; 5] = [
    WatchesMissingFile,
    WatchesVariable,
    WritesModule,
    OverwritesModule,
    WritesBeside,
];
const HIDDEN: [Script; 2] = [ReadsHiddenFile, ReadsOutside];
const COMMIT: [Script; 2] = [StampsCommit, StampsCommitWatchingNothing];

/// The scripts of every second package write only what differs, as many code generators do.
const READ: &str = r#"use std::path::Path;
fn read(path: &str) -> String {
    std::fs::read_to_string(path).map_or("none".to_owned(), |text| text.trim().to_owned())
}
#[allow(dead_code)]
fn read_all(path: &str) -> String {
    let mut all: Vec<_> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all.iter().map(|p| format!("{}={};", p.file_name().unwrap().to_str().unwrap(), read(p.to_str().unwrap()))).collect()
}
#[allow(dead_code)]
fn write(path: impl AsRef<Path>, text: &str) {
    let leaves_same = std::env::var("CARGO_PKG_NAME").unwrap().ends_with(['0', '2', '4', '6', '8']);
    if leaves_same && std::fs::read_to_string(&path).is_ok_and(|old| old == text) { return; }
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
"#;

impl Script {
    /// A script for a package in the checkout or outside of it.
    pub(super) fn any(rng: &mut Rng, is_inside: bool, uses_git: bool, with_hidden: bool) -> Self {
        let mut all = ANYWHERE.to_vec();
        if is_inside {
            all.extend(KNOWN);
            if with_hidden {
                all.extend(HIDDEN);
            }
            if uses_git && with_hidden {
                all.extend(COMMIT);
            }
        }
        *rng.pick(&all)
    }

    /// Whether it writes into the sources: nothing vouches for it, so it always runs.
    pub(super) fn writes_sources(self) -> bool {
        [WritesModule, OverwritesModule, WritesBeside].contains(&self)
    }

    pub(super) fn stamps_commit(self) -> bool {
        COMMIT.contains(&self)
    }

    /// What it prints to be watched, what it puts into the library, what else it does.
    fn parts(self, name: &str) -> (&'static str, &'static str, String) {
        let file = "cargo:rerun-if-changed=watched.txt";
        let itself = "cargo:rerun-if-changed=build.rs";
        let watched = "read(\"watched.txt\")";
        let commit = "{ let git = std::process::Command::new(\"git\").args([\"rev-parse\", \"--short=10\", \"HEAD\"]).output().unwrap(); String::from_utf8(git.stdout).unwrap().trim().to_owned() }";
        let module = |file: &str| {
            format!(
                "    write(\"src/{file}.rs\", &format!(\"pub const V: &str = {{:?}};\\n\", read(\"watched.txt\")));\n"
            )
        };
        match self {
            WatchesNothing => ("", "read_all(\"files\")", String::new()),
            WatchesFile => (file, watched, String::new()),
            WatchesDirectory => ("cargo:rerun-if-changed=watched", "read_all(\"watched\")", String::new()),
            WatchesMissingFile => ("cargo:rerun-if-changed=maybe.txt", "read(\"maybe.txt\")", String::new()),
            WatchesVariable => (
                "cargo:rerun-if-env-changed=FUZZ_VALUE",
                "std::env::var(\"FUZZ_VALUE\").unwrap_or_default()",
                String::new(),
            ),
            WritesOutDir => (
                file,
                watched,
                "    write(Path::new(&std::env::var(\"OUT_DIR\").unwrap()).join(\"made.txt\"), &read(\"watched.txt\"));\n".to_owned(),
            ),
            WritesModule => (file, watched, module("generated")),
            OverwritesModule => (file, watched, module("stamp")),
            WritesBeside => (
                file,
                watched,
                format!("    write(\"../made/{name}.txt\", &read(\"watched.txt\"));\n"),
            ),
            StampsCommit => (itself, commit, String::new()),
            StampsCommitWatchingNothing => ("", commit, String::new()),
            ReadsHiddenFile => (itself, "read(\"hidden.txt\")", String::new()),
            ReadsOutside => (itself, "read(\"../common/outside.txt\")", String::new()),
        }
    }

    /// Adds the script of a package and its inputs; returns declarations and expressions of the
    /// library that use what it makes.
    pub(super) fn add(
        self,
        files: &mut Files,
        directory: &str,
        name: &str,
    ) -> (String, Vec<String>) {
        let (watch, text, effects) = self.parts(name);
        let watch = if watch.is_empty() {
            String::new()
        } else {
            format!("    println!({watch:?});\n")
        };
        let script = format!(
            "{READ}fn main() {{\n{watch}    let text = {text};\n    println!(\"cargo:rustc-env=SCRIPT=script~10 {{text}}\");\n{effects}}}\n"
        );
        let path = |file: &str| format!("{directory}/{file}");
        files.set(&path("build.rs"), script);
        for input in [
            "watched.txt",
            "hidden.txt",
            "watched/a.txt",
            "watched/b.txt",
            "files/a.txt",
            "files/b.txt",
        ] {
            let is_read = match self {
                WatchesNothing => input.starts_with("files/"),
                WatchesDirectory => input.starts_with("watched/"),
                ReadsHiddenFile => input == "hidden.txt",
                _ => input == "watched.txt",
            };
            if is_read {
                files.set(&path(input), format!("{input} ~11"));
            }
        }
        let mut used = vec!["env!(\"SCRIPT\")".to_owned()];
        let declared = match self {
            WritesOutDir => {
                used.push("include_str!(concat!(env!(\"OUT_DIR\"), \"/made.txt\"))".to_owned());
                ""
            }
            WritesModule => {
                used.push("generated::V".to_owned());
                "mod generated;\n"
            }
            OverwritesModule => {
                files.set(
                    &path("src/stamp.rs"),
                    "pub const V: &str = \"placeholder\";",
                );
                used.push("stamp::V".to_owned());
                "mod stamp;\n"
            }
            WritesBeside => {
                used.push(format!("include_str!(\"../../made/{name}.txt\").trim()"));
                ""
            }
            _ => "",
        };
        (declared.to_owned(), used)
    }
}
