//! The phases of the GitHub Action: inputs and workflow context in, outputs and log lines out.
//!
//! # Map
//!
//! Deciding (pure, tested as values):
//! - [`commands`]: values to workflow commands, and outside text to harmless text
//!
//! Doing:
//! - [`log`](mod@log): writes lines and commands to a writer that the caller owns

pub mod commands;
pub mod log;

pub use log::Log;
