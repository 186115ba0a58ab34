//! What git knows about a checkout, compared with git itself.

mod clean;
mod head;
mod indexes;
mod list;
mod nested;
mod patterns;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use local_cache::Local;
use local_cache::git::{BlobId, Listing, list_files};
use tempfile::TempDir;

use crate::support::tools;

/// A directory with a repository.
struct Checkout {
    dir: TempDir,
}

impl Checkout {
    /// None, with a note in the test's output, if git is missing.
    fn new() -> Option<Self> {
        Self::with(&[])
    }

    /// A repository that was created with more arguments of `git init`.
    fn with(arguments: &[&str]) -> Option<Self> {
        tools::is_installed("git", "reading a checkout").then(|| {
            let dir = tempfile::tempdir().unwrap();
            let checkout = Self { dir };
            checkout.git(&[&["init", "--quiet"], arguments].concat());
            checkout
        })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(git(self.path(), arguments)).unwrap()
    }

    /// Commits everything that is not ignored.
    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=change"]);
    }

    /// Commits, and makes sure that the index is newer than all files, by more than a tick.
    fn commit_and_settle(&self) {
        self.commit();
        self.settle();
    }

    fn settle(&self) {
        std::thread::sleep(Duration::from_millis(20));
        // Not `git status`: without a change it may keep the old index.
        self.git(&["update-index", "--force-write-index"]);
    }

    fn list(&self) -> Listing {
        list_all(self.path())
    }

    /// The files without a blob.
    fn not_clean(&self) -> Vec<String> {
        let listing = self.list();
        let unknown = listing.files.iter().filter(|file| file.blob.is_none());
        unknown.map(|file| text(&file.path)).collect()
    }

    fn blobs(&self) -> BTreeMap<PathBuf, BlobId> {
        let files = self.list().files.into_iter();
        files
            .filter_map(|file| Some((file.path, file.blob?)))
            .collect()
    }

    /// The blobs that the index has, from git.
    fn blobs_of_git(&self) -> BTreeMap<PathBuf, BlobId> {
        let staged = git(self.path(), &["ls-files", "--stage", "-z"]);
        let lines = staged.split(|byte| *byte == 0).filter(|it| !it.is_empty());
        let blobs = lines.map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t').unwrap();
            let words = std::str::from_utf8(&line[..tab]).unwrap();
            let id = words.split(' ').nth(1).unwrap();
            (path_of(&line[tab + 1..]), BlobId::from_hex(id).unwrap())
        });
        blobs.collect()
    }

    /// The files that git tracks or neither tracks nor ignores, and that exist.
    fn files_of_git(&self) -> Vec<PathBuf> {
        let arguments = ["-z", "--cached", "--others", "--exclude-standard"];
        let listed = git(self.path(), &[&["ls-files"], &arguments[..]].concat());
        let names = listed.split(|byte| *byte == 0);
        let mut paths: Vec<PathBuf> = names
            .filter(|it| !it.is_empty())
            .map(path_of)
            .filter(|path| self.path().join(path).symlink_metadata().is_ok())
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

fn git(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = git_command(dir).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

fn git_command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    for setting in [
        "user.name=t",
        "user.email=t@example.org",
        "init.defaultBranch=main",
        "protocol.file.allow=always",
        "advice.detachedHead=false",
    ] {
        command.args(["-c", setting]);
    }
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent");
    command
}

/// Everything below a directory.
fn list_all(root: &Path) -> Listing {
    let listing = list_files(&Local::default(), root, &|_| false).unwrap();
    let paths: Vec<&Path> = listing.files.iter().map(|file| &*file.path).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    listing
}

fn paths(listing: &Listing) -> Vec<PathBuf> {
    listing.files.iter().map(|file| file.path.clone()).collect()
}

fn names(listing: &Listing) -> Vec<String> {
    listing.files.iter().map(|file| text(&file.path)).collect()
}

fn text(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_owned()))
}

fn file_name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
