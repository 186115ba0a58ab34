//! Who may use a cache root, and what one user of a shared store can do to another: remove and
//! change the store, and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::users::{ALICE, BOB, GROUP, Users, own};
use crate::support::compare::{assert_same, identities, snapshot};
use crate::support::tools::is_installed;
use crate::support::{Sandbox, trees};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

const ALL_COMMANDS: [&[&str]; 8] = [
    &["save", "--key", "k", "tree"],
    &["restore", "--key", "k", "tree"],
    &["restore", "--lookup-only", "--key", "k", "tree"],
    &["list"],
    &["prune", "--keep", "1"],
    &["verify"],
    &["verify", "--repair"],
    &["stats"],
];

#[test]
fn a_new_cache_root_is_closed_to_others() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    assert_eq!(
        (mode(sandbox.cache()), mode(&sandbox.store())),
        (0o700, 0o700)
    );
}

#[test]
fn a_cache_root_that_others_may_write_to_is_refused() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    fs::create_dir(sandbox.cache()).unwrap();
    for (mode, why) in [
        (0o777, "every user may write to it"),
        (0o1777, "every user may write to it"),
        (0o775, "its group may write to it"),
    ] {
        trees::set_mode(sandbox.cache(), mode);
        for arguments in ALL_COMMANDS {
            let line = sandbox.run(&job, arguments).failed(1);
            assert!(line.contains(why) && line.contains("chmod"), "{line}");
        }
        assert_eq!(fs::read_dir(sandbox.cache()).unwrap().count(), 0);
    }
}

#[test]
fn a_cache_root_of_another_user_is_refused() {
    for mode in [0o755, 0o777, 0o1777, 0o2775] {
        let Some(users) = Users::new() else { return };
        let users = users.with_root(BOB, mode);
        for arguments in ALL_COMMANDS {
            let line = users.run(ALICE, "alice", arguments).failed(1);
            assert!(line.contains("belongs to the user 61002"), "{line}");
        }
        assert_eq!(fs::read_dir(users.sandbox.cache()).unwrap().count(), 0);
    }
}

#[test]
fn a_symlink_of_another_user_is_not_followed_to_a_cache_root() {
    let Some(users) = Users::new() else { return };
    // It leads to a directory of the user herself.
    symlink(users.sandbox.path("alice"), users.sandbox.cache()).unwrap();
    std::os::unix::fs::lchown(users.sandbox.cache(), Some(BOB), Some(BOB)).unwrap();
    let line = users.save(ALICE, "alice", "k").failed(1);
    assert!(
        line.contains("a symlink that the user 61002 made"),
        "{line}"
    );
    assert!(!users.sandbox.path("alice/local-cache-v1").exists());
}

#[test]
fn a_store_that_another_user_made_in_a_root_of_root_is_refused() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(0, 0o755);
    fs::create_dir(users.sandbox.store()).unwrap();
    own(&users.sandbox.store(), BOB);
    let line = users.save(ALICE, "alice", "k").failed(1);
    assert!(line.contains("belongs to the user 61002"), "{line}");
}

#[test]
fn two_users_share_a_root_that_the_administrator_shared() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(0, 0o2770);
    users.save(ALICE, "alice", "k").succeeded();
    trees::walk(&users.sandbox.store(), &mut |path| {
        let found = fs::symlink_metadata(path).unwrap();
        let expected = if found.is_dir() { 0o2770 } else { 0o660 };
        assert_eq!(
            (mode(path), found.gid()),
            (expected, GROUP),
            "{}",
            path.display()
        );
    });
    let job = users.job("other", BOB);
    let restored = users.run(BOB, "other", &["restore", "--json", "--key", "k", "tree"]);
    assert!(restored.succeeded().is_hit());
    assert_same(
        &snapshot(&users.sandbox.path("alice/tree")),
        &snapshot(&job.join("tree")),
    );
    users.save(BOB, "bob", "k2").succeeded();
    users.run(BOB, "bob", &["verify"]).succeeded();
    users
        .run(BOB, "bob", &["prune", "--yes", "--any-key", "--keep", "0"])
        .succeeded();
    users.run(ALICE, "alice", &["verify"]).succeeded();
}

#[test]
fn symlinks_planted_in_a_shared_store_lead_nowhere() {
    for planted in [
        "tmp",
        "manifests",
        "blobs",
        "blobs/ab",
        "packs",
        "entries",
        "seen",
        "used",
        "locks",
        "quarantine",
        "ready",
        "events",
        "memories",
        "keys",
        "lent",
    ] {
        let Some(users) = Users::new() else { return };
        let users = users.with_root(0, 0o2770);
        users.save(ALICE, "alice", "k").succeeded();
        let private = users.job("private", ALICE);
        trees::write(&private.join("thesis"), b"thesis");
        trees::write(&private.join("ab/thesis"), b"thesis");
        own(&private, ALICE);
        trees::set_mode(&private, 0o700);
        let before = identities(&private);
        let place = users.sandbox.store().join(planted);
        if place.exists() {
            fs::rename(&place, users.sandbox.store().join("moved-away")).unwrap();
        }
        symlink(&private, &place).unwrap();
        std::os::unix::fs::lchown(&place, Some(BOB), Some(GROUP)).unwrap();
        users.job("other", ALICE);
        for arguments in ALL_COMMANDS {
            let ran = users.run(ALICE, "other", arguments);
            assert!(!ran.stderr.contains("panicked"), "{planted}: {ran:#?}");
        }
        users.save(ALICE, "alice", "k2");
        assert_eq!(before, identities(&private), "{planted}");
    }
}

#[test]
fn a_time_of_use_that_is_a_symlink_opens_no_private_file() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(0, 0o2770);
    let saved = users.save(ALICE, "alice", "k").succeeded().json();
    let key = users.sandbox.path("alice/key");
    fs::write(&key, "secret").unwrap();
    own(&key, ALICE);
    trees::set_mode(&key, 0o600);
    let used = users
        .sandbox
        .store()
        .join("used")
        .join(saved["entry"].as_str().unwrap());
    drop(fs::remove_file(&used));
    symlink(&key, &used).unwrap();
    std::os::unix::fs::lchown(&used, Some(BOB), Some(GROUP)).unwrap();
    users.job("other", ALICE);
    users
        .run(ALICE, "other", &["restore", "--key", "k", "tree"])
        .succeeded();
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn an_unfinished_removal_of_another_user_does_not_fail_a_prune() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(0, 0o2770);
    users.save(ALICE, "alice", "k").succeeded();
    let left = users
        .sandbox
        .store()
        .join("tmp/.local-cache-0123456789abcdef.tmp");
    trees::write(&left.join("directory/file"), b"x");
    own(&left, ALICE);
    trees::set_mode(&left.join("directory"), 0o755);
    users
        .run(BOB, "bob", &["prune", "--yes", "--any-key", "--keep", "0"])
        .succeeded();
    assert!(left.exists());
    users
        .run(
            ALICE,
            "alice",
            &["prune", "--yes", "--any-key", "--keep", "0"],
        )
        .succeeded();
    assert!(!left.exists());
}

#[test]
fn a_ready_copy_of_another_user_stays_and_does_not_count_as_freed() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(0, 0o2770);
    users
        .run(ALICE, "alice", &["save", "--move", "--key", "k", "tree"])
        .succeeded();
    let copy = fs::read_dir(users.sandbox.store().join("ready")).unwrap();
    let copy = copy.map(|found| found.unwrap().path()).next().unwrap();
    let prune = |user, job| {
        let arguments = ["prune", "--json", "--yes", "--any-key", "--keep", "0"];
        let pruned = users.run(user, job, &arguments).succeeded().json();
        pruned["freed-bytes"].as_u64().unwrap()
    };
    // The entry's own contents are about as large as the copy.
    let freed = prune(BOB, "bob");
    assert!(copy.exists() && freed < 2 * (600 << 10), "{freed}");
    assert!(freed > 600 << 10, "{freed}");
    assert_eq!(prune(BOB, "bob"), 0);
    assert!(prune(ALICE, "alice") > 600 << 10);
    assert!(!copy.exists());
}

#[test]
fn what_root_saves_belongs_to_the_owner_of_the_store() {
    let Some(users) = Users::new() else { return };
    let users = users.with_root(ALICE, 0o700);
    users.save(ALICE, "alice", "k").succeeded();
    trees::small(&users.sandbox.path("of-root/tree"), 3);
    users
        .run(0, "of-root", &["save", "--move", "--key", "r", "tree"])
        .succeeded();
    let ready = users.sandbox.store().join("ready");
    trees::walk(&users.sandbox.store(), &mut |path| {
        let owner = fs::symlink_metadata(path).unwrap().uid();
        // The saved directory itself stays what it was.
        let is_saved_tree = path.starts_with(&ready) && path != ready;
        assert_eq!(
            owner,
            if is_saved_tree { 0 } else { ALICE },
            "{}",
            path.display()
        );
    });
    users.job("other", ALICE);
    for key in ["k", "r"] {
        let arguments = ["restore", "--json", "--mirror", "--key", key, "tree"];
        assert!(
            users.run(ALICE, "other", &arguments).succeeded().is_hit(),
            "{key}"
        );
    }
    users.run(ALICE, "alice", &["verify"]).succeeded();
}

#[test]
fn a_ready_copy_that_is_a_symlink_is_not_restored() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let wanted = snapshot(&job.join("tree"));
    sandbox
        .run(&job, &["save", "--move", "--key", "k", "tree"])
        .succeeded();
    let outside = sandbox.job("outside");
    trees::write(&outside.join("kept"), b"kept");
    let before = identities(&outside);
    let copy = fs::read_dir(sandbox.store().join("ready"))
        .unwrap()
        .next()
        .unwrap();
    let copy = copy.unwrap().path();
    fs::rename(&copy, sandbox.path("aside")).unwrap();
    symlink(&outside, &copy).unwrap();
    let restored = sandbox.mirror(&job, "k").succeeded().json();
    assert_eq!(restored["ready-directories"], 0);
    assert!(!job.join("tree").is_symlink());
    assert_same(&wanted, &snapshot(&job.join("tree")));
    assert_eq!(before, identities(&outside));
}

#[test]
fn keys_of_others_give_no_commands_to_the_runner() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::write(&job.join("tree/::add-mask::file"), b"x");
    symlink("a\n::add-mask::b", job.join("tree/link")).unwrap();
    let key = "k ##[add-mask]secret\n::add-mask::secret";
    sandbox.save(&job, key).succeeded();
    let id = fs::read_dir(sandbox.store().join("entries"))
        .unwrap()
        .next()
        .unwrap();
    let id = id.unwrap().file_name().into_string().unwrap();
    let id = id.trim_end_matches(".json");
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", id],
        &["show", "--json", id],
        &["prune", "--dry-run", "--keep", "0", "--any-key"],
        &["restore", "--key", key, "tree"],
        &["restore", "--key", "##[add-mask]", "tree"],
    ] {
        let ran = sandbox.run(&job, arguments).exited(0);
        let lines = ran.stdout.lines().chain(ran.stderr.lines());
        for line in lines {
            let is_command = line.contains("##[") || line.trim_start().starts_with("::");
            assert!(!is_command, "{arguments:?}: {line}");
        }
    }
    let listed = sandbox.run(&job, &["list", "--json"]).json();
    assert_eq!(listed[0]["key"], key);
}

#[test]
fn a_killed_command_locks_nobody_out_of_a_shared_store() {
    if !is_installed("strace", "a command that is killed before it sets a mode") {
        return;
    }
    let Some(users) = Users::new() else { return };
    let mut users = users.with_root(0, 0o2770);
    users.sandbox.threads = 1;
    let unnamed = |users: &Users| {
        let mut found = Vec::new();
        trees::walk(&users.sandbox.store(), &mut |path| {
            let name = path.file_name().unwrap().to_string_lossy();
            if name.starts_with(".local-cache-") {
                found.push(path.to_owned());
            }
        });
        found
    };
    let mut left = 0;
    // Modes are set after a file or directory was made: until then it belongs to one user alone.
    let mut at = 1;
    while users.kill(
        ("fchmod", at),
        ALICE,
        "alice",
        &["save", "--key", "k", "tree"],
    ) {
        let saved = users.save(BOB, "bob", "k2").exited(0);
        assert!(saved.is_saved(), "killed at {at}: {saved:#?}");
        for arguments in [&["verify"][..], &["rm", "k2", "--yes"]] {
            let ran = users.run(BOB, "bob", arguments);
            assert!(ran.code == Some(0), "killed at {at}: {ran:#?}");
        }
        // What has no name yet may be that of a running command, until it is old.
        for path in unnamed(&users) {
            trees::set_modified(&path, 1_600_000_000, 0);
            left += 1;
        }
        let arguments = ["prune", "--yes", "--any-key", "--keep", "9"];
        users.run(ALICE, "alice", &arguments).succeeded();
        let unnamed = unnamed(&users);
        assert!(unnamed.is_empty(), "killed at {at}: {unnamed:?}");
        fs::remove_dir_all(users.sandbox.store()).unwrap();
        at += 1;
    }
    assert!(at > 10, "it was killed only {at} times");
    assert!(left > 5, "only {left} files and directories had no name");
}
