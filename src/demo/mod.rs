//! A demonstration: the jobs of a workflow on a real Cargo project, side by side with and without
//! the cache.
//!
//! # Why nothing outside its directory is touched
//!
//! Everything lives in one temporary directory: the project's origin, the checkout, a home with
//! Cargo's in it, the store. Cargo is given an environment made from nothing ([`environment`]):
//! what says where to write points inside, and settings of a project that could lead elsewhere are
//! overridden. The directory goes when [`run`] ends, however it ends, and not before all processes
//! that it started are gone ([`process`]).
//!
//! # Why the comparison is fair
//!
//! All jobs run at the same paths, one after the other, on a machine that is laid anew for each:
//! Cargo takes paths for part of a crate's identity, and a runner checks out to the same place
//! every time. The job without the cache takes the same steps, but restores and saves nothing. The
//! caches are those of the cargo preset ([`caches`]), and go through [`crate::ops`] as those of the
//! action do.

mod caches;
mod copy;
mod environment;
mod error;
mod job;
mod offline;
mod output;
mod process;
mod project;
mod report;
mod scratch;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::DemoError;
pub use output::Compiled;
pub use project::DemoProject;
pub use report::{CacheUse, JobKind, JobReport, Report, StoredSize};

use crate::action::Env;
use crate::monitor::Monitor;
use scratch::Scratch;

/// What to demonstrate, and where.
#[derive(Debug)]
pub struct DemoOptions<'a> {
    /// The project that the jobs build.
    pub project: DemoProject,
    /// Where the temporary directory is made.
    pub parent: &'a Path,
    /// Leave the temporary directory when all is done.
    pub keep: bool,
    /// Take crates from the registry in the user's Cargo home, which is only read, in place of the
    /// network.
    pub offline: bool,
    /// The user's environment; only a few variables of it reach cargo.
    pub env: &'a Env,
}

/// What is going on now.
#[derive(Debug)]
pub enum DemoEvent<'a> {
    /// Everything needed is there.
    Ready {
        /// The project.
        project: &'a DemoProject,
        /// What cargo says of itself.
        cargo: &'a str,
        /// The temporary directory.
        directory: &'a Path,
    },
    /// A job begins.
    Job(JobKind),
    /// There is nothing to restore.
    Missed,
    /// Caches were restored.
    Restored(&'a [CacheUse], Duration),
    /// Cargo begins to fetch crates.
    Fetching,
    /// Cargo begins to build.
    Building,
    /// Cargo has built the project.
    Built(Compiled, Duration),
    /// Caches were saved, those of them that say so; none where nothing changed.
    Saved(&'a [CacheUse], Duration),
    /// The temporary directory was removed.
    Removed(&'a Path),
    /// The temporary directory was left.
    Kept(&'a Path),
}

/// Runs the jobs. They take turns at the machine, so that none slows another down.
///
/// `monitor` hears warnings and may call it off; `tell` hears what is going on.
pub fn run(
    options: &DemoOptions<'_>,
    monitor: &dyn Monitor,
    tell: &mut dyn FnMut(&DemoEvent<'_>),
) -> Result<Report, DemoError> {
    options.project.check()?;
    let scratch = Scratch::create(options.parent, options.keep)?;
    let done = perform(options, &scratch, monitor, tell);
    let path = scratch.path().to_owned();
    let ended = scratch.end();
    match &ended {
        Ok(()) if options.keep => tell(&DemoEvent::Kept(&path)),
        Ok(()) => tell(&DemoEvent::Removed(&path)),
        Err(_) => {}
    }
    // What went wrong first is what matters.
    let jobs = done?;
    ended?;
    let kept = options.keep.then_some(path);
    Ok(Report {
        project: options.project.to_string(),
        offline: options.offline,
        jobs,
        kept,
    })
}

fn perform(
    options: &DemoOptions<'_>,
    scratch: &Scratch,
    monitor: &dyn Monitor,
    tell: &mut dyn FnMut(&DemoEvent<'_>),
) -> Result<[JobReport; 3], DemoError> {
    options.project.lay(&scratch.origin(), scratch.path())?;
    scratch.renew()?;
    let runner = job::JobRunner::new(options, scratch, monitor)?;
    let cargo = runner.cargo_version()?;
    tell(&DemoEvent::Ready {
        project: &options.project,
        cargo: &cargo,
        directory: scratch.path(),
    });
    Ok([
        runner.run(JobKind::Fresh, tell)?,
        runner.run(JobKind::WithCache, tell)?,
        runner.run(JobKind::WithoutCache, tell)?,
    ])
}

/// The user's Cargo home.
fn cargo_home(env: &Env) -> Option<PathBuf> {
    let below_home = || env.path("HOME").map(|home| home.join(".cargo"));
    env.path("CARGO_HOME")
        .map(Path::to_owned)
        .or_else(below_home)
}
