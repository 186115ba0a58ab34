//! The demo from start to end: the temporary directory and the three jobs in it.

use std::path::Path;

use anyhow::Result;

use super::event::DemoEvent;
use super::job::JobRunner;
use super::project::DemoProject;
use super::report::{JobKind, JobReport, Report};
use super::scratch::Scratch;
use crate::action::Env;
use crate::monitor::Monitor;

/// What to build, and where.
#[derive(Debug)]
pub struct DemoOptions<'a> {
    pub project: DemoProject,
    /// Where to create the temporary directory.
    pub parent: &'a Path,
    /// Keep the temporary directory.
    pub keep: bool,
    /// Copy crates from the user's Cargo home instead of downloading them.
    pub offline: bool,
    /// The user's environment, of which cargo gets only a few variables.
    pub env: &'a Env,
}

/// Runs the three jobs one after the other, so that none slows down another.
///
/// `monitor` gets the warnings and can interrupt the demo; `on_event` gets its progress.
pub fn run(
    options: &DemoOptions<'_>,
    monitor: &dyn Monitor,
    on_event: &mut dyn FnMut(&DemoEvent<'_>),
) -> Result<Report> {
    options.project.check()?;
    let scratch = Scratch::create(options.parent, options.keep)?;
    let jobs = run_jobs(options, &scratch, monitor, on_event);
    let path = scratch.path().to_owned();
    let closed = scratch.close();
    match &closed {
        Ok(()) if options.keep => on_event(&DemoEvent::Kept(&path)),
        Ok(()) => on_event(&DemoEvent::Removed(&path)),
        Err(_) => {}
    }
    // A failed job is reported before a directory that could not be removed: it came first and may
    // be the reason.
    let jobs = jobs?;
    closed?;
    Ok(Report {
        project: options.project.to_string(),
        offline: options.offline,
        jobs,
        kept: options.keep.then_some(path),
    })
}

fn run_jobs(
    options: &DemoOptions<'_>,
    scratch: &Scratch,
    monitor: &dyn Monitor,
    on_event: &mut dyn FnMut(&DemoEvent<'_>),
) -> Result<[JobReport; 3]> {
    options.project.copy_to(&scratch.origin(), scratch.path())?;
    scratch.reset()?;
    let runner = JobRunner::new(options, scratch, monitor)?;
    let cargo = runner.cargo_version()?;
    on_event(&DemoEvent::Ready {
        project: &options.project,
        cargo: &cargo,
        directory: scratch.path(),
    });
    Ok([
        runner.run(JobKind::Fresh, on_event)?,
        runner.run(JobKind::WithCache, on_event)?,
        runner.run(JobKind::WithoutCache, on_event)?,
    ])
}
