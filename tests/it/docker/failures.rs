//! Broken machines: one clear line, a miss, and the job continues.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use super::action::{Step, job};
use super::machine::{Mounted, snapshot};
use super::runner::Runner;
use super::support;

const WITH: [(&str, &str); 2] = [("path", "target"), ("key", "k")];

/// The texts of the warnings among the lines of a log.
fn warnings(said: &str) -> Vec<&str> {
    said.lines()
        .filter_map(|line| line.strip_prefix("::warning title=local-cache::"))
        .collect()
}

#[test]
fn without_a_responding_engine_the_job_continues_after_one_warning_for_each_phase() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    runner.user.tree(&runner.workspace.join("target"), 3, 3);
    let silent = std::env::temp_dir().join(support::unique("silent"));
    // It accepts connections and never replies.
    let _listener = UnixListener::bind(&silent).unwrap();
    let mounted = format!("--volume={}:/var/run/docker.sock", silent.display());
    for (reason, options) in [
        (
            "no Docker Engine answers: /var/run/docker.sock does not exist",
            None,
        ),
        (
            "the Docker Engine on /var/run/docker.sock did not answer",
            Some(&mounted),
        ),
    ] {
        let mut step = Step::new(&runner, &WITH).changed(move |stage| {
            let stage = stage.without("socket");
            if let Some(option) = options {
                stage.option(option)
            } else {
                stage
            }
        });
        for (phase, then) in [
            ("pre", ""),
            ("main", "Cache not found for input keys: k"),
            ("post", ""),
        ] {
            let answer = step.phase(phase);
            assert!(answer.status.success(), "{phase}: {answer:?}");
            assert!(
                answer.elapsed < Duration::from_secs(15),
                "{phase}: {:?}",
                answer.elapsed
            );
            let said = answer.stdout;
            let warned = warnings(&said);
            assert_eq!(warned.len(), usize::from(phase != "pre"), "{phase}: {said}");
            assert!(
                warned.iter().all(|line| line.starts_with(reason)),
                "{phase}: {said}"
            );
            assert!(said.contains(then), "{phase}: {said}");
        }
        assert_eq!(step.output("cache-hit"), None);
    }
    fs::remove_file(silent).unwrap();
}

#[test]
fn an_engine_that_hangs_does_not_keep_a_cancelled_step_from_ending() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let silent = std::env::temp_dir().join(support::unique("silent"));
    let _listener = UnixListener::bind(&silent).unwrap();
    let mounted = format!("--volume={}:/var/run/docker.sock", silent.display());
    let step = Step::new(&runner, &WITH).changed(|stage| stage.without("socket").option(&mounted));
    let phase = step.start("main");
    std::thread::sleep(Duration::from_millis(1_500));
    let (_, elapsed) = phase.cancel();
    assert!(elapsed < Duration::from_millis(7_500), "{elapsed:?}");
    fs::remove_file(&silent).unwrap();
}

#[test]
fn a_full_disk_below_the_store_is_only_a_warning() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let target = runner.workspace.join("target");
    runner.user.tree(&target, 60, 20_000);
    let disk = Mounted::new(&runner.user, 700);
    let root = disk.0.to_string_lossy().into_owned();
    let with = [&WITH[..], &[("cache-root", root.as_str())]].concat();
    for _ in 0..2 {
        let (before, after) = job(&runner, &with, |_| ());
        assert!(before.contains("Cache not found"), "{before}");
        let [warning] = warnings(&after)[..] else {
            panic!("{after}")
        };
        assert!(
            warning.contains("No space left on device; free some space"),
            "{after}"
        );
        assert!(
            warning.contains(&root) && !warning.contains("/host/"),
            "{after}"
        );
        assert!(!after.contains("Cache saved"), "{after}");
    }
    // The same store accepts an entry that fits.
    fs::remove_dir_all(&target).unwrap();
    runner.user.tree(&target, 10, 20_000);
    let (_, after) = job(&runner, &with, |_| ());
    assert!(after.contains("Cache saved with key: k"), "{after}");
    assert_eq!(
        super::runner::foreign_below(&disk.0, runner.user.uid),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn a_full_disk_below_the_workspace_is_a_warning_and_leaves_no_partial_files() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let disk = Mounted::new(&runner.user, 1_000);
    let path = disk.0.join("data").to_string_lossy().into_owned();
    let with = [("path", path.as_str()), ("key", "k")];
    runner.user.tree(Path::new(&path), 30, 20_000);
    let (_, after) = job(&runner, &with, |_| ());
    assert!(after.contains("Cache saved"), "{after}");
    fs::remove_dir_all(&path).unwrap();
    runner
        .user
        .file_at(&disk.0.join("ballast"), &vec![1; 600_000]);
    let mut step = Step::new(&runner, &with);
    let before = step.begin();
    let [warning] = warnings(&before)[..] else {
        panic!("{before}")
    };
    assert!(warning.contains("No space left on device"), "{before}");
    assert_eq!(step.output("cache-hit"), None);
    let names: Vec<_> = fs::read_dir(&disk.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["ballast"]);
    step.end("failure");
}

#[test]
fn a_store_and_a_workspace_on_different_filesystems_work() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let target = runner.workspace.join("target");
    runner.user.tree(&target, 50, 3_000);
    runner
        .user
        .file_at(&target.join("large"), &vec![7; 3_000_000]);
    let saved = snapshot(&target);
    let disk = Mounted::new(&runner.user, 40_000);
    assert_ne!(
        fs::metadata(&disk.0).unwrap().dev(),
        fs::metadata(&target).unwrap().dev()
    );
    let root = disk.0.to_string_lossy().into_owned();
    let with = [&WITH[..], &[("cache-root", root.as_str())]].concat();
    job(&runner, &with, |_| ());
    fs::remove_dir_all(&target).unwrap();
    let (before, _) = job(&runner, &with, |_| ());
    assert!(before.contains("Cache restored from key: k"), "{before}");
    assert_eq!(warnings(&before), Vec::<&str>::new());
    assert!(snapshot(&target) == saved);
    assert_eq!(
        super::runner::foreign_below(&disk.0, runner.user.uid),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn a_user_without_an_entry_in_passwd_is_served_and_told_the_assumed_home() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let mut runner = Runner::new();
    let stranger = 54_321;
    let home = runner.user.home.clone();
    for path in super::runner::all_below(&home) {
        chown(path, Some(stranger), Some(stranger)).unwrap();
    }
    runner.owner = Some(stranger);
    (runner.user.uid, runner.user.gid) = (stranger, stranger);
    runner.user.tree(&home.join(".cargo/registry"), 5, 9);
    let with = [("path", "~/.cargo/registry"), ("key", "k")];
    let saved = snapshot(&home.join(".cargo"));
    let (before, after) = job(&runner, &with, |_| ());
    let assumed = format!(
        "`~` is taken to be {}, because the host's passwd has no home",
        home.display()
    );
    assert!(after.contains(&assumed), "{before}{after}");
    fs::remove_dir_all(home.join(".cargo/registry")).unwrap();
    let (before, _) = job(&runner, &with, |_| ());
    assert!(
        before.contains(&assumed) && before.contains("Cache restored"),
        "{before}"
    );
    assert!(snapshot(&home.join(".cargo")) == saved);
}

#[test]
fn a_store_that_the_runners_user_may_not_write_is_only_a_warning() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    runner.user.tree(&runner.workspace.join("target"), 3, 3);
    let roots = tempfile::tempdir().unwrap();
    let root = roots.path().join("cache").to_string_lossy().into_owned();
    let with = [&WITH[..], &[("cache-root", root.as_str())]].concat();
    let (_, after) = job(&runner, &with, |_| ());
    let [warning] = warnings(&after)[..] else {
        panic!("{after}")
    };
    assert!(
        warning.contains("Permission denied") && warning.contains(&root),
        "{after}"
    );
    assert!(!warning.contains("/host/"), "{after}");
}
