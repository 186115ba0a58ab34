//! Contents and times of files: a file with other contents is written, one with only another time
//! is not.

use std::fs;
use std::path::Path;

use super::Case;
use crate::support::compare::{assert_same, inode, snapshot};
use crate::support::{Sandbox, trees};

#[test]
fn a_file_of_another_size_is_replaced() {
    let case = Case::new();
    case.overwrite("same", b"longer than it should be", 1_650_000_000);
    case.overwrite("src/5.rs", b"shorter", 1_650_000_000);
    case.restored();
}

#[test]
fn a_file_with_another_time_but_its_contents_only_gets_its_time() {
    let case = Case::new();
    let inodes = ["same", "build/large", "build/empty"].map(|name| inode(&case.at(name)));
    for name in ["same", "build/large", "build/empty"] {
        trees::set_modified(&case.at(name), 1_650_000_000, 5);
    }
    let report = case.restored();
    assert_eq!(
        inodes,
        ["same", "build/large", "build/empty"].map(|name| inode(&case.at(name)))
    );
    assert_eq!(report["written-files"], 0);
}

#[test]
fn other_contents_of_the_same_size_are_replaced_and_the_directory_keeps_its_time() {
    let case = Case::new();
    case.overwrite("same", b"ALWAYS THE SAME", 1_650_000_000);
    case.overwrite("src/4.rs", &trees::random_bytes(9, 2801), 1_650_000_000);
    assert_eq!(
        case.at("src/4.rs").metadata().unwrap().len(),
        case.original.join("src/4.rs").metadata().unwrap().len()
    );
    case.restored();
}

#[test]
fn all_hard_links_of_a_file_get_its_contents() {
    let case = Case::new();
    let size = case.at("large").metadata().unwrap().len();
    case.overwrite(
        "large",
        &trees::random_bytes(3, usize::try_from(size).unwrap()),
        1_650_000_000,
    );
    case.restored();
    assert_eq!(inode(&case.at("large")), inode(&case.at("build/large")));
}

#[test]
fn a_hard_link_outside_of_the_tree_is_not_changed() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    // The file has a hard link outside of the tree. No change of the name in the tree may affect
    // it.
    for (number, change) in [
        |path: &Path| trees::set_modified(path, 1_650_000_000, 5),
        |path: &Path| trees::set_mode(path, 0o600),
        |path: &Path| fs::write(path, b"other contents of another size").unwrap(),
        |path: &Path| fs::write(path, b"ALWAYS THE SAME").unwrap(),
        |path: &Path| drop(xattr::set(path, "user.mine", b"x")),
    ]
    .iter()
    .enumerate()
    {
        drop(fs::remove_file(&outside));
        fs::hard_link(case.at("same"), &outside).unwrap();
        change(&case.at("same"));
        let before = snapshot(&outside);
        case.sandbox.restore(&case.job, "k").succeeded();
        assert_same(&before, &snapshot(&outside));
        assert_ne!(inode(&outside), inode(&case.at("same")), "change {number}");
        fs::remove_file(&outside).unwrap();
        case.restored();
    }
}

#[test]
fn files_that_became_one_are_separated_again() {
    let case = Case::with(Sandbox::new(), |tree| {
        for name in ["twin-1", "twin-2"] {
            fs::write(tree.join(name), b"twins").unwrap();
            trees::set_modified(&tree.join(name), 1_650_000_000, 5);
        }
    });
    fs::remove_file(case.at("twin-2")).unwrap();
    fs::hard_link(case.at("twin-1"), case.at("twin-2")).unwrap();
    case.restored();
    assert_ne!(inode(&case.at("twin-1")), inode(&case.at("twin-2")));
    // Names that became two files are hard links again.
    fs::remove_file(case.at("large")).unwrap();
    fs::copy(case.at("build/large"), case.at("large")).unwrap();
    case.restored();
    assert_eq!(inode(&case.at("large")), inode(&case.at("build/large")));
}

#[test]
fn without_verification_contents_are_not_compared_with_their_digests() {
    let case = Case::new();
    trees::walk(&case.sandbox.store().join("blobs"), &mut |path| {
        if path.is_file() {
            let mut bytes = fs::read(path).unwrap();
            bytes[1000] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    });
    fs::remove_file(case.at("large")).unwrap();
    fs::remove_file(case.at("build/large")).unwrap();
    case.sandbox
        .run(&case.job, &["restore", "--no-verify", "--key", "k", "tree"])
        .succeeded();
    let (one, other) = (
        fs::read(case.original.join("large")).unwrap(),
        fs::read(case.at("large")).unwrap(),
    );
    assert_eq!(
        one.iter()
            .zip(&other)
            .filter(|(one, other)| one != other)
            .count(),
        1
    );
}

/// The file has as many names as in the entry, but one of them lies elsewhere.
#[test]
fn a_hard_link_outside_of_the_tree_is_not_changed_when_one_inside_is_missing() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    fs::remove_file(case.at("build/large")).unwrap();
    fs::hard_link(case.at("large"), &outside).unwrap();
    trees::write(&case.at("build/large"), b"another file");
    trees::set_mode(&outside, 0o600);
    trees::set_modified(&outside, 1_650_000_000, 7);
    let before = snapshot(&outside);
    case.restored();
    assert_same(&before, &snapshot(&outside));
    assert_ne!(inode(&outside), inode(&case.at("large")));
}
