//! Carries out a plan, in parallel.
//!
//! # Why a killed restore leaves nothing half done
//!
//! - A file in an existing directory is written under a temporary name beside its target, verified,
//!   and renamed over the target. At any time the name refers to the old file, to nothing, or to
//!   the complete new file.
//! - A missing directory is built under a temporary name, with everything in it. It gets its mode
//!   and time last and is renamed when it is complete. Nobody looks into it before that, so files
//!   in it are created under their final names.
//! - Extraneous names are removed only after everything else succeeded.
//!
//! # Order
//!
//! Check contents, write files, link, set times of new directories, rename, remove, set times of
//! existing directories. Each step changes times that only later steps set. The temporary names of
//! a killed restore are removed by a later one.

mod applier;
mod batch;
mod check;
mod contents;
mod copy;
mod counts;
mod dirs;
mod metadata;
mod replace;
mod run;
mod writer;

pub use applier::{ApplyOptions, ContentSource};
pub use batch::{Batch, BatchItem};
pub use counts::Applied;
pub use run::{ApplyOutcome, apply};
