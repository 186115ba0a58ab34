//! Records of sources that earlier versions made. They are only verified: no restore uses them.

use std::path::Path;

use super::contents::Manifest;
use crate::digest::Digest;
use crate::error::Result;

const MAGIC: [u8; 8] = *b"lc-srcs\n";

/// Whether a file of the store is such a record.
pub(crate) fn is_source_record(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Verifies the record `id` with the bytes of the file `path`. It is encoded like a manifest without
/// references.
pub(crate) fn verify_source_record(bytes: &[u8], id: &Digest, path: &Path) -> Result<()> {
    Manifest::decode_as(MAGIC, bytes, id, path).map(drop)
}
