//! Removing old entries from the remote, and data that no entry needs.
//!
//! # Why no record ever loses its data
//!
//! There are no locks on the remote. A push may decide to reuse a segment while garbage collection
//! decides to remove it. What makes that safe:
//!
//! 1. Names are unique: each push writes its id into everything it names by a digest. So an object
//!    is written once, and a deletion that arrives late cannot hit something new.
//! 2. Records never change, and only garbage collection removes them. A newer entry of a key is
//!    another record.
//! 3. A run lists the objects, then reads the records and the marks of the earlier runs. **Every
//!    record that the list shows protects its data for the whole run**, also if the run removes the
//!    record. What no record names is marked with the time of the first run that found it so; what
//!    a record names has no mark.
//!    A record that cannot be read may name anything, so a run leaves its group as it is.
//! 4. A run writes the marks, then deletes data that has been marked for the grace period, then
//!    deletes records. A repair ([`remove_records`]) deletes all marks of a group before its records.
//! 5. A push reuses data that a record names, or that is younger than [`RESUME_AGE`]. It writes its
//!    record within [`PUSH_LIMIT`] of its start, or never, also if the machine was suspended.
//! 6. The grace period is at least [`SHORTEST_GRACE`], which is longer than both limits together.
//!
//! Let a push start at `p` and reuse a segment `s`. It is done by `p + PUSH_LIMIT`, or its record
//! never appears.
//!
//! - If `s` was young, it was written after `p - RESUME_AGE`, and its mark is not older than that.
//! - If a record `r` named `s`, and `r` exists when a later run lists, `r` protects `s` in this run.
//!   Otherwise a run or a repair removed `r` after `p`. Before that, it had written marks without `s`
//!   or deleted all marks (4), and `r` kept others from marking `s` (3). So the mark of `s` is younger
//!   than `p`.
//!
//! In both cases a run that deletes `s` starts after `p - RESUME_AGE + SHORTEST_GRACE`, hence after
//! the push has written its record. The run's list shows the record, which protects `s` (3).
//!
//! Clocks: an S3 server refuses requests whose time differs from its own by more than 15 minutes.
//! [`SHORTEST_GRACE`] leaves an hour for clocks and for requests that take effect late. Lists show
//! what was written before (S3, Ceph, `MinIO`, R2 and Garage promise that).
//!
//! # Who is trusted
//!
//! Any readable record protects its data, also one that is not signed: that can only delay a
//! removal. Which records are dropped is decided separately for those that trusted keys signed and
//! for all others. So nobody without a key can make a run drop entries by adding newer ones, and
//! entries of keys that are no longer trusted go like any others. Marks have no signature: a wrong
//! one can cost a push its data, but anyone who can write it can damage the data as well.
//!
//! The argument is about **one** run or repair at a time: run them from one place. [`model`] goes
//! through all interleavings of these steps.

mod decide;
#[cfg(test)]
mod model;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

pub(crate) use decide::names_of;
use decide::{Unreferenced, decide_data};

use crate::error::Error;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::remote::client::{ListedObject, RemoteClient};
use crate::remote::error::RemoteResult;
use crate::remote::lookup::{read_records, records_among};
use crate::remote::name::{GroupName, ObjectKind};
#[cfg(doc)]
use crate::remote::push::{PUSH_LIMIT, RESUME_AGE};
use crate::remote::record::ReadRecord;
use crate::store::EntryId;
use crate::store::retention::{RetentionCandidate, RetentionPolicy, decide, family};

/// Data stays for at least so long after the first run that found it unneeded.
pub const SHORTEST_GRACE: Duration = Duration::from_secs(4 * 60 * 60);
/// A check is done with its object after a few seconds.
const PROBE_AGE: Duration = Duration::from_secs(60 * 60);
/// How many bytes the marks of one group may have.
pub(super) const LARGEST_MARKS: u64 = 64 << 20;

/// What garbage collection removes.
#[derive(Clone, Debug)]
pub struct RemoteGcOptions {
    pub policy: RetentionPolicy,
    pub grace: Duration,
    /// Only report what would be removed.
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteGcStats {
    pub removed_entries: u64,
    pub kept_entries: u64,
    pub removed_objects: u64,
    pub removed_bytes: u64,
    /// Unneeded data that stays until its grace period is over.
    pub waiting_bytes: u64,
    /// Groups that stay as they are, because a record in them cannot be read.
    pub skipped_groups: u64,
}

/// Removes old entries and unneeded data from all groups.
pub(crate) fn collect(
    client: &RemoteClient,
    options: &RemoteGcOptions,
    monitor: &dyn Monitor,
) -> RemoteResult<RemoteGcStats> {
    monitor.begin(Stage::Cleaning, 0);
    let now = Timestamp::now();
    let mut stats = RemoteGcStats::default();
    let objects = client.list("", monitor)?;
    if !options.dry_run {
        client.delete(&old_probes(&objects, now), monitor)?;
    }
    for (group, objects) in by_group(objects) {
        if monitor.is_interrupted() {
            return Err(Error::Interrupted.into());
        }
        let collection = GroupCollection {
            client,
            group,
            objects,
            options,
            now,
        };
        collection.run(&mut stats, monitor)?;
    }
    Ok(stats)
}

/// What checks left behind whose credentials may write and not delete.
fn old_probes(objects: &[ListedObject], now: Timestamp) -> Vec<String> {
    let age = i64::try_from(PROBE_AGE.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.seconds.saturating_mul(1000).saturating_sub(age);
    objects
        .iter()
        .filter(|object| ObjectKind::of(&object.name) == ObjectKind::Probe)
        .filter(|object| object.written < oldest)
        .map(|object| object.name.clone())
        .collect()
}

fn by_group(objects: Vec<ListedObject>) -> BTreeMap<GroupName, Vec<ListedObject>> {
    let mut groups: BTreeMap<GroupName, Vec<ListedObject>> = BTreeMap::new();
    for object in objects {
        if let Some(group) = GroupName::of_object(&object.name) {
            groups.entry(group).or_default().push(object);
        }
    }
    groups
}

struct GroupCollection<'a> {
    client: &'a RemoteClient,
    group: GroupName,
    objects: Vec<ListedObject>,
    options: &'a RemoteGcOptions,
    now: Timestamp,
}

impl GroupCollection<'_> {
    fn run(&self, stats: &mut RemoteGcStats, monitor: &dyn Monitor) -> RemoteResult<()> {
        let listed = records_among(&self.objects);
        let mut records = Vec::with_capacity(listed.len());
        for (object, record) in listed
            .iter()
            .zip(read_records(self.client, &listed, monitor)?)
        {
            match record {
                Ok(record) => records.push((*object, record)),
                Err(error) => monitor.warn(&Error::from(error).with_advice()),
            }
        }
        if records.len() < listed.len() {
            stats.skipped_groups += 1;
            stats.kept_entries += listed.len() as u64;
            return Ok(());
        }
        self.collect_data(&records, stats, monitor)?;
        let (accepted, refused): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|(_, read)| self.client.keys.accepts(read.author));
        let mut dropped = Vec::new();
        for records in [accepted, refused] {
            dropped.extend(dropped_records(&records, &self.options.policy, self.now));
        }
        if !self.options.dry_run {
            self.client.delete(&dropped, monitor)?;
        }
        stats.removed_entries += dropped.len() as u64;
        stats.kept_entries += (records.len() - dropped.len()) as u64;
        Ok(())
    }

    fn collect_data(
        &self,
        records: &[ListedRecord<'_>],
        stats: &mut RemoteGcStats,
        monitor: &dyn Monitor,
    ) -> RemoteResult<()> {
        let earlier = self.read_marks(monitor)?;
        let now = self.now.seconds.saturating_mul(1000);
        let times = (now, self.options.grace);
        let named = records.iter().map(|(_, read)| &read.record);
        let decision = decide_data(&self.group, &self.objects, named, &earlier, times);
        let bytes: HashMap<&str, u64> = self
            .objects
            .iter()
            .map(|object| (&*object.name, object.bytes))
            .collect();
        let sum = |names: &mut dyn Iterator<Item = &String>| -> u64 {
            names.filter_map(|name| bytes.get(&**name)).sum()
        };
        let removed = sum(&mut decision.delete.iter());
        let marked = sum(&mut decision.unreferenced.since.keys());
        stats.removed_objects += decision.delete.len() as u64;
        stats.removed_bytes += removed;
        stats.waiting_bytes += marked - removed;
        if self.options.dry_run {
            return Ok(());
        }
        if decision.unreferenced != earlier {
            self.write_marks(&decision.unreferenced, monitor)?;
        }
        self.client.delete(&decision.delete, monitor)
    }

    /// The marks of the last run. Damaged ones count as none, which only delays: everything is marked
    /// again.
    fn read_marks(&self, monitor: &dyn Monitor) -> RemoteResult<Unreferenced> {
        let name = self.group.unreferenced();
        let marks = self.objects.iter().find(|object| object.name == name);
        let Some(marks) = marks.filter(|object| object.bytes <= LARGEST_MARKS) else {
            return Ok(Unreferenced::default());
        };
        let range = self.client.start_range(&name, 0..marks.bytes);
        match range.and_then(|range| range.wait(monitor)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.is_of_object() => Ok(Unreferenced::default()),
            Err(error) => Err(error),
        }
    }

    fn write_marks(&self, marks: &Unreferenced, monitor: &dyn Monitor) -> RemoteResult<()> {
        let name = self.group.unreferenced();
        if marks.since.is_empty() {
            return self.client.delete(&[name], monitor);
        }
        let bytes = serde_json::to_vec(marks).map_err(Error::defect)?;
        self.client.put(&name, bytes, monitor)
    }
}

/// Removes records outside of a run: of any group, for any reason.
///
/// The marks of their groups go first. Otherwise the next run could find an old mark of data that
/// only these records named, and delete it while a push that reuses it is under way.
pub(crate) fn remove_records(
    client: &RemoteClient,
    names: &[String],
    monitor: &dyn Monitor,
) -> RemoteResult<()> {
    let groups: BTreeSet<GroupName> = names
        .iter()
        .filter_map(|name| GroupName::of_object(name))
        .collect();
    let marks: Vec<String> = groups.iter().map(GroupName::unreferenced).collect();
    client.delete(&marks, monitor)?;
    client.delete(names, monitor)
}

/// A record and what the list says about it.
type ListedRecord<'l> = (&'l ListedObject, ReadRecord);

/// The names of the records that a policy does not keep. Of several records of a key only the newest
/// is kept.
fn dropped_records(
    records: &[&ListedRecord<'_>],
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Vec<String> {
    let mut newest: HashMap<EntryId, &ListedRecord<'_>> = HashMap::new();
    for &record in records {
        let kept = newest.entry(record.1.record.entry.id()).or_insert(record);
        let order = |it: &ListedRecord<'_>| (it.1.record.entry.created, it.0.written);
        if order(record) > order(kept) {
            *kept = record;
        }
    }
    let candidates: Vec<RetentionCandidate> = newest
        .values()
        .map(|(object, ReadRecord { record, .. })| RetentionCandidate {
            id: record.entry.id(),
            kind: record.entry.group.kind,
            family: family(&record.entry.key),
            is_default_branch: false,
            last_used: Timestamp {
                seconds: object.written.div_euclid(1000),
                nanoseconds: 0,
            },
            needs: Vec::new(),
        })
        .collect();
    let kept: HashSet<&str> = decide(&candidates, &[], policy, now)
        .into_iter()
        .filter(|decision| decision.evict.is_none())
        .filter_map(|decision| newest.get(&decision.id))
        .map(|(object, _)| &*object.name)
        .collect();
    records
        .iter()
        .map(|(object, _)| object.name.clone())
        .filter(|name| !kept.contains(&**name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::name::{PushId, Trust, probe_object};
    use crate::remote::record::tests::record;
    use crate::remote::signature::RecordAuthor;
    use crate::store::CacheKind;

    #[test]
    fn the_grace_period_is_longer_than_what_pushes_rely_on() {
        use crate::remote::push::{PUSH_LIMIT, RESUME_AGE};
        let clocks = Duration::from_secs(60 * 60);
        assert!(SHORTEST_GRACE >= PUSH_LIMIT + RESUME_AGE + clocks);
    }

    #[test]
    fn what_a_check_left_behind_goes_after_an_hour() {
        let probe = probe_object(Trust::Branch, &PushId::random());
        let object = |name: &str, seconds: i64| ListedObject {
            name: name.to_owned(),
            bytes: 1,
            written: seconds * 1000,
        };
        let now = Timestamp {
            seconds: 10_000,
            nanoseconds: 0,
        };
        let objects = [
            object(&probe, 6_399),
            object(&probe, 6_401),
            object("branch/doctor-notes", 1),
            object("branch/@/@/group/segments/x", 1),
        ];
        assert_eq!(old_probes(&objects, now), [probe]);
    }

    #[test]
    fn the_newest_records_of_each_key_stay() {
        let pushes = [
            ("linux-aaaaaaa1", 10),
            ("linux-aaaaaaa2", 20),
            ("linux-aaaaaaa2", 25),
            ("linux-aaaaaaa3", 30),
            ("macos-aaaaaaa3", 5),
        ];
        let objects = pushes.map(|(key, created)| ListedObject {
            name: format!("{key} {created}"),
            bytes: 1,
            written: created * 1000,
        });
        let records: Vec<ListedRecord<'_>> = objects
            .iter()
            .zip(pushes)
            .map(|(object, (key, created))| {
                let record = record(key, created, &[]);
                let author = RecordAuthor::Unknown;
                (object, ReadRecord { record, author })
            })
            .collect();
        let records: Vec<&ListedRecord<'_>> = records.iter().collect();
        let policy = RetentionPolicy {
            keep: HashMap::from([(CacheKind::Path, 2)]),
            ..RetentionPolicy::default()
        };
        let now = Timestamp {
            seconds: 100,
            nanoseconds: 0,
        };
        let dropped = dropped_records(&records, &policy, now);
        assert_eq!(dropped, ["linux-aaaaaaa1 10", "linux-aaaaaaa2 20"]);
        let policy = RetentionPolicy {
            max_age: Some(Duration::from_secs(72)),
            ..RetentionPolicy::default()
        };
        let dropped = dropped_records(&records, &policy, now);
        assert_eq!(
            dropped,
            [
                "linux-aaaaaaa1 10",
                "linux-aaaaaaa2 20",
                "linux-aaaaaaa2 25",
                "macos-aaaaaaa3 5"
            ]
        );
    }
}
