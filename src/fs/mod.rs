//! The only room that calls the filesystem.
//!
//! Trees of users are accessed through [`Dir`], an open directory, and the store through
//! [`BaseDir`]. Names are resolved relative to a descriptor and never through a symlink, so
//! concurrent changes of the path can't lead outside. The functions of [`files`] take paths and
//! follow symlinks.

mod append;
mod base_dir;
mod boot;
mod dir;
pub mod files;
pub mod foreign;
mod holes;
mod lock;
mod names;
pub mod namespace;
pub mod probe;
mod remove;
pub(crate) mod resolve_in_root;
pub(crate) mod serde_path;
mod stat;
mod temp;
mod volume;
pub mod xattrs;

pub use append::AppendFile;
pub use base_dir::BaseDir;
pub(crate) use base_dir::Owner;
pub(crate) use boot::boot_id;
pub use dir::{Dir, DirEntry, set_mode};
pub(crate) use dir::{effective_uid, is_gone, set_mtime, stat_of};
pub(crate) use files::WrongFile;
pub use files::{Reflinker, reflink};
pub use holes::Extent;
pub(crate) use holes::{data_extents, is_mostly_holes};
pub(crate) use lock::wait_for_lock;
pub use lock::{FileLock, LockMode};
pub(crate) use names::{group_name, user_name};
pub use namespace::{Local, Namespace, Rooted};
pub(crate) use remove::{may_stay, remove_child, remove_tree};
pub use stat::{FileKind, Stat, Timestamp};
pub use temp::TempName;
pub(crate) use temp::is_temp_name;
pub use volume::{Inodes, Volume, volume};
pub(crate) use volume::{filesystem_type, has_local_clock, proves_unchanged};
