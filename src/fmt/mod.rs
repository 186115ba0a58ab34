//! Numbers, sizes, durations and tables as text for people.

use std::time::Duration;

pub(crate) mod human;
pub mod screen;
pub mod table;

/// A duration as replies, events and JSON contain it.
pub(crate) fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
