//! How a worker is started and what its exit codes mean.

/// The only argument of a worker. It takes precedence over the name of the program.
pub const ARGUMENT: &str = "worker";

/// The name of a program that was unpacked into the root directory for one request starts with
/// this. It removes its own file.
pub(crate) const UNPACKED_PREFIX: &str = "local-cache-unpacked-";

/// A reply was written, even if it says that the job failed.
pub const EXIT_SERVED: u8 = 0;
/// Standard input ended before the request was complete.
pub const EXIT_NO_REQUEST: u8 = 70;
/// The reply could not be written.
pub const EXIT_REPLY_LOST: u8 = 74;
/// The job did not stop after the time limit or after the parent ended. If it did not stop after a
/// signal, the exit code is 128 plus the signal's number.
pub const EXIT_ABANDONED: u8 = 75;
