//! Derived files: they repeat what other files of the store say, so that those need not be read.
//!
//! A derived file can be removed at any time. One that is damaged, or that this program can't read,
//! counts as missing.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lock::SharedLock;
use super::open::Store;
use crate::digest::Digest;
use crate::error::{Error, Result};

/// Bytes of a derived file that is read.
const MAX_DERIVED: u64 = 512 << 20;

/// What is derived is read again when more than this number of files is unknown or gone. Fewer are
/// read each time, which is faster than writing a new derived file.
pub(super) const MANY: usize = 64;

impl Store {
    pub(super) fn read_derived<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let bytes = self.dir.read(path, MAX_DERIVED).ok()?;
        let (digest, body) = bytes.split_at_checked(Digest::LEN)?;
        if Digest::of(body).as_bytes() != digest {
            return None;
        }
        postcard::from_bytes(body).ok()
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
