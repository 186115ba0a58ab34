//! How the library tells what it is doing, and learns that it should stop.

/// Told of progress by operations, from several threads. Everything has a default that does
/// nothing.
pub trait Monitor: Sync {
    /// A stage begins that will handle about this many bytes; 0 when that is not known.
    fn begin(&self, stage: Stage, bytes: u64) {
        let _ = (stage, bytes);
    }

    /// Some more bytes of the stage are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something was left out or could not be done, though the operation goes on: one line.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// Whether the operation should end as soon as it can, leaving nothing half done.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// What an operation is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking at what is there.
    Scanning,
    /// Reading files and storing what is new.
    Storing,
    /// Writing files.
    Restoring,
    /// Comparing digests.
    Verifying,
    /// Removing what is no longer needed.
    Cleaning,
}

/// Tells nobody.
pub struct Silent;

impl Monitor for Silent {}
