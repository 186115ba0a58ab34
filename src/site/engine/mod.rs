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
pub(crate) use helper::{HelperNetwork, HelperSpec};
pub(crate) use job_spec::JobSpec;
pub(crate) use query::{ContainerHints, EngineQuery};
pub(crate) use session::{Session, SessionResult};

/// Reads any bytes as what the engine sends: a reply, and the streams of a container.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(found) = serde_json::from_slice::<replies::Inspected>(bytes) {
        drop(crate::site::facts::Container::from(found));
    }
    drop(serde_json::from_slice::<Vec<replies::Listed>>(bytes));
    let mut log = |line: &str| assert!(!line.contains('\n'), "{line}");
    let mut parser = stream_parser::StreamParser::new("0123456789abcdef", &mut log);
    let mut frames = frames::FrameReader::new(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers");
    runtime.block_on(async {
        while let Ok(Some((stream, part))) = frames.next().await {
            parser.feed(stream, part);
        }
    });
    drop(parser.finish());
}
