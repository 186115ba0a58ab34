//! Tests that start real containers, with the engine of this machine and no registry.
//!
//! Without an engine (or without root, which makes the users) they skip and say so, unless the
//! environment variable `LOCAL_CACHE_TESTS_REQUIRE` names them: a comma-separated list of
//! `docker`, `act` and `podman`, or `all`. Everything they make is called `local-cache-test-…` and removed.

mod act;
mod action;
mod cancelled;
mod dockerfile;
mod doctor;
mod failures;
mod helper;
mod helper_lifetime;
mod image;
mod image_files;
mod in_job;
mod job;
mod killed_parents;
mod latency;
mod machine;
mod own_container;
mod planted_links;
mod podman;
pub(crate) mod programs;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod remote_background;
mod runner;
mod stage;
mod steps;
mod support;
mod unreachable_host;
