//! The command line: arguments in, text or JSON out.
//!
//! Each command has a file with its arguments, what it does and what it prints. `args` joins the
//! commands to the arguments of the program, and `run` calls the one that was chosen.

mod action;
mod args;
mod cargo;
mod cargo_output;
mod completions;
mod context;
mod demo;
mod demo_output;
mod doctor;
mod entry_table;
mod exit;
mod failure;
mod help;
mod import;
mod interrupt;
mod key;
mod list;
mod man;
mod patterns;
mod progress;
mod prune;
mod record;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod remote_config;
#[cfg(feature = "remote")]
mod remote_status;
mod report;
mod restore;
mod rm;
mod run;
mod save;
mod scope;
mod second_tier;
mod selection;
mod show;
mod stats;
mod terminal;
mod text;
mod values;
mod verify;
mod why;

pub use exit::Exit;
pub use run::{Environment, run};
pub use terminal::Terminal;
