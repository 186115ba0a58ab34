//! What every cache on a local disk has to get right, after the end-to-end workflow of
//! curlewlabs-com/local-cache (.github/workflows/ci.yml): cold start, exact, prefix, miss and odd
//! keys are in `outputs`, `matching` and `keys`; here are dangerous targets, and what several jobs
//! on one disk do to each other.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;

use crate::support::machine::{Job, Machine};

#[test]
fn a_cold_start_makes_the_store_at_the_first_save_only() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with("path", "data").with("key", "k");
    step.pre().passed();
    step.main()
        .passed()
        .logs("Cache not found")
        .does_not_log("::warning");
    assert!(!machine.store().exists());
    job.file("data/file", "1");
    step.post().passed().logs("Cache saved with key: k");
    assert!(machine.store().join("local-cache-v1/CACHEDIR.TAG").exists());
}

#[test]
fn changing_restored_files_does_not_change_the_entry() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/small", "small");
    job.file("data/large", &"large".repeat(400_000));
    job.saved("data", "k");
    let spoil = machine.job();
    spoil.found("data", "k", "");
    for name in ["data/small", "data/large"] {
        let path = spoil.locate(name);
        assert_eq!(path.metadata().unwrap().nlink(), 1, "{name}");
        let mut contents = fs::read(&path).unwrap();
        contents.reverse();
        fs::write(path, contents).unwrap();
    }
    let later = machine.job();
    later.found("data", "k", "");
    assert_eq!(later.read("data/small").as_deref(), Some("small"));
    assert_eq!(later.read("data/large"), Some("large".repeat(400_000)));
}

#[test]
fn changing_saved_files_afterwards_does_not_change_the_entry() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/large", &"large".repeat(400_000));
    job.saved("data", "k");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(job.locate("data/large"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"XXXXX", 0).unwrap();
    let later = machine.job();
    later.found("data", "k", "");
    assert_eq!(later.read("data/large"), Some("large".repeat(400_000)));
}

#[test]
fn saving_again_changes_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    job.saved("data", "k");
    let entries = machine.store().join("local-cache-v1/entries");
    let read = || {
        let files = fs::read_dir(&entries)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect::<Vec<_>>()
    };
    let before = read();
    job.file("data/file", "2");
    for _ in 0..2 {
        job.save()
            .with("path", "data")
            .with("key", "k")
            .main()
            .passed()
            .does_not_log("Cache saved");
    }
    assert_eq!(read(), before);
}

#[test]
fn restoring_again_writes_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/a", "1");
    job.file("data/b", "2");
    job.saved("data", "k");
    let later = machine.job();
    let step = || {
        later
            .restore()
            .with("path", "data")
            .with("key", "k")
            .main()
            .passed()
    };
    step().logs("2 files written");
    step().logs("0 files written (0 B), 2 files up to date");
}

#[test]
fn jobs_restore_one_entry_at_once() {
    let machine = Machine::new();
    let job = machine.job();
    for number in 0..50 {
        job.file(&format!("data/{number}"), &number.to_string());
    }
    job.saved("data", "k");
    let jobs: Vec<Job<'_>> = (0..6).map(|_| machine.job()).collect();
    thread::scope(|scope| {
        for job in &jobs {
            scope.spawn(move || assert_eq!(job.found("data", "k", "").as_deref(), Some("k")));
        }
    });
    for job in &jobs {
        for number in 0..50 {
            assert_eq!(
                job.read(&format!("data/{number}")),
                Some(number.to_string())
            );
        }
    }
}

#[test]
fn jobs_restore_into_one_directory_at_once() {
    let machine = Machine::new();
    let job = machine.job();
    for number in 0..50 {
        job.file(&format!("~/.cache/{number}"), &number.to_string());
    }
    job.saved("~/.cache", "k");
    fs::remove_dir_all(job.locate("~/.cache")).unwrap();
    let jobs: Vec<Job<'_>> = (0..4).map(|_| machine.job()).collect();
    thread::scope(|scope| {
        for job in &jobs {
            scope.spawn(move || assert_eq!(job.found("~/.cache", "k", "").as_deref(), Some("k")));
        }
    });
    for number in 0..50 {
        assert_eq!(
            job.read(&format!("~/.cache/{number}")),
            Some(number.to_string())
        );
    }
    assert_eq!(
        fs::read_dir(job.locate("~/.cache")).unwrap().count(),
        50,
        "nothing unfinished is left"
    );
}

#[test]
fn keys_that_differ_are_saved_side_by_side() {
    let machine = Machine::new();
    let jobs: Vec<(usize, Job<'_>)> = (0..4).map(|number| (number, machine.job())).collect();
    thread::scope(|scope| {
        for (number, job) in &jobs {
            job.file("data/file", &"x".repeat(*number));
            scope.spawn(move || job.saved("data", &format!("k-{number}")));
        }
    });
    for (number, job) in &jobs {
        assert_eq!(
            job.found("data", &format!("k-{number}"), ""),
            Some(format!("k-{number}"))
        );
        assert_eq!(job.read("data/file"), Some("x".repeat(*number)));
    }
}

#[test]
fn a_restore_replaces_files_of_other_kinds() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/was-file/x", "1");
    job.file("data/was-directory", "2");
    job.link("data/was-real", "was-directory");
    job.saved("data", "k");
    let later = machine.job();
    later.file("data/was-file", "in the way");
    later.file("data/was-directory/y", "in the way");
    later.file("data/was-real", "in the way");
    let restore = |mirror: &str| {
        let step = later.restore().with("path", "data").with("key", "k");
        step.with("mirror", mirror).main().passed()
    };
    // Only a restore that may remove files removes those of a directory.
    let done = restore("false");
    done.logs("is a directory that is not empty")
        .logs("Cache not found");
    assert_eq!(
        later.read("data/was-directory/y").as_deref(),
        Some("in the way")
    );
    let done = restore("true");
    assert_eq!(done.hit(), "true", "{}", done.log);
    assert_eq!(later.read("data/was-file/x").as_deref(), Some("1"));
    assert_eq!(later.read("data/was-directory").as_deref(), Some("2"));
    assert!(later.locate("data/was-real").is_symlink());
}

#[test]
fn the_root_of_the_filesystem_is_neither_saved_nor_restored() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with("path", "/").with("key", "k");
    step.main().passed().logs("Cache not found");
    step.post()
        .passed()
        .logs("the root of the filesystem cannot be cached; name directories in it");
    assert_eq!(machine.entries(), 0);
}

#[test]
fn a_mirrored_home_loses_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("~/.cache/x", "1");
    job.saved("~", "k");
    job.file("~/.runner-credentials", "2");
    let done = job.mirrored("~", "k");
    done.logs("::warning title=local-cache::")
        .logs("contains the home directory, so nothing is removed;");
    assert_eq!(job.read("~/.runner-credentials").as_deref(), Some("2"));
}

#[test]
fn a_mirrored_directory_above_the_workspace_loses_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    let above = job.workspace.parent().unwrap().display().to_string();
    job.file("a", "1");
    job.saved(&above, "k");
    job.file("b", "2");
    let done = job.mirrored(&above, "k");
    done.logs("contains the directory of the workspace, so nothing is removed;");
    assert_eq!(job.read("b").as_deref(), Some("2"));
}

#[test]
fn mirror_removes_what_the_entry_does_not_have() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a/x", "1");
    job.saved("a", "k");
    job.file("a/y", "2");
    job.file("b/z", "3");
    let done = job.mirrored("a", "k");
    done.does_not_log("::warning");
    assert!(
        job.locate("a/x").exists() && !job.locate("a/y").exists() && job.locate("b/z").exists()
    );
}

#[test]
fn without_mirror_extraneous_files_stay() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a/x", "1");
    job.saved("a", "k");
    job.file("a/x", "changed");
    job.file("a/y", "2");
    job.found("a", "k", "");
    assert_eq!(job.read("a/x").as_deref(), Some("1"));
    assert_eq!(job.read("a/y").as_deref(), Some("2"));
}

#[test]
fn old_entries_of_a_list_of_paths_are_evicted_and_those_of_others_stay() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    job.file("other/file", "1");
    job.saved("other", "k-0");
    for number in 0..4 {
        let key = format!("k-{number:040x}");
        job.save()
            .with("path", "data")
            .with("key", &key)
            .with("keep", "2")
            .main()
            .passed();
    }
    let found = |path: &str, key: &str| job.found(path, key, "").is_some();
    let kept = [0, 1, 2, 3].map(|number| found("data", &format!("k-{number:040x}")));
    assert_eq!(kept, [false, false, true, true]);
    assert!(found("other", "k-0"));
}
