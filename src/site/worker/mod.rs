//! The process that runs a job when the entrypoint can't: in a helper container, or in the job's
//! container.
//!
//! A worker is the same program, called with [`ARGUMENT`]. It reads one request and writes one
//! reply ([`protocol`]), and knows nothing about workflows. It ends when its parent ends, even if
//! the parent is killed ([`serve()`]).

pub mod context;
mod host_probe;
pub mod identity;
pub(crate) mod process;
pub mod protocol;
pub mod serve;

pub use context::WorkerContext;
pub use identity::Identity;
pub use process::{ARGUMENT, EXIT_ABANDONED, EXIT_NO_REQUEST, EXIT_REPLY_LOST, EXIT_SERVED};
pub(crate) use serve::local_home;
pub use serve::serve;
