//! Manifests: a tree with the digests of its contents, and its encoding.
//!
//! `docs/format.md` describes the bytes. A manifest is only decoded as a whole and after its
//! digests were verified. Decoding also validates what the rest of the program relies on: names are
//! single components, sorted and unique, so that even a forged manifest can't name anything outside
//! of its roots; hard links point backwards; ids are in range.

mod contents;
mod encoding;
mod record;
mod validate;
mod wire;

pub use contents::{Manifest, References};
pub use encoding::VERSION;
pub(crate) use record::{is_source_record, verify_source_record};
