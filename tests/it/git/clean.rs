//! A file has a blob exactly if it is known to be unchanged.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use local_cache::git::{ObjectFormat, blob_id_of};

use super::{Checkout, file_name, git};

fn set_mtime(checkout: &Checkout, name: &str, time: SystemTime) {
    let file = File::options()
        .write(true)
        .open(checkout.path().join(name))
        .unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn clean_files_have_the_blobs_of_the_index() {
    for (arguments, format) in [
        (&[][..], ObjectFormat::Sha1),
        (&["--object-format=sha256"], ObjectFormat::Sha256),
    ] {
        for version in ["2", "3", "4"] {
            let Some(checkout) = Checkout::with(arguments) else {
                return;
            };
            checkout.write("a.txt", "a\n");
            checkout.write("a/b.txt", "b\n");
            checkout.write("a/b/c/program", "#!/bin/sh\n");
            checkout.write(
                &format!("long/{}/{}", "x".repeat(200), "y".repeat(200)),
                "long",
            );
            let program = checkout.path().join("a/b/c/program");
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
            symlink("a.txt", checkout.path().join("link")).unwrap();
            symlink("nowhere", checkout.path().join("a/dangling")).unwrap();
            fs::write(checkout.path().join(file_name(b"\xff\n\"")), "odd").unwrap();
            checkout.commit();
            checkout.git(&["update-index", "--index-version", version]);
            checkout.settle();
            let blobs = checkout.blobs();
            assert_eq!(blobs.len(), 7, "{version}: {blobs:?}");
            assert_eq!(blobs, checkout.blobs_of_git(), "{version}");
            assert!(blobs.values().all(|blob| blob.format() == format));
            let id = blob_id_of(&b"b\n"[..], 2, format).unwrap();
            assert_eq!(blobs[std::path::Path::new("a/b.txt")], id);
        }
    }
}

#[test]
fn a_changed_file_has_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    let all = [
        "appended",
        "chmod",
        "kept",
        "replaced",
        "same_size",
        "touched",
        "type",
    ];
    for name in all {
        checkout.write(name, "0123\n");
    }
    checkout.commit_and_settle();
    assert_eq!(checkout.not_clean(), [""; 0]);
    let path = |name| checkout.path().join(name);
    let old = fs::metadata(path("same_size")).unwrap().modified().unwrap();
    let mut appended = File::options().append(true).open(path("appended")).unwrap();
    appended.write_all(b"4").unwrap();
    fs::set_permissions(path("chmod"), fs::Permissions::from_mode(0o755)).unwrap();
    // The new file has the old one's time and size.
    fs::write(path("new"), "4567\n").unwrap();
    set_mtime(&checkout, "new", old);
    fs::rename(path("new"), path("replaced")).unwrap();
    fs::write(path("same_size"), "4567\n").unwrap();
    set_mtime(&checkout, "same_size", old);
    set_mtime(
        &checkout,
        "touched",
        SystemTime::now() - Duration::from_secs(1000),
    );
    fs::remove_file(path("type")).unwrap();
    symlink("0123\n", path("type")).unwrap();
    let changed: Vec<&str> = all.into_iter().filter(|name| *name != "kept").collect();
    assert_eq!(checkout.not_clean(), changed);
}

#[test]
fn a_file_as_new_as_the_index_has_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("old", "1");
    checkout.write("racy", "1");
    checkout.commit_and_settle();
    let index = checkout.path().join(".git/index");
    let time = |name| {
        let path = checkout.path().join(name);
        fs::metadata(path).unwrap().modified().unwrap()
    };
    // The index has the time of the file, as if both were written in one tick of the clock.
    let set = |time| {
        let index = File::options().write(true).open(&index).unwrap();
        index
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    };
    set(time("racy").max(time("old")));
    let unknown = checkout.not_clean();
    assert!(unknown.contains(&"racy".to_owned()), "{unknown:?}");
    set(time("old").min(time("racy")) - Duration::from_secs(1));
    assert_eq!(checkout.not_clean(), ["old", "racy"]);
    // Git writes whole seconds on some systems: the second of the file is too new then.
    let since = time("old").duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
    set(second + Duration::from_secs(2));
    assert_eq!(checkout.not_clean(), [""; 0]);
    set(second);
    assert_eq!(checkout.not_clean(), ["old", "racy"]);
}

#[test]
fn a_file_with_a_time_in_the_future_has_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("future", "1");
    set_mtime(
        &checkout,
        "future",
        SystemTime::now() + Duration::from_secs(9999),
    );
    checkout.commit_and_settle();
    assert_eq!(checkout.not_clean(), ["future"]);
}

#[test]
fn flags_that_hide_changes_from_git_give_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    for name in ["assumed", "empty", "kept", "skipped"] {
        checkout.write(name, if name == "empty" { "" } else { "1" });
    }
    checkout.commit_and_settle();
    assert_eq!(checkout.not_clean(), ["empty"]);
    checkout.git(&["update-index", "--assume-unchanged", "assumed"]);
    checkout.git(&["update-index", "--skip-worktree", "skipped"]);
    checkout.write("intended", "1");
    checkout.git(&["add", "--intent-to-add", "intended"]);
    checkout.settle();
    let unknown = ["assumed", "empty", "intended", "skipped"];
    assert_eq!(checkout.not_clean(), unknown);
    assert!(checkout.list().files.iter().all(|file| file.tracked));
}

#[test]
fn a_conflict_gives_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("a", "1\n");
    checkout.write("b", "1\n");
    checkout.commit();
    checkout.git(&["switch", "--quiet", "--create", "other"]);
    checkout.write("a", "2\n");
    checkout.commit();
    checkout.git(&["switch", "--quiet", "main"]);
    checkout.write("a", "3\n");
    checkout.commit();
    let merged = super::git_command(checkout.path())
        .args(["merge", "other"])
        .output()
        .unwrap();
    assert!(!merged.status.success());
    checkout.settle();
    assert_eq!(checkout.not_clean(), ["a"]);
    let listing = checkout.list();
    assert!(listing.files.iter().all(|file| file.tracked));
    assert_eq!(super::names(&listing), ["a", "b"]);
}

#[test]
fn a_renamed_file_is_a_new_one_until_git_knows_it() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("a/old", "1");
    checkout.commit_and_settle();
    let rename = |from: &str, to: &str| {
        fs::rename(checkout.path().join(from), checkout.path().join(to)).unwrap();
    };
    rename("a/old", "a/new");
    let listing = checkout.list();
    assert_eq!(super::names(&listing), ["a/new"]);
    assert!(!listing.files[0].tracked && listing.files[0].blob.is_none());
    // The ctime is that of the rename, later than in the index.
    rename("a/new", "a/old");
    assert_eq!(checkout.not_clean(), ["a/old"]);
    checkout.git(&["mv", "a/old", "b"]);
    checkout.git(&["add", "--renormalize", "b"]);
    checkout.git(&["update-index", "--refresh"]);
    checkout.settle();
    assert_eq!(checkout.blobs(), checkout.blobs_of_git());
}

#[test]
fn a_file_of_a_filter_has_no_blob() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    git(
        checkout.path(),
        &["config", "filter.upper.clean", "tr A-Z a-z"],
    );
    git(
        checkout.path(),
        &["config", "filter.upper.smudge", "tr a-z A-Z"],
    );
    checkout.write(".gitattributes", "* text=auto\n*.up filter=upper\n");
    checkout.write("sub/.gitattributes", "/x filter=upper\n");
    for name in ["a.txt", "b.up", "sub/x", "sub/y", "sub/z.up", "x"] {
        checkout.write(name, "TEXT");
    }
    checkout.commit_and_settle();
    assert_eq!(checkout.not_clean(), ["b.up", "sub/x", "sub/z.up"]);
    // Git takes the attributes from the index then.
    fs::remove_file(checkout.path().join("sub/.gitattributes")).unwrap();
    let unknown = ["b.up", "sub/x", "sub/y", "sub/z.up"];
    assert_eq!(checkout.not_clean(), unknown);
}
