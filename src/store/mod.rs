//! The store: entries, manifests, packs and blobs below a cache root. `docs/format.md` describes
//! its format.
//!
//! # Why it is correct at any instant
//!
//! - Data is written before what refers to it: contents, then the manifest, then the entry. Each is
//!   written in `tmp` and renamed when it is complete. An entry exists only if its file does, so a
//!   killed save leaves only garbage, which the next garbage collection removes.
//! - Published files never change. Manifests, packs and blobs are named by digests of their
//!   contents; two processes that publish the same thing publish the same bytes.
//! - Removal goes the other way: the entry first, then its manifest, then contents that nothing
//!   refers to.
//! - Nothing is flushed to the disk. A power cut can leave a published file torn or empty, but each
//!   byte is covered by a digest that is checked before or while it is used: the entry by its
//!   checksum, the manifest by the entry, each content by the manifest. A damaged entry is reported
//!   and treated as a miss.
//! - Restores and saves hold the store's lock shared, garbage collection holds it exclusively. So
//!   what a save found in the store and refers to still exists when its entry is published. See
//!   [`lock`].

#[cfg(feature = "remote")]
pub mod background_push;
mod blob;
mod derived;
pub mod disk_limits;
mod entries_state;
pub mod entry;
mod garbage;
pub(crate) mod gc;
pub mod id;
mod job_state;
pub(crate) mod key_match;
mod keys;
mod known_packs;
pub mod layout;
mod lent;
mod locate;
pub mod lock;
mod open;
pub mod pack;
mod pack_users;
pub(crate) mod prepared;
mod quarantine;
mod read;
pub mod ready;
pub mod ready_limit;
pub mod retention;
pub mod save;
pub mod scope;
pub(crate) mod size;
mod stamps;
mod sweep;
mod trust;
pub mod verify;

pub use entry::Entry;
pub use id::{CacheKind, EntryGroup, EntryId};
pub(crate) use keys::{EntryKey, KeepKeys};
pub(crate) use open::CacheRoot;
pub use open::{FileModes, Store};
pub use scope::CacheScope;
pub(crate) use trust::Sharing;
