//! Files of another kind are replaced, and nothing is written through a symlink.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::Case;
use crate::support::compare::{assert_same, identities, snapshot};
use crate::support::trees;

#[test]
fn files_of_other_kinds_are_replaced() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("kept"), b"x");
    let outside_before = identities(&outside);
    // A symlink, dangling or not, in place of a file.
    for (name, target) in [
        ("same", "/no/such"),
        ("src/2.rs", "3.rs"),
        ("build/large", "../../../outside/kept"),
    ] {
        fs::remove_file(case.at(name)).unwrap();
        symlink(target, case.at(name)).unwrap();
    }
    // An empty directory in place of a file, and of a symlink.
    for name in ["src/4.rs", "build/link"] {
        fs::remove_file(case.at(name)).unwrap();
        fs::create_dir(case.at(name)).unwrap();
    }
    // A file, a fifo and a symlink in place of a directory.
    fs::remove_dir_all(case.at("nothing")).unwrap();
    fs::write(case.at("nothing"), b"x").unwrap();
    case.restored();
    fs::remove_dir_all(case.at("nothing")).unwrap();
    nix::unistd::mkfifo(&case.at("nothing"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    case.restored();
    fs::remove_dir_all(case.at("nothing")).unwrap();
    symlink(&outside, case.at("nothing")).unwrap();
    case.restored();
    // A file and another symlink in place of a symlink; a fifo in place of a file.
    fs::remove_file(case.at("build/link")).unwrap();
    fs::write(case.at("build/link"), b"x").unwrap();
    fs::remove_file(case.at("same")).unwrap();
    nix::unistd::mkfifo(&case.at("same"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    case.restored();
    fs::remove_file(case.at("build/link")).unwrap();
    symlink("../srk", case.at("build/link")).unwrap();
    case.restored();
    assert_eq!(outside_before, identities(&outside));
}

#[test]
fn a_symlinked_directory_in_the_tree_is_replaced_and_nothing_written_through_it() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("1.rs"), b"outside");
    trees::write(&outside.join("here/file"), b"outside");
    let before = identities(&outside);
    for name in ["src", "nothing"] {
        fs::remove_dir_all(case.at(name)).unwrap();
        symlink(&outside, case.at(name)).unwrap();
    }
    case.sandbox.mirror(&case.job, "k").succeeded();
    case.is_right();
    assert_eq!(before, identities(&outside));
}

#[test]
fn a_root_that_is_a_symlink_to_a_directory_is_restored_through_it() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("file"), b"outside");
    let before = identities(&outside);
    let job = case.sandbox.job("third");
    symlink(&outside, job.join("tree")).unwrap();
    let line = case
        .sandbox
        .run(&job, &["restore", "--mirror", "--key", "k", "tree"])
        .failed(1);
    assert!(line.contains("where nothing may be removed"), "{line}");
    assert_eq!(before, identities(&outside));
    case.sandbox.restore(&job, "k").succeeded();
    assert!(job.join("tree").is_symlink());
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"outside");
    fs::remove_file(outside.join("file")).unwrap();
    trees::set_modified(&outside, 1, 0);
    case.sandbox.restore(&job, "k").succeeded();
    assert_same(&case.wanted, &snapshot(&outside));
    // What the link leads to is saved, and restored as a directory where there is no link.
    case.sandbox.save(&job, "linked").succeeded();
    let elsewhere = case.sandbox.job("fourth");
    case.sandbox.restore(&elsewhere, "linked").succeeded();
    assert_same(&case.wanted, &snapshot(&elsewhere.join("tree")));
}

#[test]
fn a_root_that_is_a_symlink_to_nothing_is_refused() {
    let case = Case::new();
    let job = case.sandbox.job("third");
    symlink("/no/such/place", job.join("tree")).unwrap();
    let line = case
        .sandbox
        .run(&job, &["restore", "--key", "k", "tree"])
        .failed(1);
    assert!(line.contains("which is no directory"), "{line}");
    assert!(job.join("tree").is_symlink());
}

#[test]
fn a_symlink_that_a_wildcard_matches_is_saved_as_a_link() {
    let case = Case::new();
    symlink("tree", case.job.join("link")).unwrap();
    let arguments = ["save", "--json", "--key", "w", "*"];
    case.sandbox.run(&case.job, &arguments).succeeded();
    let other = case.sandbox.job("third");
    let arguments = ["restore", "--json", "--key", "w", "*"];
    case.sandbox.run(&other, &arguments).succeeded();
    assert_eq!(
        fs::read_link(other.join("link")).unwrap(),
        Path::new("tree")
    );
    assert_same(&case.wanted, &snapshot(&other.join("tree")));
}

#[test]
fn only_mirror_replaces_a_directory_that_is_not_empty_by_something_else() {
    let case = Case::new();
    for name in ["same", "build/link"] {
        fs::remove_file(case.at(name)).unwrap();
        trees::write(&case.at(name).join("deep/er/file"), b"mine");
        let line = case
            .sandbox
            .run(&case.job, &["restore", "--key", "k", "tree"])
            .failed(1);
        assert!(line.contains("is a directory that is not empty"), "{line}");
        let mine = case.at(name).join("deep/er/file");
        assert_eq!(fs::read(mine).unwrap(), b"mine");
        case.sandbox.mirror(&case.job, "k").succeeded();
        case.is_right();
    }
    // An empty one holds nothing that could be lost.
    fs::remove_file(case.at("same")).unwrap();
    fs::create_dir(case.at("same")).unwrap();
    case.restored();
}

#[test]
fn roots_of_another_kind_are_replaced() {
    let case = Case::new();
    fs::remove_dir_all(&case.tree).unwrap();
    fs::write(&case.tree, b"a file where a directory belongs").unwrap();
    case.restored();
    let (one, other) = (case.sandbox.job("a"), case.sandbox.job("b"));
    trees::write(&one.join("tree"), b"a file as root");
    trees::write(&other.join("tree/x"), b"a directory where a file belongs");
    case.sandbox.save(&one, "file").succeeded();
    let line = case
        .sandbox
        .run(&other, &["restore", "--key", "file", "tree"])
        .failed(1);
    assert!(line.contains("is a directory that is not empty"), "{line}");
    case.sandbox.mirror(&other, "file").succeeded();
    assert_eq!(fs::read(other.join("tree")).unwrap(), b"a file as root");
}
