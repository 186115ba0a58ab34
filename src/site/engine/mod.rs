//! The Docker Engine. No other room knows it or uses an asynchronous runtime.
//!
//! The client is small and our own, on top of hyper: it needs fifteen calls, and every reply, line
//! and stream that it reads has a limit in length and in time. A socket that accepts connections
//! and never answers, or answers without end, must not hold up a job or use up its memory.
//!
//! Requests carry the version of the API that engine and client both know: Docker 29 refuses
//! clients below 1.44, Docker 20.10 those above 1.41, and paths without a version are deprecated.
//! `/_ping`, the only path without one, tells the engine's version.

mod attached_stream;
mod client;
mod connection;
mod find_job_container;
mod frames;
mod helper;
mod http;
mod inject;
mod job_container;
mod job_spec;
mod own_container;
mod query;
mod replies;
mod session;
mod stale_helpers;
mod stream_parser;

pub(crate) use connection::Engine;
pub(crate) use helper::HelperSpec;
pub(crate) use job_spec::JobSpec;
pub(crate) use query::{ContainerHints, EngineQuery};
pub(crate) use session::{Session, SessionResult};
