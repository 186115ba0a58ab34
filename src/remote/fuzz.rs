//! Reads any bytes as the objects of the remote, with the digests that a writer of the bucket can
//! compute.

use super::manifest::{RemoteManifest, WireManifest};
use super::name::{PushId, key_id};
use super::record::{ManifestReference, ReadRecord, RemoteRecord, SegmentReference, VERSION};
use super::segment::{LARGEST_FRAME, SegmentIndex};
use super::signature::RecordKeys;
use crate::digest::Digest;
use crate::store::{CacheKind, Entry, EntryGroup};
use crate::tree::manifest::Manifest;

/// `kind` selects the object. A segment has two parts, frames and an index; a manifest has three:
/// references, the tree, and places.
pub(crate) fn fuzz(kind: u8, parts: [&[u8]; 3]) {
    match kind {
        0 => record(parts[0]),
        1 => segment_index(parts[0]),
        2 => segment(parts[0], parts[1]),
        _ => manifest(parts),
    }
}

fn record(bytes: &[u8]) {
    drop(RemoteRecord::decode(bytes, "record"));
    let Ok(record) = serde_json::from_slice::<RemoteRecord>(bytes) else {
        return;
    };
    let id = key_id(&record.entry.group, &record.entry.key);
    let name = format!("entries/{id}-{}.json", record.push);
    // Nobody has the private key of this public one, which is a digest.
    let key = *Digest::of(b"a public key").as_bytes();
    let keys = RecordKeys::new(None, Some(vec![key]));
    if let Ok(read) = ReadRecord::decode(bytes, &name, &keys) {
        assert!(!keys.accepts(read.author));
    }
    let encoded = record.encode(&name, &RecordKeys::default());
    let encoded = encoded.expect("a record can be encoded");
    if let Ok((decoded, signature)) = RemoteRecord::decode(&encoded, &name) {
        assert_eq!((decoded, signature), (record, None));
    }
}

fn segment_index(bytes: &[u8]) {
    let Ok(index) = SegmentIndex::decode(bytes, "segment", &Digest::of(bytes)) else {
        return;
    };
    for range in index.frame_ranges() {
        assert!(range.plain as usize <= LARGEST_FRAME);
        drop(range.unpack(bytes));
    }
}

fn segment(frames: &[u8], index: &[u8]) {
    let id = Digest::of(index);
    let length = u32::try_from(index.len()).unwrap_or(u32::MAX);
    let object = [frames, index, &length.to_le_bytes(), &[0; 4], id.as_bytes()].concat();
    drop(SegmentIndex::verify(&object, "segment", &id));
    drop(SegmentIndex::in_tail(frames, "segment", &id));
}

fn manifest([references, tree, places]: [&[u8]; 3]) {
    let Ok((manifest, id)) = Manifest::forge(references, tree) else {
        return;
    };
    let (frames, places) = postcard::from_bytes(places).unwrap_or_default();
    let wire = WireManifest {
        push: PushId::random(),
        manifest: &manifest,
        record: None,
        frames,
        places,
    };
    let (object, reference) = wire.seal().expect("a manifest can be encoded");
    let record = record_of(reference, id);
    if let Ok(remote) = RemoteManifest::decode(&object, &record, "manifest") {
        for content in remote.contents.values() {
            let frames = content.frames.iter();
            let plain: u64 = frames.map(|frame| u64::from(frame.range.plain)).sum();
            assert!(plain >= u64::from(content.start) + content.length);
        }
    }
}

/// A record of two segments.
fn record_of(manifest: ManifestReference, entry_manifest: Digest) -> RemoteRecord {
    let segment = |number: u8| SegmentReference {
        digest: Digest::of(&[number]),
        bytes: 1 << 20,
    };
    let group = EntryGroup {
        scope: String::new(),
        git_ref: String::new(),
        kind: CacheKind::Path,
        paths: Vec::new(),
    };
    RemoteRecord {
        format: VERSION,
        push: PushId::random(),
        entry: Entry {
            manifest: entry_manifest,
            ..Entry::empty(group, "key")
        },
        manifest,
        segments: vec![segment(0), segment(1)],
    }
}
