//! The Docker Engine. No other room knows it or uses an asynchronous runtime.
//!
//! The client sends requests without a version in their paths, so each engine answers in the
//! version it prefers: Docker 29 refuses clients below 1.44 and Docker 20.10 those above 1.41, so
//! no single version suits both. The client's documentation does not promise this behaviour; a test
//! with a simulated engine checks the request paths.
//!
//! Every call has a time limit that includes reading the answer: a socket that accepts connections
//! and never answers must not hold up a job.

mod attached_stream;
mod client;
mod connection;
mod find_job_container;
mod helper;
mod inject;
mod job_container;
mod job_spec;
mod own_container;
mod query;
mod session;
mod stream_parser;

pub(crate) use connection::Engine;
pub(crate) use helper::HelperSpec;
pub(crate) use job_spec::JobSpec;
pub(crate) use query::{ContainerHints, EngineQuery};
pub(crate) use session::{Session, SessionResult};
