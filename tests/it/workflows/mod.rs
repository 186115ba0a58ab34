//! Workflows and examples.

mod lint;
mod preflight;
