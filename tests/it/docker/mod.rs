//! Tests that start real containers, with the engine of this machine and no registry.
//!
//! Without an engine (or without root, which makes the users) they skip and say so, unless the
//! environment variable `LOCAL_CACHE_TESTS_REQUIRE` names them: a comma-separated list of `docker`
//! and `act`, or `all`. Everything they make is called `local-cache-test-…` and removed.

mod act;
mod action;
mod dockerfile;
mod ending;
mod helper;
mod image;
mod in_job;
mod job;
mod kit;
mod latency;
mod life;
mod machine;
mod own;
mod programs;
mod refusal;
mod runner;
mod stage;
mod steps;
mod trouble;
