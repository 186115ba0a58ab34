//! Writing files: contents from the store, verified, under their names only when they are whole.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Applier, Batch, BatchItem, Building, add, at, put_in_place};
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::xattrs::{self, Attribute};
use crate::fs::{Dir, TempName, files as whole, reflink, set_mode, set_mtime, stat_of};
use crate::tree::{Content, Cursor, Extent, FileData, Leaf, LeafId, LeafKind, Tree};

/// Contents longer than this are copied piece by piece, so that memory stays small and the pieces
/// in the cache of the processor between reading, hashing and writing.
pub(super) const PIECE: usize = 256 << 10;

/// What one thread needs to write files: its position in the tree, its buffer, the file of the
/// store it reads.
pub(super) struct FileWriter<'j, 'a> {
    pub(super) job: &'j Applier<'a>,
    pub(super) cursor: Cursor<'j, Building<'j, 'a>>,
    pub(super) buffer: Vec<u8>,
    source: Option<(Arc<Path>, File)>,
}

impl<'j, 'a> FileWriter<'j, 'a> {
    pub(super) fn new(job: &'j Applier<'a>) -> Self {
        Self {
            job,
            cursor: job.cursor(),
            buffer: Vec::new(),
            source: None,
        }
    }

    /// Writes the files whose contents a batch holds.
    pub(super) fn write_batch(&mut self, batch: &Batch) -> Result<()> {
        self.job.go_on()?;
        self.open_source(&batch.path)?;
        match batch.items.as_slice() {
            [item] if item.length > PIECE as u64 => self.copy_one(batch, *item),
            items => {
                self.read_batch(batch)?;
                let buffer = std::mem::take(&mut self.buffer);
                let written = items.iter().try_for_each(|item| {
                    let start = usize::try_from(item.start).unwrap_or(usize::MAX);
                    let length = usize::try_from(item.length).unwrap_or(usize::MAX);
                    let data = buffer.get(start..).and_then(|rest| rest.get(..length));
                    let data =
                        data.ok_or_else(|| Error::defect("a file lies outside of its batch"))?;
                    self.write_one(batch, *item, data)
                });
                self.buffer = buffer;
                written
            }
        }?;
        self.job
            .monitor
            .advance(batch.items.iter().map(|item| item.length).sum());
        Ok(())
    }

    fn open_source(&mut self, path: &Arc<Path>) -> Result<()> {
        if self.source.as_ref().is_none_or(|(open, _)| open != path) {
            let file = whole::open(path).map_err(|error| missing_is_damage(error, path))?;
            self.source = Some((Arc::clone(path), file));
        }
        Ok(())
    }

    fn source(&self) -> Result<&File> {
        self.source
            .as_ref()
            .map(|(_, file)| file)
            .ok_or_else(|| Error::defect("no file of the store is open"))
    }

    fn read_batch(&mut self, batch: &Batch) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(usize::try_from(batch.length).unwrap_or(usize::MAX), 0);
        let whole = whole::read_exact_at(self.source()?, &mut buffer, batch.offset);
        self.buffer = buffer;
        if whole.context("read", || &*batch.path)? {
            Ok(())
        } else {
            Err(too_short(&batch.path))
        }
    }

    fn write_one(&mut self, batch: &Batch, item: BatchItem, data: &[u8]) -> Result<()> {
        let (_, file_data, content) = file_of(self.job, item.leaf)?;
        if self.job.options.verify && Digest::of(data) != content.digest {
            return Err(altered(&batch.path, &content.digest));
        }
        self.create(item.leaf, |file| match &*file_data.extents {
            [] => file.write_all(data),
            extents => {
                let mut rest = data;
                for extent in extents {
                    let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
                    let (part, after) = rest
                        .split_at_checked(length)
                        .ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
                    file.write_all_at(part, extent.offset)?;
                    rest = after;
                }
                file.set_len(file_data.size)
            }
        })?;
        add(&self.job.counts.bytes, item.length);
        Ok(())
    }

    /// Copies the contents of one large file.
    fn copy_one(&mut self, batch: &Batch, item: BatchItem) -> Result<()> {
        let job = self.job;
        let (_, file_data, content) = file_of(job, item.leaf)?;
        let from = self
            .source()?
            .try_clone()
            .context("open", || &*batch.path)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(PIECE, 0);
        let mut failed = None;
        let copied = self.create(item.leaf, |file| {
            let hasher = job.options.verify.then(blake3::Hasher::new);
            let mut copy = LeafCopy::new(&from, batch.offset + item.start, &mut buffer, hasher);
            let result = copy.run(job, file, file_data, item.length);
            let digest = copy.hasher.map(|hasher| Digest::from(hasher.finalize()));
            if let Some(source) = copy.unreadable {
                failed = Some(Error::Io {
                    action: "read",
                    path: batch.path.to_path_buf(),
                    source,
                });
            }
            match result {
                Ok(true) if digest.is_none_or(|digest| digest == content.digest) => Ok(()),
                Ok(true) => {
                    failed = Some(altered(&batch.path, &content.digest));
                    Err(io::ErrorKind::InvalidData.into())
                }
                Ok(false) => {
                    failed = Some(too_short(&batch.path));
                    Err(io::ErrorKind::InvalidData.into())
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::Interrupted {
                        failed = Some(Error::Interrupted);
                    }
                    Err(error)
                }
            }
        });
        self.buffer = buffer;
        copied.map_err(|error| failed.unwrap_or(error))?;
        add(&job.counts.bytes, item.length);
        Ok(())
    }

    /// Makes a leaf that has no contents in the store: an empty file, a hole, a symlink.
    pub(super) fn make(&mut self, leaf: LeafId) -> Result<()> {
        match &self.job.tree[leaf].kind {
            LeafKind::Symlink(target) => self.under_its_name(leaf, "create", |job, dir, name| {
                dir.symlink(target, name)?;
                dir.set_mtime_at(name, job.tree[leaf].mtime)?;
                add(&job.counts.files, 1);
                Ok(())
            }),
            LeafKind::File(FileData { size, .. }) => self.create(leaf, |file| file.set_len(*size)),
            LeafKind::HardLink(_) => self.link(leaf),
        }
    }

    /// Gives a leaf whose contents are right its mode, time and attributes.
    pub(super) fn touch(&mut self, leaf: LeafId) -> Result<()> {
        let job = self.job;
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        if let LeafKind::Symlink(_) = job.tree[leaf].kind {
            at(
                dir.set_mtime_at(name, job.tree[leaf].mtime),
                "set the time of",
                job,
                leaf,
            )?;
        } else {
            let file = at(dir.open_file(name), "open", job, leaf)?;
            at(
                describe(job, leaf, &file, true),
                "set the mode and time of",
                job,
                leaf,
            )?;
        }
        add(&job.counts.metadata_set, 1);
        Ok(())
    }

    /// Gives a file its further name.
    pub(super) fn link(&mut self, leaf: LeafId) -> Result<()> {
        let job = self.job;
        let LeafKind::HardLink(first) = job.tree[leaf].kind else {
            return self.make(leaf);
        };
        let mut from = job.cursor();
        let (from_dir, from_name) = from.enter_parent(first)?;
        let linked = self.under_its_name(leaf, "link", |_, dir, name| {
            dir.link_from(from_dir, from_name, name)
        });
        match linked {
            Ok(()) => {
                add(&job.counts.files, 1);
                Ok(())
            }
            // Another filesystem, or one without hard links: a copy is the nearest thing.
            Err(Error::Io { source, .. }) if is_link_refusal(&source) => {
                let original = at(from_dir.open_file(from_name), "open", job, first)?;
                self.create_as(leaf, first, |mut file| {
                    io::copy(&mut &original, &mut file).map(drop)
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a regular file, filled by `fill`, with the mode, time and attributes of the manifest.
    fn create(
        &mut self,
        leaf: LeafId,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<()> {
        self.create_as(leaf, leaf, fill)
    }

    fn create_as(
        &mut self,
        leaf: LeafId,
        like: LeafId,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<()> {
        self.under_its_name(leaf, "write", |job, dir, name| {
            let Leaf {
                mode, attributes, ..
            } = &job.tree[like];
            // Attributes can only be set on what may be written; the mode is set after them.
            let writable = if attributes.is_empty() { 0 } else { 0o200 };
            let mut file = dir.create_file(name, mode | writable)?;
            fill(&mut file)?;
            describe(job, like, &file, false)?;
            add(&job.counts.files, 1);
            Ok(())
        })
    }

    /// Lets `make` make something whole under the leaf's name: directly where nobody looks yet,
    /// else under a temporary name that is then renamed.
    fn under_its_name(
        &mut self,
        leaf: LeafId,
        action: &'static str,
        make: impl FnOnce(&Applier<'a>, &Dir, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let job = self.job;
        let parent = job.tree[leaf].parent;
        let (dir, name) = self.cursor.enter_parent(leaf)?;
        if parent != Tree::TOP && job.task(parent).is_missing() {
            return at(make(job, dir, name), action, job, leaf);
        }
        let temp = TempName::new();
        let made =
            make(job, dir, temp.as_bytes()).and_then(|()| put_in_place(dir, temp.as_bytes(), name));
        if made.is_err() {
            // A later restore gets rid of it if this fails.
            drop(dir.unlink(temp.as_bytes()));
        }
        at(made, action, job, leaf)
    }
}

/// The file `leaf` and its contents.
fn file_of<'a>(job: &Applier<'a>, leaf: LeafId) -> Result<(&'a Leaf, &'a FileData, Content)> {
    let tree: &'a Tree = job.tree;
    match &tree[leaf] {
        found @ Leaf {
            kind:
                LeafKind::File(
                    data @ FileData {
                        content: Some(content),
                        ..
                    },
                ),
            ..
        } => Ok((found, data, *content)),
        _ => Err(Error::defect(format!(
            "{} has no contents",
            job.places.leaf_path(tree, leaf).display()
        ))),
    }
}

/// Sets attributes, mode and time, in this order: each would be changed by the one before.
pub(super) fn describe(
    job: &Applier<'_>,
    leaf: LeafId,
    file: &File,
    existed: bool,
) -> io::Result<()> {
    let leaf = &job.tree[leaf];
    if existed || !leaf.attributes.is_empty() {
        write_attributes(job, file, &leaf.attributes)?;
    }
    // Looking costs a fraction of setting, and a new file usually has its mode from the start.
    if stat_of(file)?.mode != leaf.mode {
        set_mode(file, leaf.mode)?;
    }
    set_mtime(file, leaf.mtime)
}

/// Gives an open file or directory just these attributes. They can only be set on what may be
/// written.
pub(super) fn write_attributes(
    job: &Applier<'_>,
    file: &impl AsFd,
    attributes: &[Attribute],
) -> io::Result<()> {
    if *xattrs::read_open(file)? == *attributes {
        return Ok(());
    }
    let mode = stat_of(file)?.mode;
    if mode & 0o200 == 0 {
        set_mode(file, mode | 0o200)?;
    }
    if !xattrs::write_open(file, attributes)? {
        add(&job.counts.without_attributes, 1);
    }
    Ok(())
}

struct LeafCopy<'c> {
    from: &'c File,
    at: u64,
    buffer: &'c mut [u8],
    hasher: Option<blake3::Hasher>,
    /// Why the source can't be read.
    unreadable: Option<io::Error>,
}

impl<'c> LeafCopy<'c> {
    fn new(from: &'c File, at: u64, buffer: &'c mut [u8], hasher: Option<blake3::Hasher>) -> Self {
        Self {
            from,
            at,
            buffer,
            hasher,
            unreadable: None,
        }
    }

    /// Copies `length` bytes of data to where a file has them; false when the source is too short.
    fn run(
        &mut self,
        job: &Applier<'_>,
        to: &File,
        data: &FileData,
        length: u64,
    ) -> io::Result<bool> {
        let whole_file =
            self.at == 0 && data.extents.is_empty() && stat_of(self.from)?.size == length;
        if whole_file && !job.clone_fails.load(Ordering::Relaxed) {
            if reflink(self.from, to)? {
                // The blocks are shared, so what is read here is what the new file holds.
                return if self.hasher.is_some() {
                    self.hash(length)
                } else {
                    Ok(true)
                };
            }
            job.clone_fails.store(true, Ordering::Relaxed);
        }
        let whole = [Extent { offset: 0, length }];
        for extent in if data.extents.is_empty() {
            &whole[..]
        } else {
            &data.extents
        } {
            let mut done = 0;
            while done < extent.length {
                job.go_on()
                    .map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
                let Some(piece) = self.next_piece(extent.length - done)? else {
                    return Ok(false);
                };
                to.write_all_at(&self.buffer[..piece], extent.offset + done)?;
                done += piece as u64;
            }
        }
        if !data.extents.is_empty() {
            to.set_len(data.size)?;
        }
        Ok(true)
    }

    fn hash(&mut self, length: u64) -> io::Result<bool> {
        let mut done = 0;
        while done < length {
            let Some(piece) = self.next_piece(length - done)? else {
                return Ok(false);
            };
            done += piece as u64;
        }
        Ok(true)
    }

    /// Reads and hashes the next bytes; none when the file ends too early.
    fn next_piece(&mut self, left: u64) -> io::Result<Option<usize>> {
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        let piece = &mut self.buffer[..length];
        match whole::read_exact_at(self.from, piece, self.at) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                let kind = error.kind();
                self.unreadable = Some(error);
                return Err(kind.into());
            }
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        self.at += length as u64;
        Ok(Some(length))
    }
}

fn missing_is_damage(error: Error, path: &Path) -> Error {
    if error.is_not_found() {
        Error::damaged(path, "it is missing")
    } else {
        error
    }
}

fn too_short(path: &Path) -> Error {
    Error::damaged(path, "it is too short")
}

fn altered(path: &Path, digest: &Digest) -> Error {
    Error::damaged(path, format!("the contents {digest} have another digest"))
}

fn is_link_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::CrossesDevices
            | io::ErrorKind::Unsupported
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::PermissionDenied
    )
}
