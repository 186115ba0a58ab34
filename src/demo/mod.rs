//! The demo: the jobs of a workflow on a real Cargo project, with and without the cache.
//!
//! # Why nothing outside the temporary directory changes
//!
//! The origin of the project, the checkout, the home directory with Cargo's home and the store are
//! in one temporary directory. Cargo gets a new environment ([`environment`]): variables that name
//! a directory to write to point inside, and settings of the project that lead elsewhere are
//! overridden. [`run`] removes the directory on success, failure and interrupt, after all processes
//! that it started are gone ([`process`]).
//!
//! # Why the comparison is fair
//!
//! The jobs run one after the other at the same paths, because cargo makes paths a part of a
//! crate's identity and a runner always checks out to the same directory. The runner is reset
//! before each job. The job without the cache takes the same steps but restores and saves nothing.
//! The caches are those of the Cargo preset ([`caches`]) and use the same code as the action.

mod caches;
mod copy;
mod environment;
mod event;
mod job;
mod offline;
mod options;
mod output;
mod process;
mod project;
mod report;
mod run;
mod scratch;

pub use event::DemoEvent;
pub use options::DemoOptions;
pub use output::Compiled;
pub use process::CargoFailed;
pub use project::DemoProject;
pub use report::{CacheUse, JobKind, JobReport, Report, StoredSize};
pub use run::run;
