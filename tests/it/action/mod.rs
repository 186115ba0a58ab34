//! The GitHub Action: inputs, workflow context, outputs, log, and its phases.

mod commands;
mod console;
mod context;
mod early;
mod experiment;
pub(crate) mod files;
mod inputs;
mod journal;
mod metadata;
mod summary;
mod timeout;
mod verdict;
