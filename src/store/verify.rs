//! Reading the whole store and comparing it with its digests.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use super::entry::Entry;
use super::id::EntryId;
use super::layout::{self, Layout};
use super::lock::{GcLock, SharedLock};
use super::open::Store;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{FileKind, files, is_mostly_holes};
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
    /// Files that can't be read now, which says nothing about their contents.
    pub unreadable_files: Vec<Error>,
    /// Entries of which it is not known whether they can be restored.
    pub unknown: u64,
    pub bytes: u64,
}

/// The contents of all packs and blobs.
#[derive(Default)]
struct VerifiedContents {
    /// For each readable pack, its contents and whether they have the right digest.
    packs: HashMap<Digest, HashMap<Digest, bool>>,
    /// For each blob, whether it has the right digest.
    blobs: HashMap<Digest, bool>,
    damaged: Vec<Error>,
    unreadable: HashMap<Digest, Error>,
    bytes: u64,
}

/// What was found about an entry.
enum VerifiedEntry {
    Intact(Box<Entry>),
    /// It needs a file that can't be read now.
    Unknown,
    /// It no longer exists.
    Gone,
}

#[derive(PartialEq, Eq, Hash)]
enum ContentFile {
    Pack(Digest),
    Blob(Digest),
}

impl Store {
    /// The sizes of files; those that were removed meanwhile have none.
    fn total_bytes(&self, content_files: &[ContentFile]) -> u64 {
        let sizes = content_files.iter().map(|file| {
            let path = match file {
                ContentFile::Pack(id) => self.layout.pack(id),
                ContentFile::Blob(digest) => self.layout.blob(digest),
            };
            let found = self.dir.stat(&path).ok().flatten();
            found.map_or(0, |stat| stat.size)
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// Reads the whole store. While `_lock` is held, nothing is removed from it.
    pub fn verify(&self, _lock: &SharedLock, monitor: &dyn Monitor) -> Result<VerifyReport> {
        // Others save meanwhile, also entries in the place of these. A save publishes contents
        // before the entry, so the contents of all entries that are read here are listed after.
        let ids = self.entry_ids(None)?;
        let entries = workers::map(&ids, |id| self.read_entry(id));
        let content_files = self.content_files()?;
        let mut contents = self.verify_files(&content_files, monitor)?;
        let mut report = VerifyReport {
            damaged_files: std::mem::take(&mut contents.damaged),
            bytes: contents.bytes,
            ..VerifyReport::default()
        };
        let mut records = HashSet::new();
        for (id, entry) in ids.into_iter().zip(entries) {
            match entry.and_then(|entry| self.verify_entry(entry, &contents)) {
                Ok(VerifiedEntry::Intact(entry)) => {
                    report.intact += 1;
                    if records.insert(entry.record) {
                        self.verify_record(&entry, &mut report)?;
                    }
                }
                Ok(VerifiedEntry::Unknown) => report.unknown += 1,
                Ok(VerifiedEntry::Gone) => {}
                Err(error) if error.is_damage() => report.damaged.push((id, error)),
                Err(error) if self.is_unreadable(&error) => {
                    report.unreadable_files.push(error);
                    report.unknown += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let unreadable = contents.unreadable.into_values();
        report.unreadable_files.extend(unreadable);
        Ok(report)
    }

    /// Those of some entries that are damaged now. Reads the files that they need, each one once.
    pub(crate) fn still_damaged<'i>(
        &self,
        _lock: &GcLock,
        ids: impl IntoIterator<Item = &'i EntryId>,
        monitor: &dyn Monitor,
    ) -> Result<Vec<EntryId>> {
        let mut content_files = HashSet::new();
        let mut entries = Vec::new();
        for id in ids {
            let entry = self.read_entry(id).and_then(|entry| {
                if let Some(entry) = &entry {
                    content_files.extend(self.content_files_of(&entry.manifest)?);
                }
                Ok(entry)
            });
            entries.push((id, entry));
        }
        let content_files: Vec<_> = content_files.into_iter().collect();
        let contents = self.verify_files(&content_files, monitor)?;
        let mut damaged = Vec::new();
        for (id, entry) in entries {
            match entry.and_then(|entry| self.verify_entry(entry, &contents)) {
                Err(error) if error.is_damage() => damaged.push(id.clone()),
                // What can't be read now says nothing about the contents.
                Err(error) if !self.is_unreadable(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(damaged)
    }

    /// The damaged files among those that hold the contents of an entry. Reads all of them.
    pub(crate) fn damaged_files_of(
        &self,
        _lock: &SharedLock,
        entry: &Entry,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Error>> {
        let content_files = self.content_files_of(&entry.manifest)?;
        Ok(self.verify_files(&content_files, monitor)?.damaged)
    }

    /// The files that hold the contents of a manifest, as far as they exist.
    fn content_files_of(&self, manifest: &Digest) -> Result<Vec<ContentFile>> {
        let references = self.read_references(manifest)?;
        let mut found: Vec<_> = references
            .blobs
            .into_iter()
            .map(ContentFile::Blob)
            .collect();
        let mut pending: Vec<_> = references.packs.into_iter().map(|(pack, _)| pack).collect();
        let mut seen = HashSet::new();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            if self.dir.stat(&self.layout.pack(&id))?.is_some() {
                found.push(ContentFile::Pack(id));
            }
            pending.extend(self.read_moved(&id)?.unwrap_or_default());
        }
        Ok(found)
    }

    /// All blobs, then all packs.
    fn content_files(&self) -> Result<Vec<ContentFile>> {
        let mut found = Vec::new();
        let shelves = self.dir.list(&self.layout.blobs())?;
        // Others are of a process that was killed before it named a shelf.
        for shelf in shelves.iter().filter(|name| Layout::is_blob_shelf(name)) {
            let shelf = self.layout.blobs().join(shelf);
            let stat = self.dir.stat(&shelf)?;
            if stat.is_none_or(|stat| stat.kind != FileKind::Directory) {
                continue;
            }
            let names = self.dir.list(&shelf)?;
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
        monitor.begin(Stage::Verifying, self.total_bytes(content_files));
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
                    contents.blobs.insert(*digest, true);
                }
                Ok(())
            }
            // Another process removed it: two may verify and repair at the same time.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => match self.as_damage(error) {
                error if error.is_damage() => {
                    contents.damaged.push(error);
                    if let ContentFile::Blob(digest) = file {
                        contents.blobs.insert(*digest, false);
                    }
                    Ok(())
                }
                error if self.is_unreadable(&error) => {
                    let (ContentFile::Blob(digest) | ContentFile::Pack(digest)) = file;
                    contents.unreadable.insert(*digest, error);
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
        let file = self.dir.open_file(&path)?;
        if self.is_made_up_of_holes(&file, digest, &path)? {
            return Err(Error::damaged(&path, "most of it is holes"));
        }
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

    /// Whether a blob is a huge file of holes that no entry needs in this length. Reading it would
    /// take hours. A filesystem that makes holes of zeros can also store a real blob as holes.
    fn is_made_up_of_holes(&self, file: &File, digest: &Digest, path: &Path) -> Result<bool> {
        let length = files::length(file, path)?;
        if !is_mostly_holes(file, 0, length).context("read", || path)? {
            return Ok(false);
        }
        for id in self.entry_ids(None)? {
            if let Ok(Some(entry)) = self.read_entry(&id)
                && let Ok(manifest) = self.read_manifest(&entry.manifest)
                && blob_lengths(&manifest).any(|blob| blob == (*digest, length))
            {
                return Ok(false);
            }
        }
        Ok(true)
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

    /// A missing record is no damage: `verify --repair` removes damaged ones.
    fn verify_record(&self, entry: &Entry, report: &mut VerifyReport) -> Result<()> {
        let Some(id) = &entry.record else {
            return Ok(());
        };
        if self.dir.stat(&self.layout.manifest(id))?.is_none() {
            return Ok(());
        }
        match self.read_record(id) {
            Ok(_) => {}
            Err(error) if error.is_damage() => report.damaged_files.push(error),
            Err(error) if self.is_unreadable(&error) => report.unreadable_files.push(error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// An error if the entry is damaged.
    fn verify_entry(
        &self,
        entry: Option<Entry>,
        contents: &VerifiedContents,
    ) -> Result<VerifiedEntry> {
        let Some(entry) = entry else {
            return Ok(VerifiedEntry::Gone);
        };
        let manifest = self.read_manifest(&entry.manifest)?;
        let needed = manifest.packs.iter().copied();
        let blobs = blob_lengths(&manifest).map(|(digest, _)| digest);
        if needed
            .chain(blobs)
            .any(|digest| contents.unreadable.contains_key(&digest))
        {
            return Ok(VerifiedEntry::Unknown);
        }
        let mut packs = Vec::new();
        let mut seen = HashSet::new();
        for pack in &manifest.packs {
            self.add_contents(*pack, contents, &mut seen, &mut packs)?;
        }
        for leaf in manifest.tree.leaves() {
            let LeafKind::File(file) = &leaf.kind else {
                continue;
            };
            if let Some(content) = &file.content {
                self.verify_content(content, &manifest, contents, &packs)?;
            }
        }
        Ok(VerifiedEntry::Intact(Box::new(entry)))
    }

    /// `packs` are the contents of the manifest's packs.
    fn verify_content(
        &self,
        Content { digest, location }: &Content,
        manifest: &Manifest,
        contents: &VerifiedContents,
        packs: &[&HashMap<Digest, bool>],
    ) -> Result<()> {
        let is_right = match location {
            ContentLocation::Blob => contents.blobs.get(digest),
            // Like a restore, uses the first pack that has the content.
            ContentLocation::Pack(_) => packs.iter().find_map(|pack| pack.get(digest)),
        };
        if is_right == Some(&true) {
            return Ok(());
        }
        let (path, if_missing) = match location {
            ContentLocation::Blob => (self.layout.blob(digest), "it is missing".to_owned()),
            ContentLocation::Pack(pack) => (
                self.layout.pack(&manifest.packs[*pack as usize]),
                format!("it does not hold the contents {digest}"),
            ),
        };
        let reason = match is_right {
            Some(_) => format!("the contents {digest} have another digest"),
            None => if_missing,
        };
        Err(Error::damaged(&path, reason))
    }

    /// Adds the contents of a pack, or of those that it was rewritten into, to `found`. Skips the
    /// packs in `seen`.
    fn add_contents<'c>(
        &self,
        id: Digest,
        contents: &'c VerifiedContents,
        seen: &mut HashSet<Digest>,
        found: &mut Vec<&'c HashMap<Digest, bool>>,
    ) -> Result<()> {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            match contents.packs.get(&id) {
                Some(pack) => found.push(pack),
                None => pending.extend(self.read_moved(&id)?.unwrap_or_default().into_iter().rev()),
            }
        }
        Ok(())
    }
}

/// The blobs that a manifest needs, with their lengths.
fn blob_lengths(manifest: &Manifest) -> impl Iterator<Item = (Digest, u64)> {
    let blobs = manifest
        .contents()
        .filter(|(_, content)| content.location == ContentLocation::Blob);
    blobs.map(|(file, content)| (content.digest, file.data_len()))
}
