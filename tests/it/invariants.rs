//! The invariants of local-cache, one test for each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

use crate::action::files::as_the_runner_reads;
use crate::support::compare::{Identity, assert_same, identities, snapshot};
use crate::support::tools::{is_root, rsync_sees_no_difference, skip};
use crate::support::{RunResult, Sandbox, trees};

/// Every published file except entries, with its identity and its contents.
fn published(sandbox: &Sandbox) -> BTreeMap<PathBuf, (Identity, Vec<u8>)> {
    let dirs = ["manifests", "packs", "blobs"].map(|dir| sandbox.store().join(dir));
    let all = dirs.iter().flat_map(|dir| identities(dir));
    let files = all.filter(|(path, _)| path.is_file());
    files
        .map(|(path, identity)| (path.clone(), (identity, fs::read(path).unwrap())))
        .collect()
}

#[test]
fn an_entry_exists_only_when_its_last_file_does_and_a_published_file_is_never_changed() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "1").succeeded();
    let before = published(&sandbox);
    assert!(before.len() >= 3);
    // Restoring, saving more, saving the same again and replacing an entry change no published
    // file.
    trees::write(&job.join("tree/src/0.rs"), b"changed");
    sandbox.save(&job, "2").succeeded();
    sandbox.restore(&other, "1").succeeded();
    sandbox.save(&other, "3").succeeded();
    sandbox
        .run(&other, &["save", "--refresh", "--key", "1", "tree"])
        .succeeded();
    sandbox.verify().succeeded();
    let after = published(&sandbox);
    for (path, content) in &before {
        assert_eq!(after.get(path), Some(content), "{} changed", path.display());
    }
    // Without its last file, an entry does not exist, even if all its other files do.
    for entry in fs::read_dir(sandbox.store().join("entries")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for key in ["1", "2", "3"] {
        assert!(
            !sandbox
                .restore(&sandbox.job("third"), key)
                .succeeded()
                .is_hit()
        );
    }
    assert_eq!(
        sandbox.run(&job, &["list", "--json"]).succeeded().json(),
        serde_json::json!([])
    );
}

#[test]
fn killing_a_process_at_any_instant_leaves_a_store_that_opens_and_entries_that_restore_or_are_misses()
 {
    // `store::crash` kills at each system call; this test kills at random times.
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    for number in 0..60 {
        trees::write(
            &job.join(format!("tree/more/{number}")),
            &trees::random_bytes(number, 40 << 10),
        );
    }
    trees::make_old(&job.join("tree"));
    let wanted = snapshot(&job.join("tree"));
    let (mut killed, mut hits) = (0, 0);
    for round in 0..20_u64 {
        // Each save starts with an empty store, so that creating the store is interrupted, too.
        drop(fs::remove_dir_all(sandbox.cache()));
        drop(fs::remove_dir_all(other.join("tree")));
        let mut child = sandbox
            .command(&job, &["save", "--key", "k", "tree"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(round * 1300));
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        let listed = sandbox.run(&job, &["list", "--json"]).succeeded().json();
        let is_listed = !listed.as_array().unwrap().is_empty();
        let is_hit = sandbox.restore(&other, "k").succeeded().is_hit();
        assert_eq!(
            is_listed, is_hit,
            "a listed entry is not there, or one that is there is not listed"
        );
        if is_hit {
            hits += 1;
            assert_same(&wanted, &snapshot(&other.join("tree")));
        }
        assert!(
            is_hit || !other.join("tree").exists(),
            "something was half restored"
        );
        sandbox.save(&job, "again").succeeded();
        assert!(sandbox.mirror(&other, "again").succeeded().is_hit());
        assert_same(&wanted, &snapshot(&other.join("tree")));
    }
    assert!(killed > 0, "no process was killed ({hits} came through)");
}

#[test]
fn a_restore_recreates_every_file_with_its_bytes_mode_time_links_holes_and_name() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::everything(&job.join("tree"));
    sandbox.save(&job, "k").succeeded();
    sandbox.restore(&other, "k").succeeded();
    assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
    rsync_sees_no_difference(&job.join("tree"), &other.join("tree"));
}

#[test]
fn a_restore_writes_only_below_the_roots_it_was_asked_for_and_never_through_a_symlink() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    symlink("../outside", job.join("tree/out")).unwrap();
    sandbox.save(&job, "k").succeeded();
    // The destination is full of traps: symlinks in place of directories and files, and a restored
    // symlink to the outside.
    let outside = other.join("outside");
    trees::small(&outside, 2);
    for name in ["src", "build", "nothing", "same", "large"] {
        drop(fs::create_dir(other.join("tree")));
        symlink(format!("../outside/{name}"), other.join("tree").join(name)).unwrap();
    }
    let (before, home) = (identities(&outside), identities(&sandbox.path("home")));
    for _ in 0..2 {
        sandbox.mirror(&other, "k").succeeded();
        assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
    }
    assert_eq!(
        (before, home),
        (identities(&outside), identities(&sandbox.path("home")))
    );
    let mut names: Vec<_> = fs::read_dir(&other)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["outside", "tree"]);
}

#[test]
fn files_belong_to_the_user_who_runs_the_job_never_to_root() {
    if !is_root() {
        return skip("root", "owners of files");
    }
    let sandbox = Sandbox::without_rights();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    sandbox.restore(&other, "k").succeeded();
    sandbox.prune(1).succeeded();
    sandbox.repair().succeeded();
    let mut seen = 0;
    for place in [sandbox.store(), other.join("tree")] {
        trees::walk(&place, &mut |path| {
            let owner = path.symlink_metadata().unwrap().uid();
            assert_eq!(owner, crate::support::NOBODY, "{}", path.display());
            seen += 1;
        });
    }
    assert!(seen > 20);
}

#[test]
fn a_problem_of_the_cache_is_reported_in_one_line_and_fails_the_job_only_when_asked_to() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let file = sandbox.path("file");
    fs::write(&file, b"where the cache root should be").unwrap();
    let state = std::cell::RefCell::new(Vec::new());
    let phase = |phase: &str, cache_root: &PathBuf, fail_on_error: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_local-cache"));
        for name in ["output", "state", "summary"] {
            fs::write(sandbox.path(name), b"").unwrap();
        }
        command
            .args(["action", phase])
            .current_dir(&job)
            .env_clear();
        command
            .env("HOME", sandbox.path("home"))
            .env("GITHUB_ACTIONS", "true");
        command
            .env("GITHUB_WORKSPACE", &job)
            .env("GITHUB_REPOSITORY", "owner/repository")
            .env("GITHUB_REF", "refs/heads/main")
            .env("GITHUB_EVENT_NAME", "push");
        command
            .env("GITHUB_OUTPUT", sandbox.path("output"))
            .env("GITHUB_STATE", sandbox.path("state"));
        command.env("GITHUB_STEP_SUMMARY", sandbox.path("summary"));
        command
            .env("INPUT_PATH", "tree")
            .env("INPUT_KEY", "k")
            .env("INPUT_SITE", "here");
        command
            .env("INPUT_BRANCH-ISOLATION", "false")
            .env("INPUT_SAVE", "always");
        if phase == "post" {
            // The state that main saved, as the runner passes it on.
            command.envs(
                state
                    .borrow()
                    .iter()
                    .map(|(name, value)| (format!("STATE_{name}"), value)),
            );
        }
        command
            .env("INPUT_CACHE-ROOT", cache_root)
            .env("INPUT_FAIL-ON-ERROR", fail_on_error);
        command.stdin(std::process::Stdio::null());
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let ran = RunResult::of(&mut command);
        if phase == "main" {
            let text = fs::read_to_string(sandbox.path("state")).unwrap();
            *state.borrow_mut() = as_the_runner_reads(&text).unwrap();
        }
        ran
    };
    for name in ["pre", "main", "post"] {
        let ran = phase(name, &file, "false");
        assert_eq!(ran.code, Some(0), "{name}: {ran:#?}");
        let warnings: Vec<&str> = ran
            .stdout
            .lines()
            .filter(|line| line.starts_with("::warning"))
            .collect();
        assert!(
            warnings.len() == usize::from(name != "pre"),
            "{name}: {ran:#?}"
        );
        assert!(
            warnings
                .iter()
                .all(|line| line.contains("a directory is needed there")),
            "{name}: {ran:#?}"
        );
    }
    assert_eq!(phase("main", &file, "true").code, Some(1));
    // A damaged store: a miss, a warning, and the next save repairs it.
    let cache = sandbox.path("cache");
    assert_eq!(phase("main", &cache, "true").code, Some(0));
    assert_eq!(phase("post", &cache, "true").code, Some(0));
    trees::walk(&cache.join("local-cache-v1/packs"), &mut |path| {
        if path.is_file() {
            fs::write(path, b"spoiled").unwrap();
        }
    });
    let before = snapshot(&job.join("tree"));
    fs::rename(job.join("tree"), job.join("aside")).unwrap();
    let ran = phase("main", &cache, "false");
    assert!(
        ran.code == Some(0) && ran.stdout.contains("is damaged"),
        "{ran:#?}"
    );
    assert!(!job.join("tree").exists());
    fs::rename(job.join("aside"), job.join("tree")).unwrap();
    assert_eq!(phase("post", &cache, "false").code, Some(0));
    fs::rename(job.join("tree"), job.join("aside")).unwrap();
    assert_eq!(phase("main", &cache, "false").code, Some(0));
    assert_same(&before, &snapshot(&job.join("tree")));
}

#[test]
fn live_directories_are_never_pruned_and_what_should_not_be_cached_is_excluded_while_saving() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    trees::write(
        &job.join("tree/incremental/state"),
        &trees::random_bytes(1, 100 << 10),
    );
    let before = identities(&job);
    let paths = ["tree", "!tree/incremental"];
    sandbox
        .run(&job, &[&["save", "--key", "k"], &paths[..]].concat())
        .succeeded();
    sandbox.prune(0).succeeded();
    sandbox
        .run(&job, &[&["save", "--key", "k"], &paths[..]].concat())
        .succeeded();
    sandbox.repair().succeeded();
    sandbox
        .run(&job, &["prune", "--yes", "--max-size", "0"])
        .succeeded();
    assert_eq!(
        before,
        identities(&job),
        "saving or pruning changed what it was told to cache"
    );
    sandbox
        .run(&job, &[&["save", "--key", "k"], &paths[..]].concat())
        .succeeded();
    let other = sandbox.job("other");
    sandbox
        .run(&other, &[&["restore", "--key", "k"], &paths[..]].concat())
        .succeeded();
    assert!(other.join("tree/src").exists() && !other.join("tree/incremental").exists());
}
