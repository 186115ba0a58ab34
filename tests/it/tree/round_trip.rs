//! A restored tree equals the saved one, compared by rsync and by inode, link, block, time and
//! attribute.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::support::compare::{assert_same, inode, snapshot};
use crate::support::mounts::Mount;
use crate::support::tools::{is_installed, is_root, rsync_sees_no_difference, run_tool, skip};
use crate::support::{Sandbox, deep, trees};

/// Saves `tree` of one job, restores it in another and compares.
#[track_caller]
fn round_trip(sandbox: &Sandbox) {
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    let original = snapshot(&one.join("tree"));
    assert!(sandbox.save(&one, "key").succeeded().is_saved());
    assert!(sandbox.restore(&other, "key").succeeded().is_hit());
    assert_same(&original, &snapshot(&other.join("tree")));
    assert_same(&original, &snapshot(&one.join("tree")));
    rsync_sees_no_difference(&one.join("tree"), &other.join("tree"));
    rsync_sees_no_difference(&other.join("tree"), &one.join("tree"));
    assert_eq!(
        fs::read_dir(&other).unwrap().count(),
        1,
        "something else is left in the job's directory"
    );
}

#[test]
fn a_tree_with_everything_is_restored_exactly() {
    let sandbox = Sandbox::new();
    trees::everything(&sandbox.job("one").join("tree"));
    round_trip(&sandbox);
    // A second time there is nothing to do.
    let again = sandbox
        .restore(&sandbox.job("other"), "key")
        .succeeded()
        .json();
    assert_eq!(
        (&again["written-files"], &again["removed-files"]),
        (&0.into(), &0.into())
    );
    sandbox.verify().succeeded();
}

#[test]
fn a_user_without_rights_restores_everything_too() {
    let sandbox = Sandbox::without_rights();
    let tree = sandbox.job("one").join("tree");
    trees::everything(&tree);
    for only_root in ["file-0000", "file-0200", "file-0111"] {
        drop(fs::remove_file(tree.join("modes").join(only_root)));
    }
    trees::set_modified(&tree.join("modes"), 1_650_000_000, 7);
    sandbox.chown_all();
    round_trip(&sandbox);
}

#[test]
fn sparse_files_stay_sparse() {
    let sandbox = Sandbox::new();
    trees::everything(&sandbox.job("one").join("tree"));
    round_trip(&sandbox);
    let names = fs::read_dir(sandbox.path("one/tree/sparse")).unwrap();
    let mut compared = 0;
    for name in names.map(|entry| entry.unwrap().file_name()) {
        let blocks = |job: &str| {
            sandbox
                .path(job)
                .join("tree/sparse")
                .join(&name)
                .metadata()
                .unwrap()
                .blocks()
        };
        assert!(
            blocks("other") <= blocks("one"),
            "{}: {} {}",
            name.display(),
            blocks("one"),
            blocks("other")
        );
        compared += 1;
    }
    assert!(compared >= 7);
    let store: u64 = crate::support::compare::disk_usage(&sandbox.store());
    let data: u64 = crate::support::compare::disk_usage(&sandbox.path("one"));
    assert!(
        store <= data + (1 << 20),
        "the store takes {store} bytes for {data}: holes were stored"
    );
}

#[test]
fn hard_links_are_restored_across_directories_and_roots() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    for root in ["first", "second/inner", "third"] {
        fs::create_dir_all(one.join(root)).unwrap();
    }
    trees::write(&one.join("first/file"), b"small");
    fs::hard_link(one.join("first/file"), one.join("second/inner/file")).unwrap();
    fs::hard_link(one.join("first/file"), one.join("third/other-name")).unwrap();
    trees::write(&one.join("third/alone"), b"small");
    let roots = ["third", "first", "second"];
    sandbox
        .run(&one, &[&["save", "--key", "k"], &roots[..]].concat())
        .succeeded();
    sandbox
        .run(&other, &[&["restore", "--key", "k"], &roots[..]].concat())
        .succeeded();
    for root in roots {
        assert_same(&snapshot(&one.join(root)), &snapshot(&other.join(root)));
    }
    let file = inode(&other.join("first/file"));
    assert_eq!(file, inode(&other.join("second/inner/file")));
    assert_eq!(file, inode(&other.join("third/other-name")));
    assert_ne!(
        file,
        inode(&other.join("third/alone")),
        "equal contents are not one file"
    );
}

#[test]
fn extended_attributes_are_restored() {
    let sandbox = Sandbox::new();
    let tree = sandbox.job("one").join("tree");
    trees::small(&tree, 1);
    let file = tree.join("same");
    if xattr::set(&file, "user.comment", b"a\0\xff").is_err() {
        return skip("xattr", "extended attributes");
    }
    xattr::set(&file, "user.empty", b"").unwrap();
    xattr::set(tree.join("src"), "user.directory", b"yes").unwrap();
    xattr::set(tree.join("large"), "user.of-a-hard-link", &[b'v'; 1000]).unwrap();
    trees::make_old(&tree);
    round_trip(&sandbox);
    let back = xattr::get(sandbox.path("other/tree/same"), "user.comment").unwrap();
    assert_eq!(back.as_deref(), Some(&b"a\0\xff"[..]));
    // Over an existing tree: changed, missing and additional ones.
    let there = sandbox.path("other/tree");
    xattr::set(there.join("same"), "user.comment", b"changed").unwrap();
    xattr::remove(there.join("src"), "user.directory").unwrap();
    xattr::set(there.join("large"), "user.additional", b"x").unwrap();
    sandbox.restore(&sandbox.job("other"), "key").succeeded();
    assert_same(&snapshot(&tree), &snapshot(&there));
}

#[test]
fn attributes_of_read_only_files_are_restored() {
    let sandbox = Sandbox::without_rights();
    let tree = sandbox.job("one").join("tree");
    trees::small(&tree, 1);
    if xattr::set(tree.join("same"), "user.comment", b"read-only").is_err() {
        return skip("xattr", "extended attributes");
    }
    xattr::set(tree.join("src"), "user.comment", b"read-only").unwrap();
    trees::make_old(&tree);
    sandbox.chown_all();
    trees::set_mode(&tree.join("same"), 0o444);
    trees::set_mode(&tree.join("src"), 0o555);
    round_trip(&sandbox);
    // Over existing files, too.
    for name in ["same", "src"] {
        let path = sandbox.path("other/tree").join(name);
        xattr::set(&path, "user.comment", b"changed").unwrap();
    }
    sandbox.restore(&sandbox.job("other"), "key").succeeded();
    assert_same(&snapshot(&tree), &snapshot(&sandbox.path("other/tree")));
}

#[test]
fn access_control_lists_are_restored() {
    if !is_installed("setfacl", "access control lists") {
        return;
    }
    let sandbox = Sandbox::new();
    let tree = sandbox.job("one").join("tree");
    trees::small(&tree, 1);
    run_tool(
        "setfacl",
        &[
            "-m".as_ref(),
            "u:12345:rw,g:54321:r".as_ref(),
            tree.join("same").as_ref(),
        ],
    );
    run_tool(
        "setfacl",
        &[
            "-m".as_ref(),
            "d:u:12345:rwx".as_ref(),
            tree.join("src").as_ref(),
        ],
    );
    trees::make_old(&tree);
    round_trip(&sandbox);
}

#[test]
fn a_tree_deeper_than_a_path_can_be_is_restored() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    let (name, depth) = ("a-directory-with-a-name-that-is-quite-long", 200);
    assert!(name.len() * depth > 4096);
    deep::make(&one.join("tree"), name, depth);
    sandbox.save(&one, "k").succeeded();
    sandbox.restore(&other, "k").succeeded();
    assert_eq!(deep::depth(&other.join("tree"), name), depth);
    sandbox.mirror(&other, "k").succeeded();
    run_tool(
        "rm",
        &[
            "-rf".as_ref(),
            one.join("tree").as_ref(),
            other.join("tree").as_ref(),
        ],
    );
}

#[test]
fn a_tree_with_more_levels_than_descriptors_is_restored() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    deep::make(&one.join("tree"), "d", 1500);
    // The limits of a shell: 1,024 descriptors, which a process may raise.
    let limited = |job: &Path, arguments: &[&str]| {
        let mut command =
            sandbox.command_behind(&["prlimit", "--nofile=1024:8192"], job, arguments);
        crate::support::RunResult::of(&mut command)
    };
    if !is_installed("prlimit", "deep trees with few descriptors") {
        return;
    }
    limited(&one, &["save", "--key", "k", "tree"]).succeeded();
    limited(&other, &["restore", "--key", "k", "tree"]).succeeded();
    assert_eq!(deep::depth(&other.join("tree"), "d"), 1500);
    deep::make(&other.join("tree/extra"), "e", 1500);
    limited(&other, &["restore", "--mirror", "--key", "k", "tree"]).succeeded();
    assert!(!other.join("tree/extra").exists());
    run_tool(
        "rm",
        &[
            "-rf".as_ref(),
            one.join("tree").as_ref(),
            other.join("tree").as_ref(),
        ],
    );
}

#[test]
fn ten_thousand_files_in_one_directory_are_restored() {
    let sandbox = Sandbox::new();
    let tree = sandbox.job("one").join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..10_000_u32 {
        fs::write(tree.join(format!("{number}")), number.to_le_bytes()).unwrap();
    }
    trees::make_old(&tree);
    round_trip(&sandbox);
}

#[test]
fn roots_of_every_kind_are_restored() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::write(&one.join("file"), b"a file as root");
    symlink("a/b", one.join("link")).unwrap();
    fs::create_dir(one.join("empty")).unwrap();
    trees::write(&one.join("a/b/c/deep"), b"deep root");
    trees::write(&sandbox.path("home/.config/x"), b"at home");
    let outside = sandbox.path("outside");
    trees::write(&outside.join("x"), b"absolute");
    let outside = outside.display().to_string();
    let roots = ["file", "link", "empty", "a/b/c", "~/.config", &outside];
    trees::make_old(&one);
    let (there, home) = (snapshot(&one), snapshot(&sandbox.path("home")));
    sandbox
        .run(&one, &[&["save", "--key", "k"], &roots[..]].concat())
        .succeeded();
    fs::remove_dir_all(sandbox.path("home/.config")).unwrap();
    fs::remove_dir_all(&outside).unwrap();
    sandbox
        .run(&other, &[&["restore", "--key", "k"], &roots[..]].concat())
        .succeeded();
    for root in ["file", "link", "empty", "a/b/c"] {
        assert_same(&snapshot(&one.join(root)), &snapshot(&other.join(root)));
    }
    assert!(there.len() > 4);
    assert_eq!(home.len(), snapshot(&sandbox.path("home")).len());
    assert_eq!(
        fs::read(sandbox.path("home/.config/x")).unwrap(),
        b"at home"
    );
    assert_eq!(fs::read(sandbox.path("outside/x")).unwrap(), b"absolute");
}

#[test]
fn the_directory_the_program_runs_in_can_be_a_root() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    sandbox.run(&one, &["save", "--key", "k", "."]).succeeded();
    sandbox
        .run(&other, &["restore", "--key", "k", "."])
        .succeeded();
    assert_same(&snapshot(&one.join("tree")), &snapshot(&other.join("tree")));
}

#[test]
fn filesystems_that_share_blocks_give_the_same_result() {
    let what = "a filesystem that shares blocks";
    let Some(mount) = Mount::image(
        320 << 20,
        &["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
        "loop",
        what,
    ) else {
        return;
    };
    let sandbox = Sandbox::below(mount.path());
    trees::everything(&sandbox.job("one").join("tree"));
    round_trip(&sandbox);
    sandbox.verify().succeeded();
}

#[test]
fn another_filesystem_than_the_stores_gives_the_same_result() {
    let what = "restoring to another filesystem";
    let Some(mount) = Mount::tmpfs(64 << 20, what) else {
        return;
    };
    let sandbox = Sandbox::new();
    let sandbox = sandbox.with_cache(mount.join("cache"));
    trees::everything(&sandbox.job("one").join("tree"));
    round_trip(&sandbox);
}

#[test]
fn a_restore_belongs_to_the_user_who_runs_it() {
    if !is_root() {
        return skip("root", "saving as one user and restoring as another");
    }
    let sandbox = Sandbox::without_rights();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    // The tree belongs to root and is readable for all; another user saves and restores it.
    sandbox.save(&one, "k").succeeded();
    sandbox.restore(&other, "k").succeeded();
    let mut names = 0;
    trees::walk(&other.join("tree"), &mut |path| {
        assert_eq!(
            path.symlink_metadata().unwrap().uid(),
            crate::support::NOBODY,
            "{}",
            path.display()
        );
        names += 1;
    });
    assert!(names > 10);
}
