//! All integration tests in one binary: one link, one place for what they share.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod action_commands;
mod action_context;
mod action_files;
mod action_inputs;
mod action_log;
mod action_yaml;
mod architecture;
mod bad_input;
mod cargo;
mod cargo_prune;
mod cargo_sources;
mod compat;
mod concurrency;
mod crash;
mod damage;
mod demo;
mod docker;
mod doctor;
mod guard;
mod hash_files;
mod health;
mod hostile;
mod invariants;
mod manifest;
mod messages;
mod mirror_again;
mod model;
mod pattern;
mod preset_keys;
mod reading;
mod readme;
mod ready;
mod report;
mod restore_over;
mod retention;
mod round_trip;
mod site;
mod site_engine;
mod site_far;
mod site_identity;
mod site_paths;
mod space;
mod stats;
mod support;
mod workflows;
