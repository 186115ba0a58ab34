//! The cargo preset: what the action and the command line restore and save of Cargo projects.

mod build_dir;
mod builds;
mod command;
mod failures;
mod fresh;
mod gone;
mod import;
mod inputs;
mod job_keys;
mod job_log;
mod jobs;
mod keys;
mod package_cache;
mod places;
mod ready;
mod registry;
mod rooted;
pub(crate) mod support;
mod target_gc;
