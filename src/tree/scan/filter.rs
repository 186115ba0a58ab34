//! Options that restrict what a scan includes.

use std::path::Path;

use crate::glob::Filter;
use crate::tree::model::Tree;
use crate::tree::stamp::Stamp;

/// Restricts a scan. The default reads everything.
#[derive(Default)]
pub struct ScanOptions<'a> {
    /// Read only the names that this tree has, and report all others as extraneous. A directory
    /// such as a home directory can then be compared with a manifest without reading all of it.
    pub guide: Option<&'a Tree>,
    /// Don't list a directory whose mtime equals the one in the guide: nothing was added to it,
    /// unless somebody set the time back. For comparisons that ignore extraneous names.
    pub trust_mtimes: bool,
    /// The stamp of the guide. It too spares the listing of directories that did not change.
    pub stamp: Option<&'a Stamp>,
    /// Don't read extended attributes: the scan has none.
    pub without_attributes: bool,
    /// Decides which paths to skip.
    pub filter: Option<PathFilter<'a>>,
    /// Device and inode of a directory to skip: the store itself.
    pub store: Option<(u64, u64)>,
}

/// Called with an absolute path and whether it is a directory.
pub type PathFilter<'a> = &'a (dyn Fn(&Path, bool) -> Filter + Sync);
