//! The phases of the GitHub Action: inputs and workflow context in, outputs and log lines out.
//!
//! # Map
//!
//! Deciding (pure, tested as values):
//! - [`kind`]: which of the repository's three actions this process runs
//! - [`env`](mod@env), [`context`], [`event`]: the process environment, the runner's variables in
//!   it, the event file
//! - [`inputs`]: every input, its default and its rules, from one table
//! - [`access`]: which scopes and refs a run may read and write
//! - [`commands`]: formats workflow commands and escapes untrusted text
//! - [`record`]: formats records of the runner's file commands
//! - [`experiment`]: which runs restore nothing, as a control group
//! - [`summary`]: the job summary as Markdown
//!
//! Doing:
//! - [`files`]: appends records to the runner's files, reads the event file
//! - `origin`: whether a command works for a branch
//! - [`console`]: writes lines and commands to a writer that the caller owns
//! - [`dispatcher`]: runs a job where its files are
//! - [`phase`]: the pre, main and post phases
//! - [`look`](mod@look): what a phase would see, without doing anything
//!
//! Nothing here reads the process environment: `main` takes one snapshot ([`Env`]) and passes it
//! in, so that tests can use an environment of their own.

pub mod access;
pub mod commands;
pub mod console;
pub mod context;
pub mod dispatcher;
pub mod env;
pub mod event;
pub mod experiment;
pub mod files;
pub mod inputs;
pub mod kind;
pub mod look;
#[cfg(feature = "remote")]
pub(crate) mod origin;
pub mod phase;
pub mod record;
pub mod summary;
pub mod worker;

pub use crate::action::console::Console;
pub use context::WorkflowContext;
pub use env::Env;
pub use event::{CodeOrigin, EventPayload};
pub use files::{CommandFiles, FileError};
pub use inputs::{InputErrors, Inputs};
pub use kind::{ActionKind, Invocation};
