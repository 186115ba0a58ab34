//! The progress of the demo.

use std::path::Path;
use std::time::Duration;

use super::output::Compiled;
use super::project::DemoProject;
use super::report::{CacheUse, JobKind};

/// A step of the demo that begins or is done.
#[derive(Debug)]
pub enum DemoEvent<'a> {
    /// The project and cargo were found.
    Ready {
        project: &'a DemoProject,
        /// The output of `cargo --version`.
        cargo: &'a str,
        directory: &'a Path,
    },
    Job(JobKind),
    Missed,
    Restored(&'a [CacheUse], Duration),
    Fetching,
    Building,
    Built(Compiled, Duration),
    /// Those caches were saved that have a size in [`CacheUse::saved`]: none if nothing changed.
    Saved(&'a [CacheUse], Duration),
    /// The temporary directory was removed.
    Removed(&'a Path),
    /// The temporary directory was kept.
    Kept(&'a Path),
}
