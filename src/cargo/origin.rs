//! The source of a key component or of the choice of a toolchain.

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComponentOrigin {
    File(PathBuf),
    Variable(String),
    Input(&'static str),
    Machine,
    /// The component is absent, which is part of the key.
    NotFound,
}
