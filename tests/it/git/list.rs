//! The files of a checkout are those that `git ls-files` lists.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_cache::Local;
use local_cache::git::list_files;

use super::{Checkout, file_name, list_all, names, paths};
use crate::support::{NOBODY, tools};

#[track_caller]
fn same_as_git(checkout: &Checkout) -> Vec<PathBuf> {
    let listing = checkout.list();
    let found = paths(&listing);
    assert_eq!(found, checkout.files_of_git());
    assert!(listing.unreadable.is_empty() && listing.unusable.is_empty());
    found
}

fn has(found: &[PathBuf], name: &str) -> bool {
    found.iter().any(|path| path == Path::new(name))
}

#[test]
fn ignored_files_are_missing_and_tracked_ones_are_not() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("src/forced.o", "1");
    checkout.write("out/deep/tracked", "1");
    checkout.write("src/lib.rs", "1");
    checkout.commit_and_settle();
    checkout.write(".gitignore", "*.o\n!keep.o\n/out/\nlogs\n!/logs/keep.txt\n");
    checkout.write("src/.gitignore", "!b.o\n/gen/*\n!/gen/kept\n");
    checkout.write(".git/info/exclude", "*.private\n");
    for name in [
        "a.o",
        "b.o",
        "keep.o",
        "logs/keep.txt",
        "out/deep/new",
        "out/new",
        "out/other/new",
        "src/a.o",
        "src/b.o",
        "src/deep/b.o",
        "src/gen/dropped/x",
        "src/gen/kept",
        "src/out/x",
        "x.private",
        "src/new.rs",
    ] {
        checkout.write(name, "1");
    }
    fs::remove_file(checkout.path().join("src/lib.rs")).unwrap();
    let found = same_as_git(&checkout);
    for name in [
        "src/forced.o",
        "out/deep/tracked",
        "src/b.o",
        "src/gen/kept",
    ] {
        assert!(has(&found, name), "{name}");
    }
    for name in ["out/deep/new", "src/a.o", "src/lib.rs", "x.private"] {
        assert!(!has(&found, name), "{name}");
    }
}

#[test]
fn symlinks_and_names_of_any_bytes_are_listed_and_sockets_are_not() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    let path = |name: &[u8]| checkout.path().join(file_name(name));
    fs::create_dir(path(b"\xfe dir")).unwrap();
    for name in [&b"\xfe dir/\xff"[..], b"\xff.o", b"\xc3\xa4\n\t\"", b"-\\"] {
        fs::write(path(name), "1").unwrap();
    }
    symlink(".", path(b"loop")).unwrap();
    symlink("/nonexistent", path(b"dangling")).unwrap();
    symlink("loop", path(b"ignored")).unwrap();
    fs::write(path(b".gitignore"), b"\xff.o\nignored\nloop/\n").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path(b"socket")).unwrap();
    let found = same_as_git(&checkout);
    assert!(has(&found, "loop") && has(&found, "dangling") && !has(&found, "ignored"));
    assert_eq!(found.len(), 6, "{found:?}");
    checkout.commit_and_settle();
    same_as_git(&checkout);
    assert_eq!(checkout.blobs(), checkout.blobs_of_git());
}

#[test]
fn a_directory_below_the_top_has_the_patterns_above_it() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write(".gitignore", "*.o\n/a/b/x\n/generated/\n");
    checkout.write("a/.gitignore", "y\n");
    for name in ["a/b/x", "a/b/y", "a/b/z", "a/b/q.o", "a/b/c/z", "a/bc", "z"] {
        checkout.write(name, "1");
    }
    checkout.write("generated/project/a.o", "1");
    checkout.write("generated/project/b", "1");
    checkout.write("generated/project/.gitignore", "b\n");
    checkout.commit_and_settle();
    let listing = list_all(&checkout.path().join("a/b"));
    assert_eq!(names(&listing), ["c/z", "z"]);
    assert!(listing.files.iter().all(|file| file.blob.is_some()));
    // Git ignores all of it, but the caller asks for it.
    let ignored = list_all(&checkout.path().join("generated/project"));
    assert_eq!(names(&ignored), [".gitignore", "a.o"]);
    assert!(ignored.files.iter().all(|file| !file.tracked));
    // The way to a directory does not matter.
    symlink("a/b", checkout.path().join("link")).unwrap();
    assert_eq!(
        names(&list_all(&checkout.path().join("link"))),
        ["c/z", "z"]
    );
}

#[test]
fn skipped_directories_are_not_read() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    for name in ["target/a", "src/target/a", "src/a", "a"] {
        checkout.write(name, "1");
    }
    checkout.commit();
    let target = checkout.path().join("target");
    let skipped = |dir: &Path| dir == target;
    let listing = list_files(&Local::default(), checkout.path(), &skipped).unwrap();
    assert_eq!(names(&listing), ["a", "src/a", "src/target/a"]);
}

#[test]
fn without_a_repository_all_files_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "*\n").unwrap();
    };
    // A directory `.git` that is no repository is nothing but a directory that is not read.
    for name in [".gitignore", "a/b", "a/.git/x", "c"] {
        write(name);
    }
    let listing = list_all(dir.path());
    assert_eq!(names(&listing), [".gitignore", "a/b", "c"]);
    assert!(
        listing
            .files
            .iter()
            .all(|file| !file.tracked && file.blob.is_none())
    );
    assert!(listing.unusable.is_empty());
    assert!(list_files(&Local::default(), &dir.path().join("none"), &|_| false).is_err());
}

/// Runs a test of this program as a user without rights.
fn run_as_nobody(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Other users may have no access to the build directory.
    let (own, program) = (std::env::current_exe().unwrap(), dir.path().join("it"));
    if fs::hard_link(&own, &program).is_err() {
        fs::copy(&own, &program).unwrap();
    }
    let ran = Command::new(program)
        .args(["--exact", test])
        .current_dir(dir.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn an_unreadable_directory_is_named() {
    if tools::is_root() {
        return run_as_nobody("git::list::an_unreadable_directory_is_named");
    }
    let Some(checkout) = Checkout::new() else {
        return;
    };
    for name in ["a/x", "b/x", "c"] {
        checkout.write(name, "1");
    }
    let mode = |name, mode| {
        let path = checkout.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("a", 0);
    mode("b", 0o444);
    let listing = checkout.list();
    mode("a", 0o755);
    mode("b", 0o755);
    assert_eq!(names(&listing), ["c"]);
    let unreadable: Vec<&Path> = listing.unreadable.iter().map(|(path, _)| &**path).collect();
    assert_eq!(unreadable, [Path::new("a"), Path::new("b/x")]);
}
