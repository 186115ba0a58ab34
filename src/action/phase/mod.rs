//! The phases of a step: what the inputs and the run ask for becomes a job, what comes of it
//! becomes outputs, state and log lines.
//!
//! Nothing that goes wrong with the cache fails the step, unless the user asked for that: it
//! becomes a warning, and what could not be restored counts as a miss. Two things fail it as in
//! actions/cache: inputs that make no sense, in the main phase, and a miss with
//! `fail-on-cache-miss`.
//!
//! - pre: guards the disk, and restores nothing. The workspace is not there yet, so a key that has
//!   digests of its files in it is another one here, and a wrong entry would be mixed with the
//!   right one later. It leaves a name under which the main phase can tell the post phase what it
//!   found, for runners that forget what main saved.
//! - main: restores (or, in the save action, saves) and sets the outputs.
//! - post: saves under the key that main looked for, unless that was found, and cleans. The runner
//!   evaluates the inputs anew for it, when the files that the key was made of may have changed or
//!   be gone; and it starts post also where an `if` kept main from running, because there was a pre
//!   phase (actions/runner, ActionRunner.cs). So post goes by what main noted down, and does
//!   nothing where main noted nothing. The same goes for where it may write: main decided that
//!   before the job's own programs had the event file within their reach. Last, it guards the disk,
//!   also where nothing is saved, and writes the summary.

mod context;
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
mod state;
mod summary;

pub use context::StepResult;
pub use run::run;
