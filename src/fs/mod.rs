//! The only room that calls the filesystem.
//!
//! Trees of users are accessed through [`Dir`], an open directory. Names are resolved relative to
//! its descriptor and never through a symlink, so concurrent changes of the path can't lead
//! outside. The store owns its paths and uses the functions of [`files`].

mod append;
mod dir;
pub mod files;
pub mod foreign;
mod holes;
mod lock;
pub mod namespace;
pub mod probe;
mod remove;
pub mod resolve_in_root;
pub mod serde_path;
mod stat;
mod temp;
mod volume;
pub mod xattrs;

pub use append::AppendFile;
pub use dir::{Dir, DirEntry, effective_uid, set_mode, set_mtime, stat_of};
pub use files::{Reflinker, reflink};
pub use holes::{Extent, data_extents};
pub use lock::{FileLock, LockMode, wait_for_lock};
pub use namespace::{Local, Namespace, Rooted};
pub use remove::{remove_child, remove_tree};
pub use stat::{FileKind, Stat, Timestamp};
pub use temp::{TempName, is_temp_name};
pub use volume::{Inodes, Volume, filesystem_type, has_local_clock, volume};
