//! Free space: what the limits decide, as tables, and what is done on small filesystems.

mod disks;
mod limits;
mod removals;
mod size;
mod speed;

use std::fs;
use std::time::{Duration, SystemTime};

use local_cache::store::Store;

/// Sets the times of a store as if it had not changed for an hour.
fn settle(store: &Store) {
    let layout = store.layout();
    let shelves = fs::read_dir(layout.blobs())
        .unwrap()
        .map(|shelf| shelf.unwrap().path());
    let all = [
        layout.entries(),
        layout.manifests(),
        layout.packs(),
        layout.blobs(),
    ];
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for dir in all.into_iter().chain(shelves) {
        fs::File::open(dir).unwrap().set_modified(hour_ago).unwrap();
    }
}
