//! Killed processes and full disks: the store opens, listed entries restore correctly, a
//! destination holds only whole files, and the next run works as usual.

mod full;
mod killed;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::tools::copy_tree;
use crate::support::{RunResult, Sandbox, trees};

/// A store with two generations, and the tree of each.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    one: Snapshot,
    two: Snapshot,
}

impl Case {
    fn new() -> Self {
        Self::within(Sandbox::new())
    }

    fn within(sandbox: Sandbox) -> Self {
        let job = sandbox.job("job");
        let tree = job.join("tree");
        trees::small(&tree, 1);
        // Contents that only the first generation has: its pack is mostly dead without it.
        for number in 0..6 {
            trees::write(
                &tree.join(format!("first/{number}")),
                &trees::random_bytes(60 + number, 250 << 10),
            );
        }
        trees::make_old(&tree);
        sandbox.save(&job, "1").succeeded();
        let one = snapshot(&tree);
        fs::remove_dir_all(tree.join("first")).unwrap();
        trees::write(&tree.join("src/3.rs"), b"the second generation");
        trees::write(
            &tree.join("new/directory/file"),
            &trees::random_bytes(5, 300 << 10),
        );
        fs::remove_file(tree.join("same")).unwrap();
        fs::create_dir(tree.join("same")).unwrap();
        trees::write(&tree.join("same/inside"), b"a directory now");
        trees::make_old(&tree);
        sandbox.save(&job, "2").succeeded();
        let two = snapshot(&tree);
        Self {
            sandbox,
            job,
            one,
            two,
        }
    }

    /// Everything that the store lists restores right, and the store is whole.
    #[track_caller]
    fn store_is_right(&self, when: &str) {
        let listed = self
            .sandbox
            .run(&self.job, &["list", "--json"])
            .succeeded()
            .json();
        let fresh = self.sandbox.path("fresh");
        for entry in listed.as_array().unwrap() {
            let key = entry["key"].as_str().unwrap();
            drop(fs::remove_dir_all(&fresh));
            let job = self.sandbox.job("fresh");
            assert!(
                self.sandbox.restore(&job, key).succeeded().is_hit(),
                "{when}: {key} is listed and cannot be restored"
            );
            let found = snapshot(&job.join("tree"));
            assert!(
                found == self.one || found == self.two,
                "{when}: {key} is neither generation"
            );
        }
        let verified = self.sandbox.verify();
        assert!(verified.code == Some(0), "{when}: {verified:#?}");
    }

    /// Demands that the destination has whole files of either generation, and unfinished ones only
    /// under temporary names.
    #[track_caller]
    fn destination_is_whole(&self, tree: &Path, when: &str) {
        let right: BTreeSet<String> = contents_of(&self.one)
            .chain(contents_of(&self.two))
            .collect();
        let found = snapshot(tree);
        for content in contents_of(&found) {
            assert!(right.contains(&content), "{when}: half a file: {content}");
        }
    }
}

/// Paths with kinds, sizes and digests, as far as they have names of their own.
fn contents_of(picture: &Snapshot) -> impl Iterator<Item = String> {
    picture
        .iter()
        .filter(|(path, _)| !path.to_string_lossy().contains(".local-cache-"))
        .filter_map(|(path, node)| {
            let text = format!("{node:?}");
            let what = text.split(", 0").next()?.to_owned();
            (!text.starts_with("directory")).then(|| format!("{} {what}", path.display()))
        })
}

fn temporary_names(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    trees::walk(root, &mut |path| {
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(".local-cache-"))
        {
            found.push(path.to_owned());
        }
    });
    found
}

/// The state after a collection that was killed between publishing a rewritten pack and removing
/// the old one.
#[test]
fn a_pack_that_was_rewritten_but_not_removed_is_rewritten_again_without_loss() {
    let case = Case::new();
    let packs = case.sandbox.store().join("packs");
    let before = case.sandbox.path("packs-before");
    copy_tree(&packs, &before);
    assert_eq!(
        case.sandbox.prune(1).succeeded().json()["rewritten-packs"],
        1
    );
    for old in fs::read_dir(&before)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        fs::copy(&old, packs.join(old.file_name().unwrap())).unwrap();
    }
    for _ in 0..3 {
        case.sandbox.prune(1).succeeded();
        case.store_is_right("after pruning again");
    }
    assert!(
        case.sandbox
            .restore(&case.sandbox.job("other"), "2")
            .succeeded()
            .is_hit()
    );
}

#[test]
fn processes_killed_at_random_times_leave_a_correct_store() {
    let case = Case::new();
    let other = case.sandbox.job("other");
    let other_tree = other.join("tree");
    for round in 0..24_u64 {
        let key = format!("random-{round}");
        let (job, arguments): (&Path, Vec<&str>) = match round % 4 {
            0 => (&case.job, vec!["save", "--key", &key, "tree"]),
            1 => (&other, vec!["restore", "--mirror", "--key", "2", "tree"]),
            2 => (&other, vec!["restore", "--mirror", "--key", "1", "tree"]),
            _ => (&case.job, vec!["verify", "--repair"]),
        };
        let mut child = case.sandbox.command(job, &arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(700 * (round % 12) * (round % 5 + 1)));
        child.kill().unwrap();
        child.wait().unwrap();
        if other_tree.exists() {
            case.destination_is_whole(&other_tree, &format!("round {round}"));
        }
    }
    case.store_is_right("after all rounds");
    case.sandbox.mirror(&other, "2").succeeded();
    assert_same(&case.two, &snapshot(&other_tree));
    assert_eq!(temporary_names(&other), [] as [PathBuf; 0]);
}

#[test]
fn a_signal_ends_a_restore_and_leaves_no_partial_files() {
    let case = Case::new();
    let other = case.sandbox.job("other");
    let mut interrupted = 0;
    for round in 0..12_u64 {
        let child = case
            .sandbox
            .command(&other, &["restore", "--key", "1", "tree"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(1500 * round));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let ran = RunResult::wait_for(child);
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        interrupted += u32::from(ran.code != Some(0));
        if ran.code.is_some() {
            assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{ran:#?}");
        }
        drop(fs::remove_dir_all(other.join("tree")));
    }
    assert!(interrupted > 0, "no run was interrupted");
    case.sandbox.restore(&other, "1").succeeded();
    assert_same(&case.one, &snapshot(&other.join("tree")));
}
