//! What the demo builds, and where.

use std::path::Path;

use super::project::DemoProject;
use crate::action::Env;

#[derive(Debug)]
pub struct DemoOptions<'a> {
    pub project: DemoProject,
    /// Where to create the temporary directory.
    pub parent: &'a Path,
    pub keep: bool,
    /// Copy crates from the user's Cargo home instead of downloading them.
    pub offline: bool,
    /// The user's environment, of which cargo gets only a few variables.
    pub env: &'a Env,
}
