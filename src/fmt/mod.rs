//! Numbers, sizes, durations and tables as text for people.

pub mod human;
pub mod table;
