//! All integration tests in one binary, which links once.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod action;
mod architecture;
mod cargo;
mod cli;
mod compat;
mod demo;
mod docker;
mod docs;
mod doctor;
#[cfg(feature = "remote")]
mod doctor_remote;
mod faults;
mod git;
mod glob;
mod invariants;
mod job;
mod native;
mod ops;
#[cfg(feature = "remote")]
mod remote;
mod site;
mod stats;
mod store;
mod support;
mod tree;
mod workflows;
