//! The phases of the GitHub Action: inputs and workflow context in, outputs and log lines out.
//!
//! # Map
//!
//! Deciding (pure, tested as values):
//! - [`kind`]: which of the three actions of the repository this process is
//! - [`env`](mod@env), [`context`], [`event`]: the process environment, what the runner says in it,
//!   what the event file says
//! - [`inputs`]: every input, its default and its rules, from one table
//! - [`access`]: which scopes and refs a run may read and write
//! - [`commands`]: values to workflow commands, and outside text to harmless text
//! - [`record`]: values to records of the runner's file commands
//! - [`experiment`]: which runs go without the cache
//! - [`summary`]: what the caches did, as Markdown
//!
//! Doing:
//! - [`files`]: appends records to the runner's files, reads the event file
//! - [`log`](mod@log): writes lines and commands to a writer that the caller owns
//! - [`place`]: has a job done where its files are
//! - [`phase`]: the phases themselves
//!
//! Nothing here reads the process environment: `main` takes one snapshot ([`Env`]) and hands it in,
//! so that every rule can be tested with an environment made for the test.

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
pub mod phase;
pub mod record;
pub mod summary;

pub use crate::action::console::Console;
pub use context::WorkflowContext;
pub use env::Env;
pub use event::{CodeOrigin, EventPayload};
pub use files::{CommandFiles, FileError};
pub use inputs::{InputErrors, Inputs};
pub use kind::ActionKind;
