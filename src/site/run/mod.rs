//! Runs a job at the site that was selected and returns its reply.
//!
//! Whatever happens, a run ends within the time limit plus the grace time, and within the grace
//! time after a signal: the runner leaves a container seven and a half seconds between SIGINT and
//! SIGTERM (actions/runner, `ProcessInvoker`). Every problem is returned as a value; the caller
//! treats it as a cache miss.
//!
//! Signals are caught from [`super::signals::install`] on, which a run calls too. A program that is
//! process 1 of a container calls it first: until then the kernel drops signals, afterwards an
//! early signal is kept until the job starts.

mod options;
mod site_runner;
mod worker_run;

pub use options::{RunOptions, RunOutcome};
pub use site_runner::SiteRunner;
