//! The requests and bytes of jobs that docs/remote-servers.md names.

use super::bucket::MemoryBucket;
use super::machine::{Machine, noise};
use crate::monitor::Silent;
use crate::ops::second_tier::{SecondTier as _, TierReport};
use crate::remote::Trust;
use crate::store::EntryId;

const DOCUMENT: &str = include_str!("../../../docs/remote-servers.md");
/// The entry of the document: files that do not compress.
const FILES: u32 = 1_000;
const FILE_BYTES: usize = 40_000;

/// A row of the table in the document.
fn row(job: &str, report: &TierReport) -> String {
    let megabytes = |bytes: u64| match bytes {
        0 => "0".to_owned(),
        1..100_000 => "< 0.1 MB".to_owned(),
        bytes => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    };
    let (sent, received) = (report.sent_bytes, report.received_bytes);
    format!(
        "| {job} | {} | {} | {} |",
        report.requests,
        megabytes(sent),
        megabytes(received)
    )
}

fn push(machine: &Machine, id: &EntryId) -> TierReport {
    let tier = machine.tier(Trust::Branch);
    tier.push(&machine.store, id, &Silent).unwrap();
    tier.report()
}

fn restore(machine: &Machine, key: &str, is_hit: bool) -> TierReport {
    let tier = machine.tier(Trust::Branch);
    let found = machine.restore(&tier, key, &[], &Silent);
    assert_eq!(found.is_some(), is_hit);
    tier.report()
}

#[test]
fn jobs_have_the_requests_and_bytes_of_the_documentation() {
    let bucket = MemoryBucket::new();
    let (a, b) = (Machine::new(&bucket), Machine::new(&bucket));
    let write = |machine: &Machine, file: u32, seed: u32| {
        machine.write(&format!("{file}"), &noise(seed, FILE_BYTES));
    };
    (0..FILES).for_each(|file| write(&a, file, file));
    // What this look-up found is remembered for seconds, so the machine is another one.
    let miss = restore(&Machine::new(&bucket), "linux-1", false);
    let first_save = push(&a, &a.save("linux-1"));
    let local = restore(&a, "linux-1", true);
    let remote = restore(&b, "linux-1", true);
    (0..FILES)
        .step_by(100)
        .for_each(|file| write(&a, file, FILES + file));
    let second = a.save("linux-2");
    let changed_save = push(&a, &second);
    let present_save = push(&a, &second);
    let changed = restore(&b, "linux-2", true);
    let rows = [
        row("restore: no entry anywhere", &miss),
        row("restore: exact match in the store", &local),
        row("restore: exact match on the remote, empty store", &remote),
        row(
            "restore: exact match on the remote, 1 % of the files are new to the store",
            &changed,
        ),
        row("save: first entry", &first_save),
        row("save: 1 % of the files changed", &changed_save),
        row("save: the remote has the entry", &present_save),
    ];
    for row in &rows {
        assert!(
            DOCUMENT.contains(row),
            "docs/remote-servers.md lacks one of\n{}",
            rows.join("\n")
        );
    }
}
