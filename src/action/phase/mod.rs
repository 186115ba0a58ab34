//! The phases of a step: inputs and run become a job, its reply becomes outputs, state and log
//! lines.
//!
//! A failure of the cache never fails the step, unless the user asked for that: it becomes a
//! warning, and what could not be restored counts as a miss. Two things fail the step as in
//! actions/cache: invalid inputs in the main phase, and a miss with `fail-on-cache-miss`. With
//! `fail-on-stale`, crates that may be stale fail the post phase.
//!
//! - pre guards the disk and restores what does not depend on the checkout, which is not there yet
//!   ([`early`]). It sets no outputs: the runner would drop them. On act it chooses a name under which main
//!   leaves in the store what it restored, because act forgets the state that main saves.
//! - main restores (or, in the save action, saves) and sets the outputs.
//! - post saves under the key that main looked up, unless main restored that key, then guards the
//!   disk and writes the summary. The runner evaluates the inputs again for it, when the files that
//!   the key was computed from may have changed or be gone, and it runs post even if an `if`
//!   skipped main, because there was a pre phase (actions/runner, ActionRunner.cs). So post uses
//!   the [`state`] that main saved and does nothing without it. The scope that post writes to is
//!   part of that state: main decided it before the job's own programs could change the event file.

mod context;
mod details;
mod early;
mod free_space;
mod housekeeping;
mod job;
mod messages;
mod outputs;
mod restore;
mod restore_cargo;
mod restore_paths;
mod run;
mod save;
mod stale;
mod state;
mod summary;
mod verdict;

pub use context::StepResult;
pub use run::run;
