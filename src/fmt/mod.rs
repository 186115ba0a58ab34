//! Numbers, sizes, durations and tables as people read them.

pub mod human;
pub mod table;
