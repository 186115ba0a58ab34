//! The side that does the work when the entrypoint can't: a helper beside it, or a process in the
//! job's container.
//!
//! It is the same program, called with [`ARGUMENT`]. It gets one request and gives one reply
//! ([`wire`]), and knows nothing of workflows. It ends with its parent, however that dies
//! ([`serve`]).

pub mod context;
pub mod host;
pub mod identity;
pub mod protocol;
pub mod serve;

pub use context::WorkerContext;
pub use identity::Identity;
pub use serve::{local_home, serve};

/// What the program is called with to be the far side: its only argument, which decides before its
/// own name does.
pub const ARGUMENT: &str = "far";

/// How the file is called, in the root directory, where the program was unpacked for one request:
/// it removes itself.
pub const UNPACKED_PREFIX: &str = "local-cache-unpacked-";

/// A reply was written, whatever it says.
pub const EXIT_SERVED: u8 = 0;
/// Standard input ended before there was a whole request.
pub const EXIT_NO_REQUEST: u8 = 70;
/// The reply could not be written.
pub const EXIT_REPLY_LOST: u8 = 74;
/// The work did not stop when the parent was gone or the time was up. After a signal it is 128 and
/// its number.
pub const EXIT_ABANDONED: u8 = 75;
