//! local-cache keeps directory trees on a self-hosted runner's own disk and puts them back.
//!
//! # Map
//!
//! A room uses only the rooms below it; the tests in `tests/it/architecture` check this list
//! and the direction.
//!
//! - `cli`: the command line: arguments in, text or JSON out
//! - `demo`: the jobs of a workflow on a real Cargo project, with and without the cache
//! - `doctor`: the checks of a troubleshooting guide
//! - `action`: the phases of the GitHub Action: inputs and workflow context in, outputs and log
//!   lines out
//! - `job`: the request to a worker, its reply, and the dispatch between them
//! - `ops`: whole operations on a store: restore, save, prune, free space, import
//! - `cargo`: what a Cargo project needs kept, under which key, and what is fresh
//! - `stats`: what phases did: events, journal, statistics, pages
//! - `store`: entries, manifests, packs and blobs below the cache root
//! - `site`: where the work happens: on this machine, through the Docker Engine, in a job container
//! - `tree`: directory trees: scan, manifest, plan, apply
//! - `glob`: path patterns with the rules of GitHub's own glob library
//! - `fs`: the only room that calls the filesystem, relative to directory descriptors
//! - `fmt`: numbers, sizes, durations and tables as people read them
//! - `monitor`: how operations report progress and learn to stop
//! - `workers`: work spread over threads, in order
//! - `env`: a snapshot of the process environment
//! - `digest`: digests of contents
//! - `error`: the error type and what to do about each error
//!
//! The library does not print, exit or read the environment. Deciding and doing are different
//! files.

pub mod action;
pub mod cargo;
pub mod cli;
pub mod demo;
pub mod digest;
pub mod doctor;
pub mod env;
pub mod error;
pub mod fmt;
pub mod fs;
pub mod glob;
pub mod job;
pub mod monitor;
pub mod ops;
pub mod site;
pub mod stats;
pub mod store;
pub mod tree;
pub mod workers;

// The nouns of the system.
pub use action::Inputs;
pub use cargo::key::CargoKeys;
pub use digest::Digest;
pub use env::Env;
pub use error::{Error, Result};
pub use fs::{Local, Namespace, Rooted, Timestamp};
pub use glob::Patterns;
pub use job::{Job, JobReply, JobTarget, Task, run_job};
pub use monitor::Monitor;
pub use ops::restore::{RestoreOptions, RestoreRequest, RestoredEntry, restore};
pub use ops::save::{SaveOptions, SaveOutcome, SaveRequest, save};
pub use site::detect::SiteDecision;
pub use site::worker::WorkerContext;
pub use stats::event::{Event, Phase};
pub use store::retention::RetentionPolicy;
pub use store::{CacheKind, CacheScope, Entry, EntryGroup, EntryId, Store};
pub use tree::manifest::Manifest;
pub use tree::{Roots, Tree};
