//! Derived files repeat contents of many other files of the store, so that one file is read instead
//! of many.
//!
//! A derived file can be removed at any time. One that is damaged or can't be read counts as
//! missing.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lock::SharedLock;
use super::open::Store;
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The maximum length of a derived file that is read, in bytes.
const MAX_DERIVED: u64 = 512 << 20;

/// A derived file is used for more than this number of files, and written again when more than this
/// number of them is new or gone. Up to this number, reading the files is faster than writing it.
pub(super) const MANY: usize = 64;

/// The bytes of a derived file, whose digest is right.
pub(super) struct DerivedFile(Vec<u8>);

impl DerivedFile {
    /// None for a file of another version of the program.
    pub(super) fn decode<'f, T: Deserialize<'f>>(&'f self) -> Option<T> {
        postcard::from_bytes(self.0.get(Digest::LEN..)?).ok()
    }
}

impl Store {
    pub(super) fn read_derived<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        self.open_derived(path)?.decode()
    }

    /// Reads a derived file whose values borrow from its bytes.
    pub(super) fn open_derived(&self, path: &Path) -> Option<DerivedFile> {
        let bytes = self.dir.read(path, MAX_DERIVED).ok()?;
        let (digest, body) = bytes.split_at_checked(Digest::LEN)?;
        (Digest::of(body).as_bytes() == digest).then_some(DerivedFile(bytes))
    }

    pub(super) fn write_derived(
        &self,
        _lock: &SharedLock,
        path: &Path,
        value: &impl Serialize,
    ) -> Result<()> {
        let mut bytes = vec![0; Digest::LEN];
        bytes = postcard::to_extend(value, bytes).map_err(Error::defect)?;
        let digest = Digest::of(&bytes[Digest::LEN..]);
        bytes[..Digest::LEN].copy_from_slice(digest.as_bytes());
        self.write_atomically(path, &bytes)
    }
}
