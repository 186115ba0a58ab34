//! Pushes of one store at the same time.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use local_cache::ops::entries;
use local_cache::remote::{PushOutcome, PushStats, RemoteConfig, RemoteTier, Trust};
use local_cache::{EntryId, Env, Monitor, Store};

use super::write_tree;
use crate::support::Sandbox;
use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::s3::{KEY, SECRET};

/// Pushes the entry with a key.
fn push(server: &MemoryS3, root: &Path, key: &str, monitor: &dyn Monitor) -> PushStats {
    let store = Store::open(root).unwrap().unwrap();
    let id = entry_with(&store, key);
    let env = Env::default()
        .with("AWS_ACCESS_KEY_ID", KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET);
    let config = RemoteConfig::parse(&server.remote("")).unwrap();
    let tier = RemoteTier::new(&config, &env, Trust::Branch).unwrap();
    match tier.push(&store, &id, monitor).unwrap() {
        Some(PushOutcome::Pushed(stats)) => stats,
        other => panic!("{key}: {other:?}"),
    }
}

fn entry_with(store: &Store, key: &str) -> EntryId {
    let listed = entries::list(store, &Quiet).unwrap().into_iter();
    let mut entries = listed.map(|listed| listed.entry);
    entries.find(|entry| entry.key == key).unwrap().id()
}

struct Quiet;

impl Monitor for Quiet {}

/// Lets the other push go on once this one has waited for a while, or does not wait at all.
struct Waiting<'s> {
    server: &'s MemoryS3,
    polls: AtomicU32,
}

impl Monitor for Waiting<'_> {
    fn is_interrupted(&self) -> bool {
        let polls = self.polls.fetch_add(1, Ordering::Relaxed);
        if polls == 30 || self.server.held_writes() == 2 {
            self.server.release();
        }
        false
    }
}

#[test]
fn two_pushes_at_once_upload_the_same_contents_once() {
    let machine = Sandbox::new();
    let job = machine.job("job");
    write_tree(&job);
    for key in ["linux-1", "linux-2"] {
        machine.save(&job, key).succeeded();
    }
    let server = MemoryS3::start(Faults {
        held: Some("/segments/"),
        ..Faults::default()
    });
    let waiting = Waiting {
        server: &server,
        polls: AtomicU32::new(0),
    };
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| push(&server, machine.cache(), "linux-1", &Quiet));
        server.wait_until_held();
        let second = push(&server, machine.cache(), "linux-2", &waiting);
        (first.join().unwrap(), second)
    });
    assert!(first.segments > 0 && first.reused_bytes == 0, "{first:?}");
    assert_eq!(second.segments, 0, "{second:?}");
    assert!(second.reused_bytes > first.uploaded_bytes, "{second:?}");
    let segments = server.names("/segments/").len() as u64;
    assert_eq!(segments, first.segments);
    let bytes = first.uploaded_bytes + second.uploaded_bytes;
    assert_eq!(server.written_bytes(), bytes);
}

#[test]
fn a_push_waits_for_another_one_no_longer_than_its_timeout() {
    let machine = Sandbox::new();
    let job = machine.job("job");
    write_tree(&job);
    machine.save(&job, "linux-1").succeeded();
    let server = MemoryS3::start(Faults {
        held: Some("/segments/"),
        ..Faults::default()
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| push(&server, machine.cache(), "linux-1", &Quiet));
        server.wait_until_held();
        let impatient = server.remote("&timeout=1s");
        let arguments = [
            "save", "--json", "--remote", &impatient, "--key", "linux-2", "tree",
        ];
        let saved = server.run(&machine, &job, &arguments).exited(0);
        assert!(saved.is_saved());
        assert_eq!(saved.json()["remote"]["requests"], 0);
        let warnings = saved.warnings();
        let expected = "another job copies entries of its group";
        assert!(
            warnings.len() == 1 && warnings[0].contains(expected),
            "{warnings:?}"
        );
        server.release();
        first.join().unwrap();
    });
    let saved = server.run(
        &machine,
        &job,
        &["save", "--json", "--key", "linux-2", "tree"],
    );
    assert_eq!(saved.succeeded().json()["remote"]["pushed-entries"], 1);
}
