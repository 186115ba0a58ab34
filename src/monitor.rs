//! Progress, warnings and cancellation of operations.

/// Receives the progress of an operation, from several threads. By default all methods do nothing.
pub trait Monitor: Sync {
    /// A stage starts that will process about this many bytes, or 0 if that is unknown.
    fn begin(&self, stage: Stage, bytes: u64) {
        let _ = (stage, bytes);
    }

    /// The stage processed this many more bytes.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something was skipped or failed, but the operation continues. The message is one line.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// Whether the operation should stop as soon as it can without leaving anything half done.
    fn is_interrupted(&self) -> bool {
        false
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Scanning,
    /// Reading files and storing new contents.
    Storing,
    Restoring,
    /// Reading the store and comparing digests.
    Verifying,
    /// Removing unused data from the store.
    Cleaning,
    /// Writing contents to the remote.
    Pushing,
    /// Reading contents from the remote.
    Pulling,
}

/// Ignores all progress and never stops an operation.
pub struct Silent;

impl Monitor for Silent {}
