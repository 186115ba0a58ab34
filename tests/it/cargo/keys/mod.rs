//! The computed keys of a Cargo project: which changes affect them, and how they are explained.

mod build_dir;
mod command;
mod project;
mod rules;
mod support;
mod text;
mod toolchain;
mod vendored;
