//! Processes that are killed at any instant, and disks that are full: the store opens, what is listed restores right,
//! a destination holds whole files only, and the next run goes on as if nothing had been.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::compare::{Picture, disk_usage, picture, same};
use crate::support::mounts::Mount;
use crate::support::tools::have;
use crate::support::{Ran, Sandbox, trees};

/// A store with two generations, and the tree as it was in each.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    one: Picture,
    two: Picture,
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
            trees::write(&tree.join(format!("first/{number}")), &trees::noise(60 + number, 250 << 10));
        }
        trees::age(&tree);
        sandbox.save(&job, "1").done();
        let one = picture(&tree);
        fs::remove_dir_all(tree.join("first")).unwrap();
        trees::write(&tree.join("src/3.rs"), b"the second generation");
        trees::write(&tree.join("new/directory/file"), &trees::noise(5, 300 << 10));
        fs::remove_file(tree.join("same")).unwrap();
        fs::create_dir(tree.join("same")).unwrap();
        trees::write(&tree.join("same/inside"), b"a directory now");
        trees::age(&tree);
        sandbox.save(&job, "2").done();
        let two = picture(&tree);
        Self { sandbox, job, one, two }
    }

    /// Everything that the store lists restores right, and the store is whole.
    #[track_caller]
    fn store_is_right(&self, when: &str) {
        let listed = self.sandbox.run(&self.job, &["list", "--json"]).done().json();
        let fresh = self.sandbox.path("fresh");
        for entry in listed.as_array().unwrap() {
            let key = entry["key"].as_str().unwrap();
            drop(fs::remove_dir_all(&fresh));
            let job = self.sandbox.job("fresh");
            assert!(
                self.sandbox.restore(&job, key).done().is_hit(),
                "{when}: {key} is listed and can't be restored"
            );
            let found = picture(&job.join("tree"));
            assert!(found == self.one || found == self.two, "{when}: {key} is neither generation");
        }
        let verified = self.sandbox.verify();
        assert!(verified.code == Some(0), "{when}: {verified:#?}");
    }

    /// The destination holds whole files of either generation, and what is not finished under temporary names only.
    #[track_caller]
    fn destination_is_whole(&self, tree: &Path, when: &str) {
        let right: BTreeSet<String> = contents_of(&self.one).chain(contents_of(&self.two)).collect();
        let found = picture(tree);
        for content in contents_of(&found) {
            assert!(right.contains(&content), "{when}: half a file: {content}");
        }
    }
}

/// Paths with kinds, sizes and digests, as far as they have names of their own.
fn contents_of(picture: &Picture) -> impl Iterator<Item = String> {
    picture.iter().filter(|(path, _)| !path.to_string_lossy().contains(".local-cache-")).filter_map(
        |(path, node)| {
            let text = format!("{node:?}");
            let what = text.split(", 0").next()?.to_owned();
            (!text.starts_with("directory")).then(|| format!("{} {what}", path.display()))
        },
    )
}

fn temporary_names(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    trees::walk(root, &mut |path| {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".local-cache-")) {
            found.push(path.to_owned());
        }
    });
    found
}

/// Calls at whose doors the program is killed.
const CALLS: [&str; 6] = [
    "rename,renameat,renameat2",
    "unlink,unlinkat,rmdir",
    "write,pwrite64,writev,ftruncate",
    "mkdir,mkdirat,symlinkat,linkat",
    "fchmod,fchmodat,utimensat",
    "openat",
];

/// Runs a command again and again, killed at another call each time, until it gets through.
///
/// `prepare` sets the scene before each run, `check` looks at what is left. Returns how often it was killed.
fn kill_at_each_call(
    sandbox: &Sandbox,
    job: &Path,
    arguments: &[&str],
    step: usize,
    prepare: impl Fn(),
    check: impl Fn(&str),
) -> usize {
    let mut kills = 0;
    for calls in CALLS {
        // The program's own calls begin after those that load it.
        let first = if calls == "openat" { 8 } else { 1 };
        let every = if calls.contains("write") || calls == "openat" { step * 4 } else { step };
        for at in (first..).step_by(every).take(12) {
            prepare();
            let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:signal=KILL:when={at}"));
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let ran = Ran::of(&mut sandbox.command_behind(&strace, job, arguments));
            let when = format!("killed at call {at} of {calls}");
            assert!(!ran.stderr.contains("panicked"), "{when}: {ran:#?}");
            check(&when);
            if ran.code.is_some_and(|code| code < 128) {
                break;
            }
            kills += 1;
        }
    }
    kills
}

#[test]
fn a_save_that_is_killed_leaves_a_store_that_is_right() {
    if !have("strace", "killing a save at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let before = disk_usage(&store);
    let third = case.sandbox.job("third");
    for number in 0..20 {
        trees::write(&third.join(format!("tree/{number}")), &trees::noise(900 + number, 100 << 10));
    }
    trees::write(&third.join("tree/large"), &trees::noise(950, 500 << 10));
    trees::age(&third.join("tree"));
    let wanted = picture(&third.join("tree"));
    let arguments = ["save", "--key", "3", "tree"];
    let kills = kill_at_each_call(
        &case.sandbox,
        &third,
        &arguments,
        1,
        || {},
        |when| {
            // As small as can be: the store opens, and what is listed is there.
            let verified = case.sandbox.verify();
            assert!(verified.code == Some(0), "{when}: {verified:#?}");
            let fresh = case.sandbox.job("fresh-3");
            if case.sandbox.restore(&fresh, "3").done().is_hit() {
                same(&wanted, &picture(&fresh.join("tree")));
                fs::remove_dir_all(fresh.join("tree")).unwrap();
                // So that the next run has something to do.
                case.sandbox.prune(2).done();
                for key in ["1", "2"] {
                    case.sandbox.run(&third, &["restore", "--lookup-only", "--key", key, "tree"]).done();
                }
            }
        },
    );
    assert!(kills > 5, "only {kills} kills");
    case.sandbox.save(&third, "4").done();
    let fresh = case.sandbox.job("fresh-4");
    case.sandbox.restore(&fresh, "4").done();
    same(&wanted, &picture(&fresh.join("tree")));
    // Nothing of the killed saves stays.
    case.sandbox.prune(3).done();
    assert_eq!(fs::read_dir(store.join("tmp")).unwrap().count(), 0);
    let added = disk_usage(&store) - before;
    assert!(added < 2 * disk_usage(&third), "{added} bytes more: killed saves left something");
}

#[test]
fn a_restore_that_is_killed_leaves_whole_files() {
    if !have("strace", "killing a restore at each of its calls") {
        return;
    }
    let case = Case::new();
    let other = case.sandbox.job("other");
    let prepare = || {
        case.sandbox.mirror(&other, "1").done();
    };
    let kills = kill_at_each_call(
        &case.sandbox,
        &other,
        &["restore", "--mirror", "--key", "2", "tree"],
        1,
        prepare,
        |when| {
            case.destination_is_whole(&other.join("tree"), when);
            // The next restore makes it right and removes what was left.
            case.sandbox.mirror(&other, "2").done();
            same(&case.two, &picture(&other.join("tree")));
            assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{when}");
        },
    );
    assert!(kills > 5, "only {kills} kills");
    case.store_is_right("after all");
}

#[test]
fn a_first_restore_that_is_killed_leaves_nothing_or_all() {
    if !have("strace", "killing a first restore at each of its calls") {
        return;
    }
    let case = Case::new();
    let other = case.sandbox.job("other");
    let prepare = || drop(fs::remove_dir_all(other.join("tree")));
    let arguments = ["restore", "--key", "1", "tree"];
    let kills = kill_at_each_call(&case.sandbox, &other, &arguments, 2, prepare, |when| {
        if other.join("tree").exists() {
            assert!(picture(&other.join("tree")) == case.one, "{when}: half a tree has the tree's name");
        }
        case.sandbox.restore(&other, "1").done();
        same(&case.one, &picture(&other.join("tree")));
        assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{when}");
    });
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn a_pruning_that_is_killed_leaves_a_store_that_is_right() {
    if !have("strace", "killing a pruning at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let whole = case.sandbox.path("whole");
    copy(&store, &whole);
    // Both generations share a pack, most of which only the first one needs.
    let prepare = || {
        fs::remove_dir_all(&store).unwrap();
        copy(&whole, &store);
    };
    let kills = kill_at_each_call(
        &case.sandbox,
        &case.job,
        &["prune", "--any-key", "--keep", "1"],
        1,
        prepare,
        |when| {
            case.store_is_right(when);
            // The second generation was used last, so the first one goes.
            case.sandbox.run(&case.job, &["restore", "--lookup-only", "--key", "2", "tree"]).done();
            // Twice: what the first one finds of a killed one must not mislead it.
            case.sandbox.prune(1).done();
            case.store_is_right(when);
            case.sandbox.prune(1).done();
            case.store_is_right(when);
            let left = disk_usage(&store);
            assert!(left < 2 * disk_usage(&case.job), "{when}: {left} bytes are left");
        },
    );
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn a_repair_that_is_killed_leaves_a_store_that_is_right() {
    if !have("strace", "killing a repair at each of its calls") {
        return;
    }
    let case = Case::new();
    let store = case.sandbox.store();
    let mut newest = None;
    trees::walk(&store.join("blobs"), &mut |path| {
        if path.is_file() && path.metadata().unwrap().len() == 300 << 10 {
            newest = Some(path.to_owned());
        }
    });
    let blob = newest.expect("the second generation has a blob of its own");
    fs::write(&blob, b"damaged").unwrap();
    let whole = case.sandbox.path("whole");
    copy(&store, &whole);
    let prepare = || {
        fs::remove_dir_all(&store).unwrap();
        copy(&whole, &store);
    };
    let kills = kill_at_each_call(&case.sandbox, &case.job, &["verify", "--repair"], 1, prepare, |when| {
        case.sandbox.repair().ended(0);
        case.store_is_right(when);
        assert!(case.sandbox.restore(&case.sandbox.job("older"), "1").done().is_hit(), "{when}");
        assert!(!case.sandbox.restore(&case.sandbox.job("newer"), "2").done().is_hit(), "{when}");
    });
    assert!(kills > 5, "only {kills} kills");
}

/// The state that a collection leaves which is killed after it published a rewritten pack and before it removed the
/// old one.
#[test]
fn a_pack_that_was_rewritten_but_not_removed_is_rewritten_again_without_loss() {
    let case = Case::new();
    let packs = case.sandbox.store().join("packs");
    let before = case.sandbox.path("packs-before");
    copy(&packs, &before);
    assert_eq!(case.sandbox.prune(1).done().json()["rewritten-packs"], 1);
    for old in fs::read_dir(&before).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&old, packs.join(old.file_name().unwrap())).unwrap();
    }
    for _ in 0..3 {
        case.sandbox.prune(1).done();
        case.store_is_right("after pruning again");
    }
    assert!(case.sandbox.restore(&case.sandbox.job("other"), "2").done().is_hit());
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[test]
fn processes_killed_at_random_instants_leave_everything_right() {
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
    case.sandbox.mirror(&other, "2").done();
    same(&case.two, &picture(&other_tree));
    assert_eq!(temporary_names(&other), [] as [PathBuf; 0]);
}

#[test]
fn a_signal_ends_a_restore_and_leaves_nothing_unfinished() {
    let case = Case::new();
    let other = case.sandbox.job("other");
    let mut interrupted = 0;
    for round in 0..12_u64 {
        let child = case.sandbox.command(&other, &["restore", "--key", "1", "tree"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(1500 * round));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let ran = Ran::end_of(child);
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        interrupted += u32::from(ran.code != Some(0));
        if ran.code.is_some() {
            assert_eq!(temporary_names(&other), [] as [PathBuf; 0], "{ran:#?}");
        }
        drop(fs::remove_dir_all(other.join("tree")));
    }
    assert!(interrupted > 0, "no run was interrupted");
    case.sandbox.restore(&other, "1").done();
    same(&case.one, &picture(&other.join("tree")));
}

#[test]
fn a_full_disk_under_the_store_loses_nothing() {
    let Some(mount) = Mount::tmpfs(16 << 20, "a store on a full disk") else { return };
    let sandbox = Sandbox::new().with_cache(mount.join("cache"));
    let case = Case::within(sandbox);
    let third = case.sandbox.job("third");
    for number in 0..10 {
        trees::write(&third.join(format!("tree/{number}")), &trees::noise(500 + number, 200 << 10));
    }
    trees::write(&third.join("tree/large"), &trees::noise(600, 3 << 20));
    trees::age(&third.join("tree"));
    let ballast = mount.join("ballast");
    let mut full = 0;
    for free in [0_u64, 4, 40, 400, 1000, 2000, 3000, 4500, 5200] {
        drop(fs::remove_file(&ballast));
        let room = nix::sys::statvfs::statvfs(mount.path()).unwrap();
        let used = (room.blocks_available() * room.fragment_size()).saturating_sub(free << 10);
        fs::write(&ballast, vec![0; usize::try_from(used).unwrap()]).unwrap();
        let key = format!("with-{free}");
        let ran = case.sandbox.save(&third, &key);
        if ran.code == Some(1) {
            full += 1;
            let line = ran.failed(1);
            assert!(line.contains("No space left on device") && line.contains("free some space"), "{line}");
            assert!(!case.sandbox.restore(&case.sandbox.job("nothing"), &key).ended(0).is_hit());
        } else {
            assert!(ran.ended(0).is_saved());
        }
        assert_eq!(
            fs::read_dir(case.sandbox.store().join("tmp")).unwrap().count(),
            0,
            "with {free} KiB free"
        );
        // What was there before is there still, also with no room for so much as a time of use.
        let fresh = case.sandbox.job("fresh");
        assert!(case.sandbox.restore(&fresh, "2").ended(0).is_hit());
        same(&case.two, &picture(&fresh.join("tree")));
        fs::remove_dir_all(fresh.join("tree")).unwrap();
        case.sandbox.prune(9).ended(0);
    }
    assert!(full >= 4, "the disk was full only {full} times");
    fs::remove_file(&ballast).unwrap();
    assert!(case.sandbox.save(&third, "at last").done().is_saved());
    let fresh = case.sandbox.job("fresh");
    case.sandbox.restore(&fresh, "at last").done();
    same(&picture(&third.join("tree")), &picture(&fresh.join("tree")));
}

#[test]
fn a_full_disk_under_the_destination_leaves_whole_files() {
    let Some(mount) = Mount::tmpfs(8 << 20, "a destination on a full disk") else { return };
    let case = Case::new();
    let job = mount.join("job");
    fs::create_dir(&job).unwrap();
    let ballast = mount.join("ballast");
    let mut full = 0;
    for (start, free) in [("", 0_u64), ("", 300), ("", 1500), ("2", 0), ("2", 8), ("2", 700), ("2", 1600)] {
        drop(fs::remove_file(&ballast));
        drop(fs::remove_dir_all(job.join("tree")));
        if !start.is_empty() {
            case.sandbox.restore(&job, start).done();
        }
        let room = nix::sys::statvfs::statvfs(mount.path()).unwrap();
        let used = (room.blocks_available() * room.fragment_size()).saturating_sub(free << 10);
        fs::write(&ballast, vec![0; usize::try_from(used).unwrap()]).unwrap();
        let ran = case.sandbox.mirror(&job, "1");
        if ran.code == Some(1) {
            full += 1;
            let line = ran.failed(1);
            assert!(line.contains("No space left on device"), "{line}");
            if start.is_empty() {
                assert!(!job.join("tree").exists(), "half a tree has the tree's name");
            } else {
                case.destination_is_whole(&job.join("tree"), "on a full disk");
            }
            assert_eq!(temporary_names(&job), [] as [PathBuf; 0], "with {free} KiB free");
        }
        fs::remove_file(&ballast).unwrap();
        case.sandbox.mirror(&job, "1").done();
        same(&case.one, &picture(&job.join("tree")));
    }
    assert!(full >= 4, "the disk was full only {full} times");
}

#[test]
fn a_limit_on_the_size_of_files_harms_nothing() {
    if !have("prlimit", "a limit on the size of files") {
        return;
    }
    let case = Case::new();
    let third = case.sandbox.job("third");
    trees::write(&third.join("tree/large"), &trees::noise(600, 900 << 10));
    trees::write(&third.join("tree/small"), &trees::noise(601, 200 << 10));
    for limit in [0, 10, 100, 4096, 100_000, 300_000] {
        let limit = format!("--fsize={limit}");
        let arguments = ["save", "--json", "--key", "limited", "tree"];
        let ran = Ran::of(&mut case.sandbox.command_behind(&["prlimit", &limit], &third, &arguments));
        assert!(ran.code != Some(0), "{ran:#?}");
        assert!(!case.sandbox.restore(&case.sandbox.job("none"), "limited").done().is_hit());
        case.store_is_right(&limit);
    }
    assert!(case.sandbox.save(&third, "limited").done().is_saved());
}
