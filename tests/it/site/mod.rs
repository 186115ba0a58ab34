//! Where the work runs: on this machine, on the host, or in the job's container.

mod detect;
mod engine;
mod engines;
mod identity;
mod other_runners;
pub(crate) mod paths;
mod run;
mod worker;
