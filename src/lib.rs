//! local-cache keeps directory trees on a self-hosted runner's own disk and puts them back.
//!
//! # Map
//!
//! A layer uses only what stands below it; `tests/it/architecture.rs` checks this list and the direction.
//!
//! - `cli`: the command line: arguments in, text or JSON out
//! - `demo`: the jobs of a workflow on a real Cargo project, with and without the cache
//! - `doctor`: the checks of a troubleshooting guide
//! - `action`: the phases of the GitHub Action: inputs and workflow context in, outputs and log lines out
//! - `report`: numbers, durations and tables as people read them
//! - `ops`: whole operations: restore, save, list, verify, prune
//! - `store`: entries, manifests, packs and blobs below the cache root
//! - `site`: where the work happens: on this machine, through the Docker Engine, in a job container
//! - `preset`: what a Cargo project needs kept, and under which key
//! - `key`: what identifies an entry: keys, paths, digests of files
//! - `pattern`: path patterns with the rules of GitHub's own glob library
//! - `tree`: directory trees: scan, manifest, plan, apply
//! - `events`: what phases of jobs did, one line each
//! - `fs`: the only room that calls the filesystem, relative to directory descriptors
//! - `monitor`: how operations tell their progress and learn to stop
//! - `workers`: jobs spread over threads, in order
//! - `digest`: digests of contents
//! - `error`: the one error type and what to do about each
//!
//! The library does not print, exit or read the environment. Deciding and doing are different files.

pub mod action;
pub mod cli;
pub mod demo;
pub mod digest;
pub mod doctor;
pub mod error;
pub mod events;
pub mod fs;
pub mod key;
pub mod monitor;
pub mod ops;
pub mod pattern;
pub mod preset;
pub mod report;
pub mod site;
pub mod store;
pub mod tree;
pub mod workers;
