//! Reading the whole store and comparing it with its digests.

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
use crate::tree::manifest::Manifest;
use crate::tree::{Content, ContentLocation, LeafKind};
use crate::workers;

#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Entries that can be restored.
    pub intact: u64,
    /// Entries that can't be restored, each with the first damage found.
    pub damaged: Vec<(EntryId, Error)>,
    /// Damaged files of the store. An entry with a damaged record is still intact.
    pub damaged_files: Vec<Error>,
    pub bytes: u64,
}

/// The contents of all packs and blobs.
#[derive(Default)]
struct VerifiedContents {
    /// For each readable pack, its contents and whether they have the right digest.
    packs: HashMap<Digest, HashMap<Digest, bool>>,
    blobs: HashSet<Digest>,
    damaged: Vec<Error>,
    bytes: u64,
}

enum ContentFile {
    Pack(Digest),
    Blob(Digest),
}

impl Store {
    /// The sizes of files; those that were removed meanwhile have none.
    fn total_bytes(&self, content_files: &[ContentFile]) -> Result<u64> {
        let sizes = content_files.iter().map(|file| {
            let path = match file {
                ContentFile::Pack(id) => self.layout.pack(id),
                ContentFile::Blob(digest) => self.layout.blob(digest),
            };
            Ok(files::stat(&path)?.map_or(0, |stat| stat.size))
        });
        sizes.sum()
    }

    /// Reads the whole store. While `_lock` is held, nothing is removed from it.
    pub fn verify(&self, _lock: &SharedLock, monitor: &dyn Monitor) -> Result<VerifyReport> {
        let content_files = self.content_files()?;
        // Listed before the contents are read: entries that are saved meanwhile are not checked
        // against an incomplete list of contents.
        let ids = self.entry_ids(None)?;

        monitor.begin(Stage::Verifying, self.total_bytes(&content_files)?);
        let mut contents = self.verify_files(&content_files, monitor)?;
        let mut report = VerifyReport {
            damaged_files: std::mem::take(&mut contents.damaged),
            bytes: contents.bytes,
            ..VerifyReport::default()
        };
        let mut records = HashSet::new();
        for id in ids {
            match self.verify_entry(&id, &contents) {
                Ok(Some(entry)) => {
                    report.intact += 1;
                    if records.insert(entry.record) {
                        report.damaged_files.extend(self.record_damage(&entry)?);
                    }
                }
                // It was removed meanwhile.
                Ok(None) => {}
                Err(error) if error.is_damage() => report.damaged.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// All blobs, then all packs.
    fn content_files(&self) -> Result<Vec<ContentFile>> {
        let mut found = Vec::new();
        for shelf in files::list(&self.layout.blobs())? {
            let shelf = self.layout.blobs().join(shelf);
            if files::stat(&shelf)?.is_none_or(|stat| stat.kind != FileKind::Directory) {
                continue;
            }
            let names = files::list(&shelf)?;
            let digests = names
                .iter()
                .filter_map(|name| layout::parse_digest(name, ""));
            found.extend(digests.map(ContentFile::Blob));
        }
        found.extend(self.pack_ids()?.into_iter().map(ContentFile::Pack));
        Ok(found)
    }

    fn verify_files(
        &self,
        content_files: &[ContentFile],
        monitor: &dyn Monitor,
    ) -> Result<VerifiedContents> {
        let contents = Mutex::new(VerifiedContents::default());
        workers::for_each_in_order(content_files, Vec::new, |buffer, file| {
            if monitor.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.verify_file(file, buffer, &contents, monitor)
        })?;
        Ok(workers::into_inner(contents))
    }

    fn verify_file(
        &self,
        file: &ContentFile,
        buffer: &mut Vec<u8>,
        contents: &Mutex<VerifiedContents>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let verified = match file {
            ContentFile::Blob(digest) => self.verify_blob(digest, buffer, monitor),
            ContentFile::Pack(id) => self.verify_pack(id, buffer, contents, monitor),
        };
        let mut contents = workers::lock(contents);
        match verified {
            Ok(bytes) => {
                contents.bytes += bytes;
                if let ContentFile::Blob(digest) = file {
                    contents.blobs.insert(*digest);
                }
                Ok(())
            }
            // Another process removed it: two may verify and repair at the same time.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => match self.as_damage(error) {
                error if error.is_damage() => {
                    contents.damaged.push(error);
                    Ok(())
                }
                error => Err(error),
            },
        }
    }

    /// Reads a blob and returns its length.
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

    /// Reads a pack and records which of its contents are damaged. Returns the number of bytes
    /// read.
    fn verify_pack(
        &self,
        id: &Digest,
        buffer: &mut Vec<u8>,
        contents: &Mutex<VerifiedContents>,
        monitor: &dyn Monitor,
    ) -> Result<u64> {
        let (path, file, index) = self.open_pack(id)?;
        let mut found = HashMap::with_capacity(index.records.len());
        let mut bytes = 0;
        for record in &index.records {
            let is_right = record.read_verified(&file, buffer, &path)?;
            found.entry(record.digest).or_insert(is_right);
            if !is_right {
                let error = Error::damaged(
                    &path,
                    format!("the contents {} have another digest", record.digest),
                );
                workers::lock(contents).damaged.push(error);
            }
            bytes += u64::from(record.length);
            monitor.advance(u64::from(record.length));
        }
        workers::lock(contents).packs.insert(*id, found);
        Ok(bytes)
    }

    /// What is wrong with an entry's record. A missing record is no damage:
    /// `verify --repair` removes damaged ones.
    fn record_damage(&self, entry: &Entry) -> Result<Option<Error>> {
        let Some(id) = &entry.record else {
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

    /// An error if the entry is damaged; none if it no longer exists.
    fn verify_entry(&self, id: &EntryId, contents: &VerifiedContents) -> Result<Option<Entry>> {
        let Some(entry) = self.read_entry(id)? else {
            return Ok(None);
        };
        let manifest = self.read_manifest(&entry)?;
        let mut packs = Vec::new();
        for pack in &manifest.packs {
            self.add_contents(pack, contents, 0, &mut packs)?;
        }
        for leaf in manifest.tree.leaves() {
            let LeafKind::File(file) = &leaf.kind else {
                continue;
            };
            if let Some(content) = &file.content {
                self.verify_content(content, &manifest, contents, &packs)?;
            }
        }
        Ok(Some(entry))
    }

    /// `packs` are the contents of the manifest's packs.
    fn verify_content(
        &self,
        Content { digest, location }: &Content,
        manifest: &Manifest,
        contents: &VerifiedContents,
        packs: &[&HashMap<Digest, bool>],
    ) -> Result<()> {
        // Like a restore, uses the first pack that has the content.
        let is_right_in_pack = || packs.iter().find_map(|pack| pack.get(digest)) == Some(&true);
        match location {
            ContentLocation::Blob if !contents.blobs.contains(digest) => Err(Error::damaged(
                &self.layout.blob(digest),
                "it is missing or damaged",
            )),
            ContentLocation::Pack(pack) if !is_right_in_pack() => Err(Error::damaged(
                &self.layout.pack(&manifest.packs[*pack as usize]),
                format!("the contents {digest} are missing or damaged"),
            )),
            _ => Ok(()),
        }
    }

    /// Adds the contents of a pack, or of those that it was rewritten into, to `found`.
    fn add_contents<'c>(
        &self,
        id: &Digest,
        contents: &'c VerifiedContents,
        depth: u32,
        found: &mut Vec<&'c HashMap<Digest, bool>>,
    ) -> Result<()> {
        if let Some(pack) = contents.packs.get(id) {
            found.push(pack);
        } else if depth < super::locate::MAX_MOVES {
            let moved = self.read_moved(id)?.unwrap_or_default();
            moved
                .iter()
                .try_for_each(|pack| self.add_contents(pack, contents, depth + 1, found))?;
        }
        Ok(())
    }
}
