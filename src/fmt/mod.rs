//! Numbers, sizes, durations and tables as text for people.

pub(crate) mod human;
pub mod table;
