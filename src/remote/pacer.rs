//! Limits the rate of uploads.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::workers;

/// Keeps the average rate of uploads below a limit.
pub(super) struct Pacer {
    bytes_per_second: u64,
    /// When the line is free again.
    free_at: Mutex<Instant>,
}

impl Pacer {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// When these bytes may be sent: after all that were reserved before them.
    pub(super) fn reserve(&self, bytes: u64) -> Instant {
        let mut free_at = workers::lock(&self.free_at);
        let start = (*free_at).max(Instant::now());
        let milliseconds = bytes.saturating_mul(1000) / self.bytes_per_second;
        *free_at = start + Duration::from_millis(milliseconds);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_free_again_when_the_bytes_before_are_through() {
        let pacer = Pacer::new(1000);
        let first = pacer.reserve(50);
        assert_eq!(pacer.reserve(0), first + Duration::from_millis(50));
    }
}
