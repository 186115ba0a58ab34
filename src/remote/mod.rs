//! Entries on S3-compatible storage, shared by many machines: the second tier behind the store.
//!
//! The store is complete without it. A push copies an entry of the store to the remote, a pull makes
//! an entry of the remote one of the store. [`name`] draws the objects; `docs/remote.md` describes
//! the use and the format.
//!
//! # Why a restore never gets anything wrong
//!
//! - Data is written before what refers to it: segments, then the manifest, then the record. What
//!   can be found is complete, also after a kill.
//! - Nothing is ever replaced: the names of data have the push in their digests, and each push of a
//!   key writes a record of its own. So nothing depends on conditional requests, which some servers
//!   ignore, and a request whose answer was lost may be sent again.
//! - Each byte is covered by a digest: the record by its checksum, the manifest by the record, each
//!   content by the manifest. Contents are compared after they were unpacked and before an entry
//!   refers to them.
//! - [`gc`] says why removing entries does not break others.
//!
//! # Who is trusted
//!
//! Everyone who may write to a group can write what its jobs restore, with right digests. The object
//! names begin with the trust and the scope, so that policies of the bucket can tell writers apart.
//! [`Trust`] says what each run reads and writes.
//!
//! With keys, it is not the bucket that decides: a machine that trusts some keys uses only records
//! that one of them signed. [`signature`] says what that covers.

mod background;
mod client;
mod commands;
pub mod config;
mod connect;
mod error;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod gc;
mod keys;
mod lookup;
mod manifest;
mod memory;
mod name;
mod network;
mod owner;
mod pacer;
mod probe;
mod pull;
mod push;
mod pusher;
mod record;
mod segment;
mod server_clock;
mod settings;
mod signature;
mod status;
#[cfg(test)]
mod tests;
mod tier;
mod usage;

pub use background::BACKGROUND_ARGUMENT;
pub use client::Traffic;
pub use commands::Remote;
pub use config::RemoteConfig;
#[cfg(any(test, fuzzing))]
pub(crate) use fuzz::fuzz;
pub use gc::{RemoteGcOptions, RemoteGcStats, SHORTEST_GRACE};
pub use name::Trust;
pub(crate) use probe::{ProbeFailure, RemoteProbe, probe};
pub use pull::PullStats;
pub use push::{PushOutcome, PushStats};
pub(crate) use pusher::copy_after_job;
pub use pusher::push_in_background;
pub use settings::remote_url;
pub use status::{RemoteEntry, RemoteStatus, RemoteVerifyOptions, RemoteVerifyReport};
pub use tier::RemoteTier;
