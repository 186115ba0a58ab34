//! The cargo preset: what the action and the command line restore and save of Cargo workspaces.

mod build_dir;
mod builds;
mod command;
mod concurrent;
mod fixture;
mod import;
mod inputs;
mod jobs;
mod keys;
mod registry;
mod trouble;
