//! Where a component of a key, or the choice of a toolchain, comes from.

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentOrigin {
    File(PathBuf),
    Variable(String),
    Input(&'static str),
    Machine,
    /// Not present. Its absence is part of the key.
    NotFound,
}
