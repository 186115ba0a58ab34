//! Writing contents that do not come from files of a tree, but from the remote.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use super::{ContentWriter, PackSlot};
use crate::digest::Digest;
use crate::error::{IoContext as _, Result};
use crate::store::blob::CopiedBlob;
use crate::workers;

impl ContentWriter<'_> {
    /// Begins a blob.
    pub(crate) fn begin_blob(&self) -> Result<BlobWriter<'_>> {
        let path = self.temp_dir.new_path();
        Ok(BlobWriter {
            file: self.store.dir.create_new(&path, self.store.modes.file)?,
            path,
            hasher: blake3::Hasher::new(),
            length: 0,
            writer: self,
        })
    }

    /// The slot of a content that is in a pack already, if it has this length.
    pub(crate) fn packed(&self, digest: &Digest, length: u64) -> Option<PackSlot> {
        let known = workers::lock(&self.known).find(self.store, digest);
        // What can't be read now is copied again.
        let known = known.unwrap_or(None);
        Some(
            known
                .filter(|content| u64::from(content.length) == length)?
                .slot,
        )
    }
}

/// A blob that is being written. Without [`BlobWriter::publish`], it is removed with the other
/// unfinished files of its save.
pub(crate) struct BlobWriter<'w> {
    writer: &'w ContentWriter<'w>,
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    length: u64,
}

impl BlobWriter<'_> {
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).context("write", || &self.path)?;
        self.hasher.update(data);
        self.length += data.len() as u64;
        Ok(())
    }

    /// Of what was written so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }

    pub(crate) fn publish(self) -> Result<()> {
        let copied = CopiedBlob {
            digest: self.digest(),
            length: self.length,
        };
        self.writer.publish_blob(&self.path, &copied)
    }
}
