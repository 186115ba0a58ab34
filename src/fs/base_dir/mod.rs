//! A directory whose files are opened relative to its descriptor and never through a symlink.
//!
//! Others may be able to write to the directory. Whatever they put in the place of a file, a
//! directory or a part of a path (a symlink, a fifo, a device), each function here works below the
//! directory that was opened or fails, and none waits for another process.
//!
//! Paths are given in full, as messages show them. Only their part below [`BaseDir::path`] is
//! resolved, one component at a time.

mod base;
mod change;
mod look;
#[cfg(test)]
mod tests;

pub use base::BaseDir;
pub(crate) use base::Owner;
