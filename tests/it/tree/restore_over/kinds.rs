//! Files of another kind are replaced, and nothing is written through a symlink.

use std::fs;
use std::os::unix::fs::symlink;

use super::Case;
use crate::support::compare::identities;
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
    // A directory with files in place of a file, and of a symlink.
    for name in ["src/4.rs", "build/link"] {
        fs::remove_file(case.at(name)).unwrap();
        trees::write(&case.at(name).join("deep/er/file"), b"x");
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
fn a_root_that_is_a_symlink_is_refused() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("file"), b"outside");
    let before = identities(&outside);
    let job = case.sandbox.job("third");
    symlink(&outside, job.join("tree")).unwrap();
    for mirror in [&[][..], &["--mirror"]] {
        let arguments = [&["restore", "--key", "k", "tree"], mirror].concat();
        let line = case.sandbox.run(&job, &arguments).failed(1);
        assert!(
            line.contains("tree is a symlink to") && line.contains("cache the directory"),
            "{line}"
        );
    }
    assert_eq!(before, identities(&outside));
    assert!(job.join("tree").is_symlink());
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
    case.sandbox.restore(&other, "file").succeeded();
    assert_eq!(fs::read(other.join("tree")).unwrap(), b"a file as root");
}
