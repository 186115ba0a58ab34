//! What phases of jobs did: one line each, the raw material of all statistics.
//!
//! [`Event`] is the line, [`journal`] the file. Lines are JSON, so that other programs can read them, too.

mod event;
pub mod journal;

pub use event::{Arm, Cache, Disk, Event, Hit, Phase, Run, now};
