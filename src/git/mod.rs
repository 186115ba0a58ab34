//! What git knows about the files of a checkout, read without running git.
//!
//! The index of a repository has the id and the metadata of every tracked file. A file whose
//! metadata is as the index has it, and older than the index, was not changed since git read or
//! wrote it, so its contents are known without reading it. [`list`] lists the files of a checkout
//! with what is known about each; [`head`] names the commit that is checked out.
//!
//! Nothing is written, and no program is run: an image without git has the same results. What this
//! module cannot read (a newer format, a damaged file) makes a file count as not known, and the
//! caller reads it.

pub mod blob;
mod config;
pub mod head;
pub mod index;
pub mod list;
mod patterns;
pub mod repository;

pub use blob::{BlobId, ObjectFormat, blob_id_of};
pub use head::Head;
pub use list::{ListedFile, Listing, list_files};
pub use repository::Repository;

/// Reads any bytes as the files of a repository: its index, its configuration, and patterns, which
/// are compared with a path.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        if let Ok(index) = index::Index::parse(bytes, format, crate::fs::Timestamp::default()) {
            for entry in index.entries() {
                index.path_of(entry);
            }
        }
    }
    drop(config::RepositoryConfig::parse(bytes));
    head::fuzz(bytes);
    let at = bytes.iter().position(|byte| *byte == 0);
    let (text, path) = bytes.split_at(at.unwrap_or(bytes.len()));
    patterns::ignore::IgnoreChain::default()
        .with(b"", text)
        .ignores(path, false);
    patterns::attributes::ConversionChain::default()
        .with(b"", text)
        .may_convert(path);
}
