//! Projects for the demo, and snapshots of directories.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// Writes files by their paths below a directory.
pub(super) fn write_files(root: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        fs::write(path, text).expect("file");
    }
}

/// A crate without dependencies in a developer's directory, with a target directory and git's.
pub(super) fn plain(root: &Path, main: &str) {
    write_files(
        root,
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
            ),
            (
                "Cargo.lock",
                "version = 3\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n",
            ),
            ("src/main.rs", main),
            ("target/debug/old", "from another build"),
            (".git/HEAD", "ref: refs/heads/main\n"),
        ],
    );
}

/// A crate with one dependency from a local registry. `scratch` is for packaging the dependency.
pub(super) fn with_dependency(root: &Path, registry: &Path, scratch: &Path) {
    write_files(
        scratch,
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"some-dependency\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\
                 description = \"of a test\"\nlicense = \"MIT\"\n[workspace]\n",
            ),
            ("src/lib.rs", "pub fn answer() -> u32 { 42 }\n"),
        ],
    );
    let status = Command::new("cargo")
        .args([
            "package",
            "--quiet",
            "--no-verify",
            "--offline",
            "--allow-dirty",
        ])
        .current_dir(scratch)
        .env("CARGO_HOME", scratch.join("cargo-home"))
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .status();
    assert!(status.expect("cargo").success());
    let archive = "some-dependency-1.0.0.crate";
    let bytes = fs::read(scratch.join("target/package").join(archive)).expect("archive");
    let mut digest = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(digest, "{byte:02x}").expect("text");
    }
    let entry = serde_json::json!({
        "name": "some-dependency", "vers": "1.0.0", "deps": [], "cksum": digest, "features": {}, "yanked": false,
    });
    write_files(
        registry,
        &[("index/so/me/some-dependency", &format!("{entry}\n"))],
    );
    fs::write(registry.join(archive), bytes).expect("archive");

    plain(
        root,
        "fn main() { println!(\"{}\", some_dependency::answer()); }\n",
    );
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"some-dependency\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{digest}\"\n\n\
         [[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\ndependencies = [\n \"some-dependency\",\n]\n"
    );
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("manifest");
    let manifest = format!("{manifest}[dependencies]\nsome-dependency = \"1\"\n");
    write_files(root, &[("Cargo.lock", &lock), ("Cargo.toml", &manifest)]);
}

/// Everything below a directory: mode, modification time and bytes by path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>);

impl Snapshot {
    pub(super) fn of(root: PathBuf) -> Self {
        let mut found = BTreeMap::new();
        let mut open = vec![root];
        while let Some(path) = open.pop() {
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            let mut bytes = Vec::new();
            if metadata.is_dir() {
                open.extend(
                    fs::read_dir(&path)
                        .expect("directory")
                        .map(|entry| entry.expect("entry").path()),
                );
            } else {
                bytes = fs::read(&path).expect("file");
            }
            found.insert(
                path,
                (
                    metadata.mode(),
                    metadata.mtime(),
                    metadata.mtime_nsec(),
                    bytes,
                ),
            );
        }
        Self(found)
    }
}
