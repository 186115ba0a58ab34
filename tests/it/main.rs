//! All integration tests in one binary: one link, one place for what they share.

mod action_commands;
mod action_context;
mod action_files;
mod action_inputs;
mod action_log;
mod action_yaml;
mod demo;
mod hash_files;
mod pattern;
