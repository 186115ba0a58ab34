//! Which files count as unchanged without being read.

use std::fs;
use std::path::Path;

use super::Case;
use crate::support::compare::{assert_same, identity, snapshot};
use crate::support::{Sandbox, trees};

#[test]
fn a_file_modified_at_the_time_of_the_save_is_not_trusted() {
    // A time in the future stands for "modified at the time of the save": such times prove nothing.
    let racy = |tree: &Path| trees::set_modified(&tree.join("same"), 4_000_000_000, 0);
    let case = Case::with(Sandbox::new(), racy);
    fs::write(case.at("same"), b"ALWAYS THE SAME").unwrap();
    racy(&case.tree);
    case.restored();
    // A save may not treat such a file as unchanged either.
    fs::write(case.original.join("same"), b"AlWaYs ThE sAmE").unwrap();
    racy(&case.original);
    case.sandbox
        .save(&case.sandbox.job("one"), "k2")
        .succeeded();
    let third = case.sandbox.job("third");
    case.sandbox.restore(&third, "k2").succeeded();
    assert_eq!(
        fs::read(third.join("tree/same")).unwrap(),
        b"AlWaYs ThE sAmE"
    );
}

#[test]
fn attributes_of_a_file_modified_at_the_time_of_the_save_are_restored() {
    let prepare = |tree: &Path| {
        drop(xattr::set(tree.join("same"), "user.note", b"wanted"));
        trees::set_modified(&tree.join("same"), 4_000_000_000, 0);
    };
    let case = Case::with(Sandbox::new(), prepare);
    drop(xattr::set(case.at("same"), "user.note", b"other"));
    trees::set_modified(&case.at("same"), 4_000_000_000, 0);
    case.restored();
}

/// npm and pip give all files one fixed time, and another version of a package often has the same
/// size.
#[test]
fn files_of_equal_time_and_size_are_compared_by_contents() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let write = |job: &Path, version: &[u8]| {
        let file = job.join("tree/package.json");
        trees::write(&file, version);
        trees::set_modified(&file, 499_162_500, 0);
        file
    };
    write(&job, b"1.0.1");
    sandbox.save(&job, "v1").succeeded();
    let file = write(&job, b"1.0.2");
    sandbox.save(&job, "v2").succeeded();
    sandbox.restore(&other, "v2").succeeded();
    assert_eq!(fs::read(other.join("tree/package.json")).unwrap(), b"1.0.2");
    // Existing files are compared as well.
    sandbox.restore(&job, "v1").succeeded();
    assert_eq!(fs::read(&file).unwrap(), b"1.0.1");
    // Files that turn out to be correct are not touched.
    let before = identity(&file);
    assert_eq!(
        sandbox.restore(&job, "v1").succeeded().json()["right-files"],
        1
    );
    assert!(identity(&file) == before);
}

/// `cp -p`, rsync and tar replace a file by one with the same size and the same time to the
/// nanosecond.
#[test]
fn other_contents_with_the_size_and_the_time_of_the_saved_file_are_replaced() {
    let case = Case::new();
    let times = case.at("same").metadata().unwrap().modified().unwrap();
    fs::write(case.at("same"), b"ALWAYS THE SAME").unwrap();
    fs::File::options()
        .write(true)
        .open(case.at("same"))
        .unwrap()
        .set_modified(times)
        .unwrap();
    case.restored();
}

#[test]
fn a_directory_that_was_swapped_for_an_older_one_is_read() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let write = |dir: &str, version: &[u8]| {
        let file = job.join(dir).join("package.json");
        trees::write(&file, version);
        trees::set_modified(&file, 499_162_500, 0);
    };
    write("tree/package", b"1.0.1");
    write("other", b"1.0.2");
    trees::settle();
    sandbox.save(&job, "v1").succeeded();
    sandbox.restore(&job, "v1").succeeded();
    fs::rename(job.join("tree/package"), job.join("old")).unwrap();
    fs::rename(job.join("other"), job.join("tree/package")).unwrap();
    sandbox.restore(&job, "v1").succeeded();
    assert_eq!(
        fs::read(job.join("tree/package/package.json")).unwrap(),
        b"1.0.1"
    );
}

#[test]
fn an_unknown_sparse_file_is_read_and_stays() {
    let case = Case::with(Sandbox::new(), |tree| {
        let file = fs::File::create(tree.join("sparse")).unwrap();
        file.set_len(4 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &trees::random_bytes(1, 8192), 2 << 20)
            .unwrap();
        fs::File::create(tree.join("hole"))
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
    });
    fs::remove_dir_all(case.sandbox.store().join("seen")).unwrap();
    let before = ["sparse", "hole"].map(|name| identity(&case.at(name)));
    case.restored();
    assert!(["sparse", "hole"].map(|name| identity(&case.at(name))) == before);
}

#[test]
fn files_unchanged_since_their_restore_are_not_read_again() {
    let case = Case::new();
    fs::remove_dir_all(case.sandbox.store().join("seen")).unwrap();
    let files = case.restored()["compared-files"].as_u64().unwrap();
    assert!(
        files > 5,
        "{files} files were read when nothing was known of them"
    );
    trees::settle();
    case.restored();
    assert_eq!(case.restored()["compared-files"], 0);
}

/// A machine restores the newest entry over the one that it had before.
#[test]
fn files_that_the_last_entry_had_too_are_not_read_again() {
    let case = Case::new();
    let changed = case.original.join("src/3.rs");
    fs::write(&changed, b"changed").unwrap();
    trees::settle();
    let one = case.sandbox.job("one");
    case.sandbox.save(&one, "k2").succeeded();
    let wanted = snapshot(&case.original);
    let restored = case.sandbox.mirror(&case.job, "k2").succeeded().json();
    assert_eq!(
        (&restored["compared-files"], &restored["written-files"]),
        (&0.into(), &1.into()),
        "{restored:#}"
    );
    assert_same(&wanted, &snapshot(&case.tree));
    // A change that size and modification time hide, and an extraneous name.
    let times = case.at("same").metadata().unwrap().modified().unwrap();
    fs::write(case.at("same"), b"ALWAYS THE SAME").unwrap();
    let file = fs::File::options().write(true).open(case.at("same"));
    file.unwrap().set_modified(times).unwrap();
    fs::write(case.at("src/extraneous"), b"").unwrap();
    case.sandbox.mirror(&case.job, "k").succeeded();
    assert_same(&case.wanted, &snapshot(&case.tree));
}

const GIVEN: [&str; 4] = ["same", "empty-file", "empty-directory", "src"];

fn give_attributes(tree: &Path) {
    for name in GIVEN {
        xattr::set(tree.join(name), "user.note", b"extra").unwrap();
    }
}

fn with_empty_names() -> Case {
    Case::with(Sandbox::new(), |tree| {
        trees::write(&tree.join("empty-file"), b"");
        fs::create_dir(tree.join("empty-directory")).unwrap();
    })
}

#[test]
fn attributes_that_the_entry_does_not_have_are_removed() {
    for mirror in [true, false] {
        let case = with_empty_names();
        if !takes_attributes(&case.tree) {
            return;
        }
        trees::settle();
        case.restored();
        give_attributes(&case.tree);
        if mirror {
            case.sandbox.mirror(&case.job, "k").succeeded();
        } else {
            case.sandbox.restore(&case.job, "k").succeeded();
        }
        assert_same(&case.wanted, &snapshot(&case.tree));
    }
}

#[test]
fn attributes_that_only_the_last_entry_had_are_removed() {
    let case = with_empty_names();
    if !takes_attributes(&case.original) {
        return;
    }
    give_attributes(&case.original);
    trees::settle();
    let one = case.sandbox.job("one");
    case.sandbox.save(&one, "k2").succeeded();
    let with_attributes = snapshot(&case.original);
    case.sandbox.mirror(&case.job, "k2").succeeded();
    assert_same(&with_attributes, &snapshot(&case.tree));
    trees::settle();
    case.sandbox.mirror(&case.job, "k2").succeeded();
    case.sandbox.mirror(&case.job, "k").succeeded();
    assert_same(&case.wanted, &snapshot(&case.tree));
}

/// Not every filesystem has attributes.
fn takes_attributes(dir: &Path) -> bool {
    let takes = xattr::set(dir, "user.probe", b"x").is_ok();
    takes && xattr::remove(dir, "user.probe").is_ok()
}
