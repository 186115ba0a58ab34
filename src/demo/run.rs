//! The demo from start to end: the temporary directory and the three jobs in it.

use anyhow::Result;

use super::event::DemoEvent;
use super::job::JobRunner;
use super::options::DemoOptions;
use super::report::{JobKind, JobReport, Report};
use super::scratch::Scratch;
use crate::monitor::Monitor;

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
