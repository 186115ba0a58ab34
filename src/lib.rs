//! local-cache saves directory trees on a self-hosted runner's own disk and restores them.
//!
//! # Map
//!
//! A room uses only the rooms below it; the tests in `tests/it/architecture` check this list
//! and the direction.
//!
//! - `fuzzing`: what the targets in `fuzz` run; not part of the program
//! - `cli`: the command line: arguments in, text or JSON out
//! - `demo`: `local-cache demo`: jobs on a real Cargo project, with and without the cache
//! - `doctor`: `local-cache doctor`: checks disk, store, Docker, environment and remote
//! - `action`: the phases of the GitHub Action: inputs and workflow context in, outputs and log
//!   lines out
//! - `job`: what the action asks of a worker: request, reply, and the dispatch to operations
//! - `remote`: entries on S3-compatible storage, shared by many machines
//! - `ops`: operations on a store: restore, save, prune, free space, import
//! - `cargo`: knowledge about Cargo: projects, toolchains, keys, unused outputs of `target`,
//!   freshness of units
//! - `git`: what git knows about the files of a checkout, read without running git
//! - `stats`: the journal of events, statistics, the HTML and Prometheus output
//! - `store`: the files below the cache root: entries, manifests, packs, blobs, locks, retention
//! - `site`: where the work is done: in this process, in a helper on the host, or in the job's
//!   container
//! - `tree`: directory trees: scan, manifest, compare, plan, apply
//! - `glob`: path patterns and `hashFiles` with the rules of GitHub's libraries
//! - `fs`: the only room that calls the filesystem, relative to directory descriptors
//! - `fmt`: sizes, durations, numbers and tables as text
//! - `monitor`: progress, warnings and cancellation of operations
//! - `workers`: threads that process work in order
//! - `env`: a snapshot of the process environment
//! - `digest`: BLAKE3 digests of contents
//! - `error`: the error type: every error is one line, most with advice
//!
//! The library does not print, exit or read the environment. Deciding and doing are in
//! different files.

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
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod git;
pub mod glob;
pub mod job;
pub mod monitor;
pub mod ops;
#[cfg(feature = "remote")]
pub mod remote;
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
