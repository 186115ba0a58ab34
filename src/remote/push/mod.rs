//! Writing an entry of the local store to the remote.
//!
//! Contents that segments on the remote already have are not uploaded again. Segments come first,
//! then the manifest, then the record: an entry exists on the remote only when everything it needs
//! does, and a killed push leaves only data that garbage collection removes.
//!
//! A push reuses two kinds of segments: those that a record names, and those written less than
//! [`RESUME_AGE`] ago by a push that did not end. It gives up after [`PUSH_LIMIT`]. `gc` says why
//! these two limits make it safe.
//!
//! A machine that trusts only some keys reuses segments of the records that they signed, and young
//! ones. Segments that another writer of the bucket damaged or invented cost a miss, as everywhere.

mod deadline;
mod plan;
mod turn;
mod upload;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::error::Error;
use crate::fmt::human;
use crate::fs::Timestamp;
use crate::monitor::{Monitor, Stage};
use crate::remote::client::{ListedObject, PendingRange, RemoteClient};
use crate::remote::error::{RemoteError, RemoteResult};
use crate::remote::lookup::{GroupListing, newest_records};
use crate::remote::manifest::{
    ContentMap, RemoteContent, RemoteFrame, RemoteManifest, UniqueContent, unique_contents,
};
use crate::remote::name::{GroupName, PushId, Trust, key_id};
use crate::remote::record::{ReadRecord, RemoteRecord, SegmentReference, VERSION};
use crate::remote::segment::SegmentIndex;
use crate::store::lock::SharedLock;
use crate::store::{Entry, Store};
use crate::tree::apply::ContentSource as _;
use crate::tree::manifest::Manifest;
use crate::tree::{Content, LeafId, LeafKind};
pub(crate) use deadline::PushDeadline;
use plan::{reused, units};
use turn::{PushPlace, PushTurn};
use upload::{UploadTarget, upload};

/// A push writes its record within this time of its start, or not at all.
pub(crate) const PUSH_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
/// Segments that no record names are reused if they are younger than this.
pub(crate) const RESUME_AGE: Duration = Duration::from_secs(60 * 60);
/// The manifests of so many records are read to find out what the remote has.
const MANIFESTS: usize = 8;
/// How many of them are in memory at once: each can have 256 MiB.
const MANIFESTS_AT_ONCE: usize = 2;
/// The indexes of at most so many segments of pushes that did not end are read.
const RESUMED_SEGMENTS: usize = 200;
/// How many of these are read at once.
const INDEXES_AT_ONCE: usize = 16;
/// The index of a segment with small contents has about this many bytes.
const INDEX_TAIL: u64 = 64 << 10;

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    Pushed(PushStats),
    /// The remote has this entry, or a newer one of its key.
    Exists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushStats {
    /// Segments that were written.
    pub segments: u64,
    /// Their bytes, and those of manifest and record.
    pub uploaded_bytes: u64,
    /// Contents that the remote had already, in bytes without compression.
    pub reused_bytes: u64,
    pub elapsed: Duration,
}

/// What is pushed, and where.
#[derive(Clone, Copy)]
pub(crate) struct PushRequest<'a> {
    pub(crate) client: &'a RemoteClient,
    pub(crate) store: &'a Store,
    pub(crate) entry: &'a Entry,
    pub(crate) trust: Trust,
    pub(crate) monitor: &'a dyn Monitor,
}

/// Pushes one entry. While `lock` is held, nothing is removed from the local store.
pub(crate) fn push(request: PushRequest<'_>, lock: &SharedLock) -> RemoteResult<PushOutcome> {
    let start = Instant::now();
    let PushRequest {
        client,
        store,
        entry,
        trust,
        monitor,
    } = request;
    if !trust.may_write(&entry.group) {
        return Err(RemoteError::OfBranches {
            entry: entry.id().to_string(),
        });
    }
    if client.keys.refuses_unsigned() {
        return Err(RemoteError::Unsigned {
            entry: entry.id().to_string(),
        });
    }
    let group = GroupName::new(trust, &entry.group);
    let place = PushPlace {
        client,
        store,
        group: &group,
        monitor,
    };
    let other_push = || RemoteError::OtherPush {
        entry: entry.id().to_string(),
    };
    let _turn = PushTurn::wait(place, PUSH_LIMIT, lock)?.ok_or_else(other_push)?;
    // The push starts here: what it reuses is listed below.
    let deadline = PushDeadline::after(PUSH_LIMIT);
    let listing = GroupListing::read(client, &group, monitor)?;
    let key_id = key_id(&entry.group, &entry.key);
    let of_key = listing.of_key(&key_id, &[]);
    let mut read = newest_records(client, &of_key, monitor)?;
    let has_newer = |ReadRecord { record, author }: &ReadRecord| {
        record.is_of(&entry.group)
            && record.entry.key == entry.key
            && record.entry.created >= entry.created
            && client.keys.replaces_own(*author)
    };
    if read.iter().any(|(_, read)| has_newer(read)) {
        return Ok(PushOutcome::Exists);
    }
    let others = listing.without(&of_key);
    read.extend(newest_records(client, &others, monitor)?);
    let records: Vec<RemoteRecord> = read
        .into_iter()
        .filter_map(|(object, read)| read.accepted(&client.keys, &object.name).ok())
        .collect();
    let manifest = store.read_manifest(&entry.manifest)?;
    let contents = unique_contents(&manifest).ok_or_else(|| {
        let path = store.layout().manifest(&entry.manifest);
        Error::damaged(&path, "a content has two lengths")
    })?;
    let known = known_contents(&request, &group, &listing, &records)?;
    let mut places = reused(&contents, &known);
    drop(known);
    let push = EntryPush {
        request,
        group,
        id: PushId::random(),
        manifest,
        contents,
    };
    let mut stats = push.upload_missing(&mut places)?;
    stats.uploaded_bytes += push.publish(&places, &key_id, deadline)?;
    stats.elapsed = start.elapsed();
    Ok(PushOutcome::Pushed(stats))
}

/// An entry that the remote does not have.
struct EntryPush<'a> {
    request: PushRequest<'a>,
    group: GroupName,
    id: PushId,
    manifest: Manifest,
    contents: Vec<UniqueContent>,
}

impl EntryPush<'_> {
    /// Uploads the contents that have no place on the remote, and adds the places that they get.
    fn upload_missing(&self, places: &mut ContentMap) -> RemoteResult<PushStats> {
        let PushRequest {
            client,
            store,
            monitor,
            ..
        } = self.request;
        let has_place = |unique: &&UniqueContent| places.contains_key(&unique.digest);
        let (present, missing): (Vec<_>, Vec<_>) = self.contents.iter().partition(has_place);
        let bytes = |contents: &[&UniqueContent]| contents.iter().map(|it| it.length).sum();
        monitor.begin(Stage::Pushing, bytes(&missing));
        let leaves: Vec<_> = missing.iter().map(|unique| unique.leaf).collect();
        let batches = store.locate(&self.manifest, &leaves)?;
        let target = UploadTarget {
            client,
            store,
            group: &self.group,
            push: &self.id,
            monitor,
        };
        let units = units(&batches, |leaf| digest_of(&self.manifest, leaf));
        let uploaded = upload(target, &units)?;
        places.extend(uploaded.contents);
        Ok(PushStats {
            segments: uploaded.segments,
            uploaded_bytes: uploaded.bytes,
            reused_bytes: bytes(&present),
            elapsed: Duration::ZERO,
        })
    }

    /// Writes the manifest, then the record. Returns the bytes of both.
    fn publish(
        &self,
        places: &ContentMap,
        key_id: &str,
        deadline: PushDeadline,
    ) -> RemoteResult<u64> {
        let PushRequest {
            client,
            store,
            entry,
            monitor,
            ..
        } = self.request;
        let units = match &entry.record {
            // Without it the next job compiles the workspace's own crates again, nothing worse.
            Some(record) => store.read_record(record).ok(),
            None => None,
        };
        let (manifest, contents) = (&self.manifest, &self.contents);
        let encoded =
            RemoteManifest::encode(&self.id, manifest, units.as_deref(), contents, places)?;
        let record = RemoteRecord {
            format: VERSION,
            push: self.id.clone(),
            entry: entry.clone(),
            manifest: encoded.reference,
            segments: encoded.segments,
        };
        let name = self.group.record(key_id, &self.id);
        let record = record.encode(&name, &client.keys)?;
        let bytes = encoded.reference.bytes + record.len() as u64;
        let manifest = self.group.manifest(&encoded.reference.digest);
        client.put(&manifest, encoded.bytes, monitor)?;
        write_record(client, (&name, record), deadline, monitor)?;
        Ok(bytes)
    }
}

/// Writes a record, unless the deadline has passed when its turn has come. Later than that, garbage
/// collection may have removed segments that the record names.
pub(crate) fn write_record(
    client: &RemoteClient,
    (name, bytes): (&str, Vec<u8>),
    deadline: PushDeadline,
    monitor: &dyn Monitor,
) -> RemoteResult<()> {
    client.wait_for_turn(bytes.len() as u64, monitor)?;
    if !deadline.has_passed() {
        return client.put_now(name, bytes, monitor);
    }
    Err(Error::invalid(format!(
        "the push took longer than {}, so the entry is not on the remote; push it again, which continues where this one ended",
        human::age(PUSH_LIMIT)
    ))
    .into())
}

fn digest_of(manifest: &Manifest, leaf: LeafId) -> Option<Digest> {
    match &manifest.tree[leaf].kind {
        LeafKind::File(file) => file.content.map(|Content { digest, .. }| digest),
        LeafKind::Symlink(_) | LeafKind::HardLink(_) => None,
    }
}

/// What the remote has: the contents of the newest records, and those of young segments that no
/// record names.
fn known_contents(
    request: &PushRequest<'_>,
    group: &GroupName,
    listing: &GroupListing,
    records: &[RemoteRecord],
) -> RemoteResult<ContentMap> {
    let PushRequest {
        client, monitor, ..
    } = *request;
    let mut known = ContentMap::new();
    // Those of the key come first.
    let newest = &records[..records.len().min(MANIFESTS)];
    for records in newest.chunks(MANIFESTS_AT_ONCE) {
        let pending = records.iter().map(|record| {
            let RemoteRecord { manifest, .. } = record;
            let name = group.manifest(&manifest.digest);
            let range = client.start_range(&name, 0..manifest.bytes);
            (record, name, range)
        });
        // All are started before the first one is waited for.
        let pending: Vec<_> = pending.collect();
        for (record, name, range) in pending {
            let decoded = range
                .and_then(|range| range.wait(monitor))
                .and_then(|bytes| RemoteManifest::decode(&bytes, record, &name));
            if let Some(manifest) = unless_damaged(decoded)? {
                known.extend(manifest.contents);
            }
        }
    }
    let named: HashSet<Digest> = records
        .iter()
        .flat_map(|record| &record.segments)
        .map(|segment| segment.digest)
        .collect();
    let unfinished = unfinished_segments(listing, &named, Timestamp::now());
    for segments in unfinished.chunks(INDEXES_AT_ONCE) {
        let start = |(_, object): &(Digest, &ListedObject)| start_tail(client, object, INDEX_TAIL);
        let pending: Vec<_> = segments.iter().map(start).collect();
        for (segment, tail) in segments.iter().zip(pending) {
            let contents = tail.and_then(|tail| read_index(request, *segment, tail));
            if let Some(contents) = unless_damaged(contents)? {
                known.extend(contents);
            }
        }
    }
    Ok(known)
}

/// None if one object is to blame: its contents are uploaded again.
fn unless_damaged<T>(result: RemoteResult<T>) -> RemoteResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_of_object() => {
            log::debug!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Young segments that no record names: of a push that did not end, or is not at its end yet.
pub(crate) fn unfinished_segments<'l>(
    listing: &'l GroupListing,
    named: &HashSet<Digest>,
    now: Timestamp,
) -> Vec<(Digest, &'l ListedObject)> {
    let age = i64::try_from(RESUME_AGE.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.seconds.saturating_mul(1000) - age;
    let mut segments: Vec<_> = listing
        .segments()
        .filter(|(digest, object)| object.written > oldest && !named.contains(digest))
        .collect();
    segments.truncate(RESUMED_SEGMENTS);
    segments
}

/// Starts to read the last bytes of a segment.
fn start_tail<'c>(
    client: &'c RemoteClient,
    object: &ListedObject,
    length: u64,
) -> RemoteResult<PendingRange<'c>> {
    let start = object.bytes.saturating_sub(length);
    client.start_range(&object.name, start..object.bytes)
}

/// The contents that are whole in one segment. `tail` is its last bytes.
fn read_index(
    request: &PushRequest<'_>,
    (digest, object): (Digest, &ListedObject),
    tail: PendingRange<'_>,
) -> RemoteResult<ContentMap> {
    let PushRequest {
        client, monitor, ..
    } = *request;
    let reference = SegmentReference {
        digest,
        bytes: object.bytes,
    };
    let mut bytes = tail.wait(monitor)?;
    if let Err(needed) = SegmentIndex::in_tail(&bytes, &object.name, &digest)? {
        bytes = start_tail(client, object, needed as u64)?.wait(monitor)?;
    }
    let Ok(index) = SegmentIndex::in_tail(&bytes, &object.name, &digest)? else {
        return Err(RemoteError::damaged(&object.name, "it is too short"));
    };
    let index = SegmentIndex::decode(index, &object.name, &digest)?;
    let ranges = index.frame_ranges();
    let mut contents = ContentMap::new();
    for content in index.contents.iter().filter(|content| content.offset == 0) {
        let first = content.frame as usize;
        let needed = u64::from(content.start) + content.length;
        let mut covered = 0;
        let frames: Vec<RemoteFrame> = ranges
            .iter()
            .skip(first)
            .take_while(|range| {
                let is_needed = covered < needed;
                covered += u64::from(range.plain);
                is_needed
            })
            .map(|range| RemoteFrame {
                segment: reference,
                range: *range,
            })
            .collect();
        let found = RemoteContent {
            length: content.length,
            start: content.start,
            frames,
        };
        contents.insert(content.digest, found);
    }
    Ok(contents)
}
