//! The keys of a Cargo project's caches: what they are made of, and why each part is in them.
//!
//! A project has a cache of its registry, one of its git dependencies, and one of each target directory. [`gather`]
//! looks at the machine and returns [`Facts`]; [`keys`] makes [`Keys`] of them and touches nothing. docs/keys.md tells
//! the same to those who use it.
//!
//! # Why a key is the same from run to run
//!
//! It is made of [`Part`]s and nothing else, and each is shown with where it came from. A part is in a key only if it
//! changes what cargo builds or downloads:
//!
//! - variables by an explicit list ([`variables`]), so no token, run number or terminal setting is among them;
//! - files in the form that cargo understands, reduced to what matters: the order of keys, comments, versions of the
//!   workspace's own packages and the like don't count;
//! - no path: files are told apart by their contents, and in values the home directory, cargo's, rustup's and the
//!   checkout stand as names ([`places`]).
//!
//! # Why a target directory is never restored under another compiler
//!
//! A target's key has two digests. The first is over what artifacts can't be shared across (compiler, variables and
//! the readable words before it), the second over what cargo sorts out by itself (lock file, manifests,
//! configuration). The only restore prefix ends after the first.

mod build_dir;
mod canonical;
mod config;
mod facts;
mod gather;
mod inputs;
mod keys;
mod lock;
mod look;
mod manifest;
mod members;
mod part;
mod places;
pub mod prune;
mod recipe;
mod reduced;
mod rustup;
pub mod sources;
mod toolchain;
pub mod variables;

pub use facts::{Asked, Compiler, Facts, Project, SourceFile, Toolchain, WorkspaceAsked, WorkspaceFacts};
pub use gather::{gather, gather_by};
pub use inputs::{DEFAULT_PREFIX_KEY, KeyInputs};
pub use keys::{Key, Keys, TargetKey, keys};
pub use lock::{Lock, Package};
pub use look::Sight;
pub use members::clean;
pub use part::{Origin, Part, Piece};
pub use recipe::Recipe;
