//! Phases on disks that are too full.

use std::time::{Duration, SystemTime};

use crate::support::forge;
use crate::support::machine::Machine;
use crate::support::step::{data_step, events, save_data};

#[test]
fn without_free_space_nothing_is_saved_a_warning_reports_it_and_the_job_continues() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("data/file", "1");
    let full = || data_step(&job, "k").with("min-free-space", "9000PB");
    let mut cache = full();
    cache
        .pre()
        .passed()
        .logs("would be too full even without the cache");
    cache.main().passed();
    let post = cache
        .post()
        .passed()
        .logs("nothing is saved: the disk of")
        .logs("less than the required 9.0 EB");
    assert_eq!(
        (machine.entries(), post.log.matches("::warning").count()),
        (0, 1),
        "{}",
        post.log
    );
    job.save()
        .with("path", "data")
        .with("key", "k")
        .with("min-free-space", "9000PB")
        .main()
        .passed()
        .logs("nothing is saved")
        .logs("Cache save failed.");
    assert_eq!(machine.entries(), 0);
}

#[test]
fn the_first_phase_evicts_old_entries_of_a_store_that_is_too_large_and_lists_them() {
    let machine = Machine::new();
    for key in ["a", "b", "c"] {
        let job = machine.job();
        job.file("data/file", &key.repeat(200_000));
        job.saved("data", key);
    }
    let job = machine.job();
    let mut cache = data_step(&job, "c").with("max-cache-size", "450kB");
    let pre = cache.pre().passed().logs("removed 1 entry");
    pre.logs("::group::removed entries\na: ")
        .logs("\n::endgroup::\n");
    assert_eq!(machine.entries(), 2);
    cache.main().passed().logs("Cache restored from key: c");
    assert!(
        events(&machine)
            .iter()
            .any(|event| event.removed_entries == 1 && event.freed_bytes > 100_000)
    );
}

#[test]
fn with_the_limits_off_nothing_is_checked() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job();
    let mut cache = data_step(&job, "k");
    cache.pre().passed().does_not_log("disk");
    cache.main().passed();
    cache.post().passed().does_not_log("disk");
}

#[test]
fn a_full_disk_does_not_prevent_restoring() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let job = machine.job();
    let mut cache = data_step(&job, "k")
        .with("min-free-space", "9000PB")
        .with("disk-threshold", "1%");
    cache.pre().passed();
    cache.main().passed().logs("Cache restored from key: k");
    cache.post().passed();
    assert_eq!(
        machine.entries(),
        1,
        "a cache that is too small to help stays"
    );
}

#[test]
fn a_cache_that_exceeds_the_limit_of_the_store_alone_is_not_saved_and_evicts_nothing() {
    let machine = Machine::new();
    save_data(&machine, "small");
    for _ in 0..2 {
        let job = machine.job();
        job.file("data/file", &"x".repeat(500_000));
        let mut cache = data_step(&job, "large").with("max-cache-size", "450kB");
        cache.pre().passed();
        cache.main().passed().logs("Cache not found");
        let post = cache.post().passed().logs(
            "::warning title=local-cache::large is not saved: its files take 500 kB, and \
             `max-cache-size` leaves 428 kB for them; raise the limit, or cache less",
        );
        assert_eq!(
            post.log.matches("::warning").count(),
            1,
            "once in each job: {}",
            post.log
        );
        drop(post.does_not_log("removed"));
        assert_eq!(machine.entries(), 1, "the other entry stays");
        let blobs = machine.store().join("local-cache-v1/blobs");
        assert_eq!(blobs.read_dir().unwrap().count(), 0, "nothing was written");
    }
}

#[test]
fn hard_links_and_holes_take_no_room_of_the_limit() {
    let machine = Machine::new();
    let job = machine.job();
    let file = job.file("data/file", &"x".repeat(300_000));
    std::fs::hard_link(&file, file.with_file_name("link")).unwrap();
    let sparse = std::fs::File::create(file.with_file_name("sparse")).unwrap();
    sparse.set_len(10_000_000).unwrap();
    let mut cache = data_step(&job, "k").with("max-cache-size", "450kB");
    cache.pre().passed();
    cache.main().passed();
    cache.post().passed().logs("Cache saved with key: k");
    assert_eq!(machine.entries(), 1);
}

#[test]
fn a_job_collects_garbage_only_if_there_may_be_some() {
    let machine = Machine::new();
    save_data(&machine, "first");
    let store = machine.store().join("local-cache-v1");
    let (bytes, id) = forge::pack(&[b"garbage"]);
    let garbage = store.join(format!("packs/{id}.pack"));
    std::fs::write(&garbage, bytes).unwrap();
    save_data(&machine, "second");
    assert!(garbage.exists(), "nothing says that there is garbage");

    let job = machine.job();
    job.file("data/file", "limited");
    let mut limited = data_step(&job, "limited").with("max-cache-size", "1GB");
    limited.pre().passed();
    limited.main().passed();
    limited.post().passed().logs("Cache saved with key");
    assert!(garbage.exists(), "the store is smaller than its limit");

    let left = store.join("tmp/left");
    std::fs::write(&left, "").unwrap();
    save_data(&machine, "third");
    assert!(garbage.exists(), "a file in `tmp` that may be in use");

    let collected = std::fs::File::open(store.join("collected")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    collected.set_modified(long_ago).unwrap();
    save_data(&machine, "fourth");
    assert!(!garbage.exists() && !left.exists());
}
