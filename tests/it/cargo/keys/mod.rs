//! The computed keys of a Cargo project: what changes them, what does not, and how they are
//! explained.

mod build_dir;
mod command;
mod project;
mod rules;
mod support;
mod toolchain;
