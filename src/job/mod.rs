//! A job and its reply as values: the protocol between the action and the worker that sees the
//! files, which may be this process or another one.

mod cargo;
mod cargo_target;
mod context;
mod disk;
mod early;
mod events;
mod housekeeping;
mod look;
mod paths;
mod remote;
mod reply;
mod request;
mod run;
mod size_limit;
mod warnings;

pub use cargo::import::import;
pub use cargo::last_restore::{TargetOutcome, last_restore};
pub use cargo_target::{CargoTarget, WorkspaceLine};
pub(crate) use events::append_events;
pub(crate) use look::look;
pub use look::{ToolchainView, WorkerView};
pub use remote::{RemoteChoice, RemoteRequest};
pub use reply::{
    CacheReply, FoundEntry, FreshnessReply, JobReply, PastRun, SaveReply, StaleUnit, UnitOutcome,
};
pub use request::{
    EarlyRestore, Housekeeping, Job, JobTarget, KeepCounts, PathsTarget, RestoreRecord,
    RestoreTask, SaveNotes, SaveTask, Task,
};
pub use run::{copy_saved, run_job, run_job_with};
