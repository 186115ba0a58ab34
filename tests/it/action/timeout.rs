//! Phases end at their time limit, even if a file or a lock hangs.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use local_cache::fs::{FileLock, LockMode};

use crate::support::machine::Machine;
use crate::support::step::{data_step, save_data};

/// The time limit of the steps plus the delay of a busy machine, which is less than the grace time
/// of a longer limit.
const SOON: Duration = Duration::from_secs(1 + 3);

#[test]
fn a_fifo_in_the_place_of_a_file_of_the_store_blocks_no_phase() {
    let machine = Machine::new();
    save_data(&machine, "k");
    // Opening a fifo for reading can block until it has a writer.
    let format = machine.store().join("local-cache-v1/format.json");
    fs::remove_file(&format).unwrap();
    nix::unistd::mkfifo(&format, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    let job = machine.job();
    job.file("data/file", "1");
    let mut cache = data_step(&job, "other").with("min-free-space", "1kB");
    for phase in ["pre", "main", "post"] {
        let done = match phase {
            "pre" => cache.pre().passed(),
            "main" => cache.main().passed().logs("::warning"),
            _ => cache.post().passed(),
        };
        assert!(!done.log.contains("gave up"), "{phase}: {}", done.log);
    }
}

#[test]
fn a_lock_that_another_process_holds_ends_each_phase_at_its_time_limit() {
    let machine = Machine::new();
    save_data(&machine, "k");
    let lock = File::open(machine.store().join("local-cache-v1/locks/store")).unwrap();
    let held = FileLock::try_acquire(lock, LockMode::Exclusive)
        .unwrap()
        .unwrap();
    let job = machine.job();
    let mut cache = data_step(&job, "k")
        .with("timeout", "1s")
        .with("max-cache-size", "1MB")
        .with("restore-keys", "k");
    let start = Instant::now();
    cache.pre().passed();
    assert!(start.elapsed() < SOON);
    let start = Instant::now();
    cache
        .main()
        .passed()
        .logs("::warning")
        .logs("Cache not found");
    assert!(start.elapsed() < SOON);
    job.file("data/file", "1");
    let start = Instant::now();
    cache.post().passed().logs("::warning");
    assert!(start.elapsed() < SOON);
    drop(held);
    data_step(&job, "k")
        .main()
        .passed()
        .logs("Cache restored from key: k");
}
