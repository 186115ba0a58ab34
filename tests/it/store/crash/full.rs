//! Full disks, and a limit on the size of files.

use std::fs;
use std::path::PathBuf;

use super::{Case, temporary_names};
use crate::support::compare::{assert_same, snapshot};
use crate::support::mounts::Mount;
use crate::support::tools::is_installed;
use crate::support::{RunResult, Sandbox, trees};

#[test]
fn a_full_disk_under_the_store_loses_nothing() {
    let Some(mount) = Mount::tmpfs(16 << 20, "a store on a full disk") else {
        return;
    };
    let sandbox = Sandbox::new().with_cache(mount.join("cache"));
    let case = Case::within(sandbox);
    let third = case.sandbox.job("third");
    for number in 0..10 {
        trees::write(
            &third.join(format!("tree/{number}")),
            &trees::random_bytes(500 + number, 200 << 10),
        );
    }
    trees::write(
        &third.join("tree/large"),
        &trees::random_bytes(600, 3 << 20),
    );
    trees::make_old(&third.join("tree"));
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
            assert!(
                line.contains("No space left on device") && line.contains("free some space"),
                "{line}"
            );
            assert!(
                !case
                    .sandbox
                    .restore(&case.sandbox.job("nothing"), &key)
                    .exited(0)
                    .is_hit()
            );
        } else {
            assert!(ran.exited(0).is_saved());
        }
        assert_eq!(
            fs::read_dir(case.sandbox.store().join("tmp"))
                .unwrap()
                .count(),
            0,
            "with {free} KiB free"
        );
        // What was there before is there still, also with no room for so much as a time of use.
        let fresh = case.sandbox.job("fresh");
        assert!(case.sandbox.restore(&fresh, "2").exited(0).is_hit());
        assert_same(&case.two, &snapshot(&fresh.join("tree")));
        fs::remove_dir_all(fresh.join("tree")).unwrap();
        case.sandbox.prune(9).exited(0);
    }
    assert!(full >= 4, "the disk was full only {full} times");
    fs::remove_file(&ballast).unwrap();
    assert!(case.sandbox.save(&third, "at last").succeeded().is_saved());
    let fresh = case.sandbox.job("fresh");
    case.sandbox.restore(&fresh, "at last").succeeded();
    assert_same(
        &snapshot(&third.join("tree")),
        &snapshot(&fresh.join("tree")),
    );
}

#[test]
fn a_full_disk_under_the_destination_leaves_no_partial_files() {
    let Some(mount) = Mount::tmpfs(8 << 20, "a destination on a full disk") else {
        return;
    };
    let case = Case::new();
    let job = mount.join("job");
    fs::create_dir(&job).unwrap();
    let ballast = mount.join("ballast");
    let mut full = 0;
    for (start, free) in [
        ("", 0_u64),
        ("", 300),
        ("", 1500),
        ("2", 0),
        ("2", 8),
        ("2", 700),
        ("2", 1600),
    ] {
        drop(fs::remove_file(&ballast));
        drop(fs::remove_dir_all(job.join("tree")));
        if !start.is_empty() {
            case.sandbox.restore(&job, start).succeeded();
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
                assert!(
                    !job.join("tree").exists(),
                    "half a tree has the tree's name"
                );
            } else {
                case.destination_is_whole(&job.join("tree"), "on a full disk");
            }
            assert_eq!(
                temporary_names(&job),
                [] as [PathBuf; 0],
                "with {free} KiB free"
            );
        }
        fs::remove_file(&ballast).unwrap();
        case.sandbox.mirror(&job, "1").succeeded();
        assert_same(&case.one, &snapshot(&job.join("tree")));
    }
    assert!(full >= 4, "the disk was full only {full} times");
}

#[test]
fn a_limit_on_the_size_of_files_harms_nothing() {
    if !is_installed("prlimit", "a limit on the size of files") {
        return;
    }
    let case = Case::new();
    let third = case.sandbox.job("third");
    trees::write(
        &third.join("tree/large"),
        &trees::random_bytes(600, 900 << 10),
    );
    trees::write(
        &third.join("tree/small"),
        &trees::random_bytes(601, 200 << 10),
    );
    for limit in [0, 10, 100, 4096, 100_000, 300_000] {
        let limit = format!("--fsize={limit}");
        let arguments = ["save", "--json", "--key", "limited", "tree"];
        let ran = RunResult::of(&mut case.sandbox.command_behind(
            &["prlimit", &limit],
            &third,
            &arguments,
        ));
        assert!(ran.code != Some(0), "{ran:#?}");
        assert!(
            !case
                .sandbox
                .restore(&case.sandbox.job("none"), "limited")
                .succeeded()
                .is_hit()
        );
        case.store_is_right(&limit);
    }
    assert!(case.sandbox.save(&third, "limited").succeeded().is_saved());
}
