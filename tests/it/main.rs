//! All integration tests in one binary: one link, one place for what they share.

mod action_commands;
mod action_context;
mod action_files;
mod action_inputs;
mod action_log;
mod action_yaml;
mod docker;
mod hash_files;
mod pattern;
#[cfg(test)]
mod restore_over;
#[cfg(test)]
mod round_trip;
mod site;
mod site_engine;
mod site_identity;
#[cfg(test)]
mod support;
