//! What a system may refuse: locks, threads, a large stack, memory for lengths that are made up.

use std::fs;
use std::os::unix::fs::FileExt;

use local_cache::digest::Digest;

use crate::support::compare::{assert_same, snapshot};
use crate::support::tools::is_installed;
use crate::support::{RunResult, Sandbox, strace, trees};

/// A sandbox with one entry of small and large files.
fn saved() -> Sandbox {
    let sandbox = Sandbox::without_rights();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.chown_all();
    sandbox.save(&job, "k").succeeded();
    sandbox
}

#[test]
fn a_lock_that_cannot_be_released_ends_with_the_process() {
    if !is_installed("strace", "failing calls of flock") {
        return;
    }
    // Each call of flock fails once, also those that unlock.
    for number in 1..=6 {
        let sandbox = saved();
        let job = sandbox.job("other");
        let strace = strace::inject("flock", &format!("error=EIO:when={number}+"));
        let arguments = ["restore", "--json", "--key", "k", "tree"];
        let ran = RunResult::of(&mut sandbox.command_behind(&strace, &job, &arguments));
        assert!(matches!(ran.code, Some(0 | 1)), "call {number}: {ran:#?}");
        assert!(!ran.stderr.contains("panicked"), "call {number}: {ran:#?}");
        if ran.code == Some(0) {
            let (wanted, found) = (sandbox.path("job/tree"), job.join("tree"));
            assert_same(&snapshot(&wanted), &snapshot(&found));
        }
    }
}

#[test]
fn without_further_threads_and_with_a_small_stack_the_work_is_done() {
    if !is_installed("prlimit", "limits of threads and stacks") {
        return;
    }
    for limit in ["--nproc=1", "--stack=16384"] {
        let sandbox = saved();
        let prlimit = ["prlimit", limit];
        let run = |job: &std::path::Path, arguments: &[&str]| {
            RunResult::of(&mut sandbox.command_behind(&prlimit, job, arguments)).succeeded()
        };
        let (job, other) = (sandbox.job("job"), sandbox.job("other"));
        run(&job, &["save", "--json", "--key", "k2", "tree"]);
        run(&other, &["restore", "--json", "--key", "k2", "tree"]);
        assert_same(&snapshot(&job.join("tree")), &snapshot(&other.join("tree")));
        run(&job, &["verify"]);
        run(&job, &["prune", "--keep", "1"]);
    }
}

#[test]
fn a_made_up_length_takes_no_memory() {
    if !is_installed("prlimit", "a limit of memory") {
        return;
    }
    for kind in ["packs", "manifests", "blobs", "entries"] {
        let sandbox = saved();
        let file = trees_files(&sandbox, kind).pop().unwrap();
        // A terabyte of holes, with the trailer of a pack that has so many contents.
        let size: u64 = 1 << 40;
        let handle = fs::File::options().write(true).open(&file).unwrap();
        handle.set_len(size).unwrap();
        if kind == "packs" {
            let id: Digest = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let count = u32::MAX;
            let mut trailer = (size - 48 - u64::from(count) * 36).to_le_bytes().to_vec();
            trailer.extend(count.to_le_bytes());
            trailer.extend([0; 4]);
            trailer.extend(id.as_bytes());
            handle.write_all_at(&trailer, size - 48).unwrap();
        }
        let prlimit = ["prlimit", "--as=500000000"];
        for arguments in [
            &["restore", "--json", "--key", "k", "tree"][..],
            &["list"],
            &["verify"],
            &["doctor"],
            &["verify", "--repair"],
            &["prune", "--keep", "5"],
        ] {
            let job = sandbox.job("other");
            let ran = RunResult::of(&mut sandbox.command_behind(&prlimit, &job, arguments));
            assert!(
                matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"),
                "{kind}, {arguments:?}: {ran:#?}"
            );
        }
    }
}

#[test]
fn a_circle_of_rewritten_packs_ends() {
    let sandbox = saved();
    let packs = trees_files(&sandbox, "packs");
    let ids: Vec<_> = (0_u8..20).map(|number| Digest::of(&[number])).collect();
    let all = serde_json::to_vec(&ids).unwrap();
    for id in &ids {
        let moved = sandbox.store().join(format!("packs/{id}.moved"));
        fs::write(moved, &all).unwrap();
    }
    for pack in packs {
        fs::write(pack.with_extension("moved"), &all).unwrap();
        fs::remove_file(pack).unwrap();
    }
    sandbox.chown_all();
    assert_eq!(sandbox.verify().code, Some(1));
    let ran = sandbox.restore(&sandbox.job("other"), "k").exited(0);
    assert!(!ran.is_hit());
    sandbox.prune(5).exited(0);
    sandbox.verify().succeeded();
}

fn trees_files(sandbox: &Sandbox, kind: &str) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    trees::walk(&sandbox.store().join(kind), &mut |path| {
        if path.is_file() {
            files.push(path.to_owned());
        }
    });
    files
}
