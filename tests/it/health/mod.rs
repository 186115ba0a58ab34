//! What the phases of the action do besides restoring and saving.

mod events;
mod experiment;
mod room;
mod summary;
mod timeout;

use local_cache::stats::event::Event;
use local_cache::stats::journal;

use crate::compat::step::Step;
use crate::compat::support::{Job, Machine};

/// The events of a machine's store.
pub(super) fn events(machine: &Machine) -> Vec<Event> {
    let read = journal::read(&machine.store().join("local-cache-v1/events")).unwrap();
    assert_eq!(read.skipped, 0);
    read.events
}

/// A step that caches `data` under a key.
pub(super) fn step<'j>(job: &'j Job<'j>, key: &str) -> Step<'j> {
    job.cache().with("path", "data").with("key", key)
}

/// A job that makes `data` and saves it.
pub(super) fn saved(machine: &Machine, key: &str) {
    let job = machine.job();
    job.file("data/file", &format!("contents of {key}"));
    let mut step = step(&job, key);
    step.pre().passed();
    step.main().passed();
    step.post().passed().says("Cache saved with key");
}
