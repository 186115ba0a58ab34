//! Reading all of the store and comparing it with its digests.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::entry::Entry;
use super::id::EntryId;
use super::layout;
use super::lock::SharedLock;
use super::open::Store;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileKind, files};
use crate::monitor::{Monitor, Stage};
use crate::tree::{Content, ContentLocation, LeafKind};
use crate::workers;

/// What was found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Entries that can be restored.
    pub intact: u64,
    /// Entries that can't, each with the first damage found.
    pub damaged: Vec<(EntryId, Error)>,
    /// Files of the store that are damaged. A damaged record of sources leaves its entry whole.
    pub damaged_files: Vec<Error>,
    /// Bytes read.
    pub bytes: u64,
}

#[derive(Default)]
struct ManifestContents {
    /// For each pack that can be read, its contents and whether they are right.
    small: HashMap<Digest, HashMap<Digest, bool>>,
    large: HashSet<Digest>,
    damaged: Vec<Error>,
    bytes: u64,
}

enum VerifyPart {
    Pack(Digest),
    Blob(Digest),
}

impl Store {
    /// Reads all of the store. While `_sharing` is held, nothing of it is removed.
    pub fn verify(&self, _sharing: &SharedLock, monitor: &dyn Monitor) -> Result<VerifyReport> {
        let mut parts = Vec::new();
        for shelf in files::list(&self.layout.blobs())? {
            let shelf = self.layout.blobs().join(shelf);
            if files::stat(&shelf)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
                continue;
            }
            let names = files::list(&shelf)?;
            parts.extend(
                names
                    .iter()
                    .filter_map(|name| layout::parse_digest(name, ""))
                    .map(VerifyPart::Blob),
            );
        }
        let packs = files::list(&self.layout.packs())?;
        parts.extend(
            packs
                .iter()
                .filter_map(|name| layout::parse_digest(name, ".pack"))
                .map(VerifyPart::Pack),
        );
        let ids = self.entry_ids(None)?;

        monitor.begin(Stage::Verifying, 0);
        let contents = Mutex::new(ManifestContents::default());
        workers::for_each_in_order(&parts, Vec::new, |buffer, part| {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.verify_part(part, buffer, &contents, monitor)
        })?;
        let contents = workers::into_inner(contents);

        let mut verified = VerifyReport {
            damaged_files: contents.damaged,
            bytes: contents.bytes,
            ..VerifyReport::default()
        };
        let contents = ManifestContents {
            damaged: Vec::new(),
            ..contents
        };
        let mut records = HashSet::new();
        for id in ids {
            match self.verify_entry(&id, &contents) {
                Ok(Some(entry)) => {
                    verified.intact += 1;
                    if records.insert(entry.sources) {
                        verified
                            .damaged_files
                            .extend(self.damage_of_record(&entry)?);
                    }
                }
                // It was removed meanwhile.
                Ok(None) => {}
                Err(error) if error.is_damage() => verified.damaged.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(verified)
    }

    fn verify_part(
        &self,
        part: &VerifyPart,
        buffer: &mut Vec<u8>,
        contents: &Mutex<ManifestContents>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let checked = match part {
            VerifyPart::Blob(digest) => self.verify_blob(digest, buffer, monitor),
            VerifyPart::Pack(id) => self.verify_pack(id, buffer, contents, monitor),
        };
        let mut contents = workers::lock(&contents);
        match checked.map_err(|error| {
            if error.is_not_found() {
                error
            } else {
                self.as_damage(error)
            }
        }) {
            Ok(bytes) => {
                contents.bytes += bytes;
                if let VerifyPart::Blob(digest) = part {
                    contents.large.insert(*digest);
                }
                Ok(())
            }
            Err(error) if error.is_damage() => {
                contents.damaged.push(error);
                Ok(())
            }
            // Two processes may verify and repair at the same time.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads a blob; returns its length.
    pub(super) fn verify_blob(
        &self,
        digest: &Digest,
        buffer: &mut Vec<u8>,
        monitor: &dyn Monitor,
    ) -> Result<u64> {
        use std::os::unix::fs::FileExt;

        let path = self.layout.blob(digest);
        let file = files::open(&path)?;
        let mut hasher = blake3::Hasher::new();
        buffer.resize(256 << 10, 0);
        let mut at = 0;
        loop {
            match file.read_at(buffer, at).context("read", || &path)? {
                0 => break,
                read => {
                    hasher.update(&buffer[..read]);
                    at += read as u64;
                    monitor.advance(read as u64);
                }
            }
        }
        if Digest::from(hasher.finalize()) == *digest {
            Ok(at)
        } else {
            Err(Error::damaged(
                &path,
                "it does not have the digest it is named by",
            ))
        }
    }

    /// Notes the contents of a pack, and those that are not right as damage; returns the bytes
    /// read.
    fn verify_pack(
        &self,
        id: &Digest,
        buffer: &mut Vec<u8>,
        contents: &Mutex<ManifestContents>,
        monitor: &dyn Monitor,
    ) -> Result<u64> {
        let (path, file, index) = self.open_pack(id)?;
        let mut found = HashMap::with_capacity(index.records.len());
        let mut bytes = 0;
        for record in &index.records {
            buffer.resize(record.length as usize, 0);
            let whole =
                files::read_exact_at(&file, buffer, record.offset).context("read", || &path)?;
            let is_right = whole && Digest::of(buffer) == record.digest;
            found.entry(record.digest).or_insert(is_right);
            if !is_right {
                let error = Error::damaged(
                    &path,
                    format!("the contents {} have another digest", record.digest),
                );
                workers::lock(&contents).damaged.push(error);
            }
            bytes += u64::from(record.length);
            monitor.advance(u64::from(record.length));
        }
        workers::lock(&contents).small.insert(*id, found);
        Ok(bytes)
    }

    /// What is wrong with the record of sources of an entry. One that is gone was removed because
    /// it was damaged.
    fn damage_of_record(&self, entry: &Entry) -> Result<Option<Error>> {
        let Some(id) = &entry.sources else {
            return Ok(None);
        };
        if files::stat(&self.layout.manifest(id))?.is_none() {
            return Ok(None);
        }
        match self.read_record(id) {
            Ok(_) => Ok(None),
            Err(error) if error.is_damage() => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    /// An entry, if it still exists; an error when it is damaged.
    fn verify_entry(&self, id: &EntryId, contents: &ManifestContents) -> Result<Option<Entry>> {
        let Some(entry) = self.read_entry(id)? else {
            return Ok(None);
        };
        let manifest = self.read_manifest(&entry)?;
        let mut packs = Vec::new();
        for pack in &manifest.packs {
            self.reachable(pack, contents, 0, &mut packs)?;
        }
        // As a restore does: the first that has it.
        let is_right =
            |digest: &Digest| packs.iter().find_map(|pack| pack.get(digest)) == Some(&true);
        for leaf in manifest.tree.leaves() {
            let LeafKind::File(file) = &leaf.kind else {
                continue;
            };
            match file.content {
                Some(Content {
                    digest,
                    location: ContentLocation::Blob,
                }) if !contents.large.contains(&digest) => {
                    return Err(Error::damaged(
                        &self.layout.blob(&digest),
                        "it is missing or damaged",
                    ));
                }
                Some(Content {
                    digest,
                    location: ContentLocation::Pack(pack),
                }) if !is_right(&digest) => {
                    let pack = self.layout.pack(&manifest.packs[pack as usize]);
                    return Err(Error::damaged(
                        &pack,
                        format!("the contents {digest} are missing or damaged"),
                    ));
                }
                _ => {}
            }
        }
        Ok(Some(entry))
    }

    /// The contents of a pack, or of those that it was rewritten into.
    fn reachable<'c>(
        &self,
        id: &Digest,
        contents: &'c ManifestContents,
        depth: u32,
        found: &mut Vec<&'c HashMap<Digest, bool>>,
    ) -> Result<()> {
        if let Some(pack) = contents.small.get(id) {
            found.push(pack);
        } else if depth < super::locate::MOVES {
            let moved = self.read_moved(id)?.unwrap_or_default();
            moved
                .iter()
                .try_for_each(|pack| self.reachable(pack, contents, depth + 1, found))?;
        }
        Ok(())
    }
}
