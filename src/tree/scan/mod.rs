//! Reads directory trees from disk, in parallel: one task for each directory.

mod filter;
mod flatten;
mod found;
mod guide;
mod leaf;
mod leaf_stat;
mod result;
mod visit;
mod walk;

pub use filter::{PathFilter, ScanOptions};
pub use leaf_stat::LeafStat;
pub use result::{ExtraneousName, Scan, SkipReason, SkippedPath};
pub use walk::scan;
