//! Reading an entry from the remote into the local store.
//!
//! The result is an ordinary entry of the local store: contents first, then a manifest that refers
//! to them where this store has them, then the entry, under the locks of a save. Only contents that
//! the local store lacks are read. Each is compared with its digest after it was unpacked and before
//! anything refers to it, so a segment that was altered costs a miss and nothing else.

mod download;
mod plan;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::fmt::human;
use crate::fs::{volume, wait_for_lock};
use crate::monitor::{Monitor, Stage};
use crate::remote::client::RemoteClient;
use crate::remote::error::{RemoteError, RemoteResult};
use crate::remote::manifest::RemoteManifest;
use crate::remote::name::GroupName;
use crate::remote::record::RemoteRecord;
use crate::store::lock::SharedLock;
use crate::store::pack::LARGEST_CONTENT;
use crate::store::save::{ContentWriter, PackSlot};
use crate::store::{Entry, Store};
use crate::tree::manifest::Manifest;
use crate::tree::{Content, ContentLocation, LeafKind};
use download::{DownloadTarget, PackSlots, download};
use plan::{WantedContent, units};

/// How long a pull waits for another process that pulls or saves the same entry.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

/// What a pull did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullStats {
    /// Bytes of the ranges that were read from segments.
    pub downloaded_bytes: u64,
    /// Contents that the local store had already, in bytes.
    pub reused_bytes: u64,
    pub elapsed: Duration,
}

/// What is pulled, and into what.
#[derive(Clone, Copy)]
pub(crate) struct PullRequest<'a> {
    pub(crate) client: &'a RemoteClient,
    pub(crate) store: &'a Store,
    pub(crate) lock: &'a SharedLock,
    pub(crate) group: &'a GroupName,
    pub(crate) record: &'a RemoteRecord,
    pub(crate) monitor: &'a dyn Monitor,
}

/// Pulls the entry of a record. If another process pulls the same one, waits for that instead.
pub(crate) fn pull(request: PullRequest<'_>) -> RemoteResult<PullStats> {
    let start = Instant::now();
    let PullRequest {
        store,
        lock,
        record,
        monitor,
        ..
    } = request;
    let id = record.entry.id();
    let timeout = request.client.remaining(LOCK_TIMEOUT);
    let save_lock = wait_for_lock(timeout, monitor, || store.try_lock_entry(lock, &id))?;
    let save_lock = save_lock.ok_or_else(|| Error::Busy {
        what: format!("the entry {id}"),
    })?;
    let is_newer =
        |local: &Entry| local.group == record.entry.group && local.created >= record.entry.created;
    match store.read_entry(&id) {
        Ok(Some(local)) if is_newer(&local) => return Ok(PullStats::default()),
        Err(error) if !error.is_damage() => return Err(error.into()),
        _ => {}
    }
    let remote = read_manifest(&request)?;
    let writer = ContentWriter::begin(store, lock)?;
    writer.find_existing_packs(0)?;
    let (slots, mut stats) = fetch_contents(&request, &remote, &writer)?;
    let located = locate(remote.manifest, &writer, &slots)?;
    let finished = writer.finish()?;
    let manifest = Manifest {
        packs: located
            .slots
            .iter()
            .map(|slot| finished.pack(*slot))
            .collect::<Result<_, _>>()?,
        ..located.manifest
    };
    let units_record = match &remote.record {
        Some(bytes) => Some(finished.publish_record(bytes)?),
        None => None,
    };
    finished.publish(&save_lock, &manifest, true, |manifest| Entry {
        format: crate::store::layout::VERSION,
        manifest,
        added_bytes: finished.added_bytes,
        record: units_record,
        ..record.entry.clone()
    })?;
    stats.elapsed = start.elapsed();
    Ok(stats)
}

fn read_manifest(request: &PullRequest<'_>) -> RemoteResult<RemoteManifest> {
    let PullRequest {
        client,
        group,
        record,
        monitor,
        ..
    } = request;
    let name = group.manifest(&record.manifest.digest);
    let bytes = client
        .start_range(&name, 0..record.manifest.bytes)?
        .wait(*monitor)?;
    RemoteManifest::decode(&bytes, record, &name)
}

/// Downloads what the local store lacks. Returns the packs of the contents that went into packs.
fn fetch_contents(
    request: &PullRequest<'_>,
    remote: &RemoteManifest,
    writer: &ContentWriter<'_>,
) -> RemoteResult<(PackSlots, PullStats)> {
    let mut wanted = Vec::new();
    let mut stats = PullStats::default();
    for unique in &remote.unique {
        let in_pack = unique.in_pack && writer.packed(&unique.digest, unique.length).is_none();
        let as_blob = unique.as_blob && !writer.has_blob(&unique.digest, unique.length);
        if !in_pack && !as_blob {
            stats.reused_bytes += unique.length;
            continue;
        }
        let content = remote.contents.get(&unique.digest).cloned();
        let content = content.ok_or_else(|| Error::defect("a manifest lacks a place"))?;
        // Packs hold only small contents, which have one frame.
        if in_pack && (unique.length > LARGEST_CONTENT || content.frames.len() != 1) {
            let name = request.group.manifest(&request.record.manifest.digest);
            return Err(RemoteError::damaged(
                &name,
                "a content is too large for a pack",
            ));
        }
        wanted.push(WantedContent {
            digest: unique.digest,
            content,
            as_blob,
            in_pack,
        });
    }
    check_space(request, &wanted)?;
    let units = units(wanted);
    stats.downloaded_bytes = units.iter().map(plan::DownloadUnit::bytes).sum();
    request
        .monitor
        .begin(Stage::Pulling, stats.downloaded_bytes);
    let target = DownloadTarget {
        client: request.client,
        group: request.group,
        writer,
        monitor: request.monitor,
    };
    Ok((download(target, &units)?, stats))
}

/// An entry that does not fit is a miss. To find that out by a full disk would harm the job.
fn check_space(request: &PullRequest<'_>, wanted: &[WantedContent]) -> RemoteResult<()> {
    let copies = |it: &WantedContent| u64::from(it.in_pack) + u64::from(it.as_blob);
    let lengths = wanted
        .iter()
        .map(|it| it.content.length.saturating_mul(copies(it)));
    let needed = lengths.fold(0, u64::saturating_add);
    let free = volume(request.store.layout().root())?.free_bytes;
    if needed <= free {
        return Ok(());
    }
    Err(RemoteError::NoSpace {
        entry: request.record.entry.id().to_string(),
        needed: human::bytes(needed),
        free: human::bytes(free),
    })
}

/// A manifest whose contents are in the packs with these slots.
struct LocatedManifest {
    manifest: Manifest,
    slots: Vec<PackSlot>,
}

/// Points the files of a manifest to the packs of this store.
fn locate(
    mut manifest: Manifest,
    writer: &ContentWriter<'_>,
    slots: &PackSlots,
) -> RemoteResult<LocatedManifest> {
    let mut numbers = HashMap::new();
    let mut used = Vec::new();
    for leaf in manifest.tree.leaf_ids() {
        let LeafKind::File(file) = &manifest.tree[leaf].kind else {
            continue;
        };
        let Some(Content {
            digest,
            location: ContentLocation::Pack(_),
        }) = file.content
        else {
            continue;
        };
        let slot = slots
            .get(&digest)
            .copied()
            .or_else(|| writer.packed(&digest, file.data_len()))
            .ok_or_else(|| Error::defect("a content was not pulled"))?;
        let number = *numbers.entry(slot).or_insert_with(|| {
            used.push(slot);
            used.len() - 1
        });
        let number = u32::try_from(number).map_err(Error::defect)?;
        let location = ContentLocation::Pack(number);
        manifest
            .tree
            .set_content(leaf, Content { digest, location });
    }
    Ok(LocatedManifest {
        manifest,
        slots: used,
    })
}
