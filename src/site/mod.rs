//! Where a job runs: in this process, in a helper container on the host, or in the job's container.
//!
//! The runner gives the container of an action the workspace and some directories of its own, but
//! neither the cache root nor the home directory of its user. So the entrypoint selects a site and
//! has the same program do the work there:
//!
//! - [`Site::Here`]: in this process, on the host or in a container in which everything is mounted.
//! - [`Site::Host`]: in a helper, a sibling container that sees the host's `/` and has the rights
//!   of the runner's user and no others.
//! - [`Site::JobContainer`]: in a process inside the job's container, which sees the same files as
//!   the steps.
//! - [`Site::None`]: nowhere. The decision gives the reason, and the step continues without the
//!   cache.
//!
//! [`gather`] collects [`facts`], [`detect`] decides from facts alone, and [`run`] carries out the
//! decision. The request and the reply are types of the caller: this room passes them on and knows
//! nothing about caches. Only `engine` knows Docker and uses an asynchronous runtime.

#[cfg(feature = "remote")]
pub(crate) mod detached;
pub mod detect;
mod engine;
pub mod facts;
pub mod gather;
mod helper_limits;
pub mod paths;
mod preference;
pub mod problem;
pub mod proc;
pub mod run;
mod runner_env;
pub mod signals;
pub(crate) mod stage_files;
pub mod supervise;
pub mod users;
pub mod worker;

#[cfg(any(test, fuzzing))]
pub(crate) use engine::fuzz;
pub use preference::{Site, SitePreference};
