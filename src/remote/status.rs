//! What is on the remote, and whether it is whole.

use std::collections::{HashMap, HashSet};

use super::client::{ListedObject, RemoteClient};
use super::error::{RemoteError, RemoteResult};
use super::gc::{names_of, remove_records};
use super::lookup::{read_records, records_among};
use super::manifest::RemoteManifest;
use super::name::{GroupName, ObjectKind, Trust};
use super::record::RemoteRecord;
use super::segment::SegmentIndex;
use crate::digest::Digest;
use crate::error::Error;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::store::Entry;

/// An entry on the remote.
#[derive(Clone, Debug)]
pub struct RemoteEntry {
    pub trust: Trust,
    pub entry: Entry,
    /// When it was pushed, by the server's clock.
    pub pushed: Timestamp,
    /// The bytes of the objects it needs. Other entries may need them too.
    pub stored_bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub struct RemoteStatus {
    /// The last pushed entry first.
    pub entries: Vec<RemoteEntry>,
    pub objects: u64,
    pub bytes: u64,
    /// Data that no entry needs.
    pub unreferenced_bytes: u64,
    /// Entries whose records cannot be read.
    pub damaged: u64,
    /// Entries that a newer version of this program wrote.
    pub newer: u64,
    /// Entries that no trusted key signed.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub struct RemoteVerifyReport {
    /// Entries whose objects are all there and right.
    pub intact: u64,
    /// Names of records, each with the first damage found.
    pub damaged: Vec<(String, Error)>,
    /// Entries that a newer version of this program wrote. They are not checked and never removed.
    pub newer: u64,
    /// Names of records that no trusted key signed, each with the reason. They are not checked and
    /// never removed: another machine may trust their keys.
    pub refused: Vec<(String, Error)>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Whether the damaged entries were removed.
    pub repaired: bool,
}

/// What [`verify`] does besides checking records and manifests.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoteVerifyOptions {
    /// Download all segments and compare them with their digests.
    pub contents: bool,
    /// Remove the records of damaged entries.
    pub repair: bool,
}

/// A record with what the list says about it.
pub(crate) struct FoundRecord {
    pub(crate) group: GroupName,
    pub(crate) object: ListedObject,
    pub(crate) record: RemoteRecord,
    /// Why this machine does not use the entry.
    pub(crate) refusal: Option<RemoteError>,
}

/// Errors about objects, by name.
type ObjectErrors = Vec<(String, RemoteError)>;

/// All records that can be read, and errors about the others.
pub(crate) fn all_records(
    client: &RemoteClient,
    objects: &[ListedObject],
    monitor: &dyn Monitor,
) -> RemoteResult<(Vec<FoundRecord>, ObjectErrors)> {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let listed = records_among(objects);
    for (object, record) in listed.iter().zip(read_records(client, &listed, monitor)?) {
        match (record, GroupName::of_object(&object.name)) {
            (Ok(read), Some(group)) => records.push(FoundRecord {
                group,
                object: (*object).clone(),
                refusal: (!client.keys.accepts(read.author)).then(|| read.refusal(&object.name)),
                record: read.record,
            }),
            (Err(RemoteError::Missing { .. }), _) | (_, None) => {}
            (Err(error), _) => errors.push((object.name.clone(), error)),
        }
    }
    Ok((records, errors))
}

/// Lists what is on the remote.
pub(crate) fn status(client: &RemoteClient, monitor: &dyn Monitor) -> RemoteResult<RemoteStatus> {
    let mut objects = client.list("", monitor)?;
    objects.retain(|object| ObjectKind::of(&object.name) != ObjectKind::Probe);
    let (records, errors) = all_records(client, &objects, monitor)?;
    let refusals = records.iter().filter_map(|found| found.refusal.as_ref());
    let problems = errors.iter().map(|(_, error)| error).chain(refusals);
    for error in problems.take(10) {
        monitor.warn(&error.to_string());
    }
    let named: HashSet<String> = records
        .iter()
        .flat_map(|found| names_of(&found.group, &found.record))
        .collect();
    let unreferenced = objects
        .iter()
        .filter(|object| ObjectKind::of(&object.name) == ObjectKind::Data)
        .filter(|object| !named.contains(&object.name));
    let damaged = errors.iter().filter(|(_, error)| error.is_damage()).count() as u64;
    let mut status = RemoteStatus {
        objects: objects.len() as u64,
        bytes: objects.iter().map(|object| object.bytes).sum(),
        unreferenced_bytes: unreferenced.map(|object| object.bytes).sum(),
        damaged,
        newer: errors.len() as u64 - damaged,
        refused: records.iter().filter(|it| it.refusal.is_some()).count() as u64,
        entries: Vec::new(),
    };
    for found in records.into_iter().filter(|it| it.refusal.is_none()) {
        let Some(trust) = found.group.trust() else {
            continue;
        };
        status.entries.push(RemoteEntry {
            trust,
            pushed: Timestamp {
                seconds: found.object.written.div_euclid(1000),
                nanoseconds: 0,
            },
            stored_bytes: found.record.stored_bytes(),
            entry: found.record.entry,
        });
    }
    status.entries.sort_by(|a, b| {
        b.pushed
            .cmp(&a.pushed)
            .then_with(|| a.entry.key.cmp(&b.entry.key))
    });
    Ok(status)
}

/// Checks every entry on the remote.
pub(crate) fn verify(
    client: &RemoteClient,
    options: RemoteVerifyOptions,
    monitor: &dyn Monitor,
) -> RemoteResult<RemoteVerifyReport> {
    let (records, errors) = all_records(client, &client.list("", monitor)?, monitor)?;
    // Listed after the records were read: a push writes data before its record, and may have been
    // between two parts of the first list, which then has the record without its data.
    let objects = client.list("", monitor)?;
    let mut report = RemoteVerifyReport::default();
    for (name, error) in errors {
        report.add(name, error);
    }
    let total = if options.contents {
        objects.iter().map(|object| object.bytes).sum()
    } else {
        0
    };
    monitor.begin(Stage::Verifying, total);
    let mut check = EntryCheck {
        client,
        options,
        monitor,
        sizes: objects
            .iter()
            .map(|object| (object.name.clone(), object.bytes))
            .collect(),
        checked: HashMap::new(),
        bytes: 0,
    };
    for found in records {
        if let Some(refusal) = found.refusal {
            report.refused.push((found.object.name, refusal.into()));
            continue;
        }
        match check.entry(&found) {
            Ok(()) => report.intact += 1,
            Err(error) if error.is_of_object() => report.add(found.object.name, error),
            Err(error) => return Err(error),
        }
    }
    report.bytes = check.bytes;
    if options.repair && !report.damaged.is_empty() {
        // Only records: garbage collection removes the data when nothing names it any more.
        let names: Vec<String> = report.damaged.iter().map(|it| it.0.clone()).collect();
        remove_records(client, &names, monitor)?;
        report.repaired = true;
    }
    Ok(report)
}

impl RemoteVerifyReport {
    fn add(&mut self, record: String, error: RemoteError) {
        if error.is_damage() {
            self.damaged.push((record, error.into()));
        } else {
            self.newer += 1;
        }
    }
}

struct EntryCheck<'a> {
    client: &'a RemoteClient,
    options: RemoteVerifyOptions,
    monitor: &'a dyn Monitor,
    sizes: HashMap<String, u64>,
    /// The damage of each segment that was checked, if it has any.
    checked: HashMap<String, Option<String>>,
    bytes: u64,
}

impl EntryCheck<'_> {
    fn entry(&mut self, found: &FoundRecord) -> RemoteResult<()> {
        if self.monitor.is_interrupted() {
            return Err(Error::Interrupted.into());
        }
        let FoundRecord { group, record, .. } = found;
        for segment in &record.segments {
            let name = group.segment(&segment.digest);
            let damage = if let Some(known) = self.checked.get(&name) {
                known.clone()
            } else {
                let damage = self.segment(&name, &segment.digest, segment.bytes)?;
                self.checked.insert(name.clone(), damage.clone());
                damage
            };
            if let Some(reason) = damage {
                return Err(RemoteError::damaged(&name, reason));
            }
        }
        let name = group.manifest(&record.manifest.digest);
        let range = 0..record.manifest.bytes;
        let bytes = self.client.start_range(&name, range)?.wait(self.monitor)?;
        self.bytes += bytes.len() as u64;
        RemoteManifest::decode(&bytes, record, &name).map(drop)
    }

    fn segment(&mut self, name: &str, digest: &Digest, bytes: u64) -> RemoteResult<Option<String>> {
        match self.sizes.get(name) {
            None => return Ok(Some("it is missing".to_owned())),
            Some(size) if *size != bytes => {
                return Ok(Some(format!("it has {size} of {bytes} bytes")));
            }
            Some(_) => {}
        }
        if !self.options.contents {
            return Ok(None);
        }
        let segment = self
            .client
            .start_range(name, 0..bytes)?
            .wait(self.monitor)?;
        self.bytes += segment.len() as u64;
        self.monitor.advance(segment.len() as u64);
        match SegmentIndex::verify(&segment, name, digest) {
            Ok(()) => Ok(None),
            Err(RemoteError::Damaged { reason, .. }) => Ok(Some(reason)),
            Err(error) => Err(error),
        }
    }
}
