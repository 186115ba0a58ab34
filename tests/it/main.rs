//! All integration tests in one binary: one link, one place for what they share.

mod action_commands;
mod action_log;
