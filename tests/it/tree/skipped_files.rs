//! Files that a save skips: special, unreadable and excluded ones, and the store itself.

use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::compare::snapshot;
use crate::support::{Sandbox, trees};

#[test]
fn sockets_and_fifos_are_reported_and_skipped() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    let tree = one.join("tree");
    trees::small(&tree, 1);
    let original = snapshot(&tree);
    let _socket = UnixListener::bind(tree.join("src/socket")).unwrap();
    nix::unistd::mkfifo(
        &tree.join("fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    trees::make_old(&tree);
    let saved = sandbox.save(&one, "k").exited(0);
    assert_eq!(saved.warnings().len(), 2, "{saved:#?}");
    assert!(
        saved.stderr.contains("src/socket is not cached")
            && saved.stderr.contains("fifo is not cached")
    );
    assert_eq!(saved.json()["left-out-files"], 2);
    sandbox.restore(&other, "k").succeeded();
    let restored = snapshot(&other.join("tree"));
    assert_eq!(
        original.keys().collect::<Vec<_>>(),
        restored.keys().collect::<Vec<_>>()
    );
}

#[test]
fn unreadable_files_are_reported_and_skipped() {
    let sandbox = Sandbox::without_rights();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    let tree = one.join("tree");
    trees::small(&tree, 1);
    trees::write(&tree.join("secret"), b"x");
    trees::write(&tree.join("closed/inside"), b"x");
    trees::write(&tree.join("no-search/inside"), b"x");
    sandbox.chown_all();
    trees::set_mode(&tree.join("secret"), 0o000);
    trees::set_mode(&tree.join("closed"), 0o000);
    trees::set_mode(&tree.join("no-search"), 0o444);
    let saved = sandbox.save(&one, "k").exited(0);
    for name in ["secret", "closed", "no-search"] {
        assert!(
            saved
                .stderr
                .contains(&format!("{name} is not cached: it may not be read")),
            "{saved:#?}"
        );
    }
    assert_eq!(saved.warnings().len(), 3, "{saved:#?}");
    sandbox.restore(&other, "k").succeeded();
    let restored = other.join("tree");
    assert!(restored.join("same").exists() && !restored.join("secret").exists());
    assert!(!restored.join("closed").exists());
    for name in ["closed", "no-search"] {
        trees::set_mode(&tree.join(name), 0o755);
        if restored.join(name).exists() {
            trees::set_mode(&restored.join(name), 0o755);
        }
    }
}

#[test]
fn the_store_is_not_saved_into_itself() {
    let sandbox = Sandbox::new();
    let one = sandbox.job("one");
    trees::small(&one.join("tree"), 1);
    let sandbox = sandbox.with_cache(one.join("tree/.cache"));
    sandbox.save(&one, "1").succeeded();
    let files = sandbox.save(&one, "2").succeeded().json()["files"].clone();
    assert_eq!(
        sandbox.save(&one, "3").succeeded().json()["files"],
        files,
        "the store grows with itself"
    );
    // Removing extraneous files must not remove the store that contains the entry.
    let mirrored = sandbox.mirror(&one, "2");
    assert!(mirrored.exited(0).is_hit());
    assert!(sandbox.mirror(&one, "2").exited(0).is_hit());
    sandbox.verify().succeeded();
}

#[test]
fn excluded_files_are_not_saved() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.job("one"), sandbox.job("other"));
    trees::small(&one.join("tree"), 1);
    let paths = ["tree", "!tree/build", "!tree/src/2.rs"];
    sandbox
        .run(&one, &[&["save", "--key", "k"], &paths[..]].concat())
        .succeeded();
    sandbox
        .run(&other, &[&["restore", "--key", "k"], &paths[..]].concat())
        .succeeded();
    let restored = snapshot(&other.join("tree"));
    let mut wanted = snapshot(&one.join("tree"));
    wanted.retain(|path, _| !path.starts_with("build") && path != Path::new("src/2.rs"));
    assert_eq!(
        wanted.keys().collect::<Vec<_>>(),
        restored.keys().collect::<Vec<_>>()
    );
}
