//! The native action: the same program, started by node on the runner itself.

mod files;
mod phases;
