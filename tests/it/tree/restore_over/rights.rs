//! Modes and owners are corrected, even if a mode locks out the owner.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::Case;
use crate::support::compare::inode;
use crate::support::tools::{is_root, skip};
use crate::support::{NOBODY, Sandbox, trees};

#[test]
fn other_contents_of_the_same_size_are_replaced_in_a_directory_without_write_permission() {
    let sandbox = Sandbox::without_rights();
    let case = Case::with(sandbox, |tree| trees::set_mode(&tree.join("src"), 0o555));
    case.overwrite("src/4.rs", &trees::random_bytes(9, 2801), 1_650_000_000);
    case.restored();
}

#[test]
fn a_mode_is_set_without_replacing_the_file() {
    let case = Case::new();
    for (name, mode) in [
        ("same", 0o600),
        ("src/1.rs", 0o644),
        ("build/large", 0o777),
        ("build", 0o700),
    ] {
        let before = inode(&case.at(name));
        trees::set_mode(&case.at(name), mode);
        case.restored();
        assert_eq!(before, inode(&case.at(name)), "{name}");
    }
}

#[test]
fn modes_that_lock_out_their_owner_are_corrected() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::set_mode(&case.at("same"), 0o000);
    trees::set_mode(&case.at("src/3.rs"), 0o200);
    case.restored();
    for mode in [0o000, 0o200, 0o300, 0o400, 0o500] {
        trees::set_mode(&case.at("src"), mode);
        case.restored();
    }
}

#[test]
fn extraneous_files_in_a_directory_that_locks_out_its_owner_stay() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::write(&case.at("src/extra"), b"mine");
    case.sandbox.chown_all();
    trees::set_mode(&case.at("src"), 0o000);
    case.sandbox.restore(&case.job, "k").succeeded();
    assert_eq!(fs::read(case.at("src/extra")).unwrap(), b"mine");
}

#[test]
fn extraneous_directories_without_permissions_are_removed_by_mirror() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::write(&case.at("extra/inner/file"), b"x");
    trees::write(&case.at("build/extra/inner/file"), b"x");
    case.sandbox.chown_all();
    for (name, mode) in [
        ("extra/inner", 0o000),
        ("extra", 0o555),
        ("build/extra/inner", 0o200),
    ] {
        trees::set_mode(&case.at(name), mode);
    }
    case.sandbox.mirror(&case.job, "k").succeeded();
    case.is_right();
}

#[test]
fn a_file_of_another_user_is_replaced() {
    if !is_root() {
        return skip("root", "files of two users");
    }
    let case = Case::with(Sandbox::without_rights(), |_| {});
    let path = case.at("same");
    std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
    trees::set_modified(&path, 1_650_000_000, 5);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    case.restored();
    assert_eq!(path.metadata().unwrap().uid(), NOBODY);
}
