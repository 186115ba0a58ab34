//! The project that the jobs build.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::copy::copy_project;
use crate::fs::files;

/// The files of the built-in workspace, by path.
const BUILT_IN: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("project/Cargo.toml")),
    ("Cargo.lock", include_str!("project/Cargo.lock")),
    (
        "crates/orders/Cargo.toml",
        include_str!("project/crates/orders/Cargo.toml"),
    ),
    (
        "crates/orders/src/lib.rs",
        include_str!("project/crates/orders/src/lib.rs"),
    ),
    (
        "crates/totals/Cargo.toml",
        include_str!("project/crates/totals/Cargo.toml"),
    ),
    (
        "crates/totals/src/lib.rs",
        include_str!("project/crates/totals/src/lib.rs"),
    ),
    (
        "crates/report/Cargo.toml",
        include_str!("project/crates/report/Cargo.toml"),
    ),
    (
        "crates/report/src/main.rs",
        include_str!("project/crates/report/src/main.rs"),
    ),
];

/// A Cargo project with its Cargo.lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemoProject {
    /// A workspace of three crates with a few well-known dependencies, which is part of this
    /// program.
    BuiltIn,
    /// A copy of the project in this directory.
    Directory(PathBuf),
}

impl DemoProject {
    /// Fails if the project has no manifest to build or no lock file to compute keys from.
    pub(super) fn check(&self) -> Result<()> {
        let Self::Directory(directory) = self else {
            return Ok(());
        };
        if files::stat(&directory.join("Cargo.toml"))?.is_none() {
            bail!(
                "{} has no Cargo.toml; give --project the root directory of a Cargo project",
                directory.display()
            );
        }
        if files::stat(&directory.join("Cargo.lock"))?.is_none() {
            bail!(
                "{} has no Cargo.lock; run `cargo generate-lockfile` in that directory first",
                directory.display()
            );
        }
        Ok(())
    }

    /// Copies the project to the new directory `to`. `excluded` is a directory that is not copied
    /// if it is inside the project.
    pub(super) fn copy_to(&self, to: &Path, excluded: &Path) -> Result<()> {
        match self {
            Self::Directory(directory) => copy_project(directory, to, excluded)?,
            Self::BuiltIn => {
                for (path, text) in BUILT_IN {
                    let path = to.join(path);
                    path.parent().map_or(Ok(()), files::create_dir_all)?;
                    files::write_new(&path, 0o644, text.as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for DemoProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("the built-in workspace"),
            Self::Directory(directory) => directory.display().fmt(f),
        }
    }
}

/// Whether the project in `directory` chooses its toolchain in a file (rustup book, "The toolchain
/// file").
pub(super) fn has_toolchain_file(directory: &Path) -> Result<bool> {
    for file in ["rust-toolchain.toml", "rust-toolchain"] {
        if files::stat(&directory.join(file))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files_below(directory: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, root, found);
            } else {
                found.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }

    #[test]
    fn the_built_in_workspace_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy");
        DemoProject::BuiltIn.copy_to(&copy, dir.path()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/project");
        let (mut copied, mut expected) = (Vec::new(), Vec::new());
        files_below(&copy, &copy, &mut copied);
        files_below(&source, &source, &mut expected);
        copied.sort_unstable();
        expected.sort_unstable();
        assert_eq!(copied, expected);
    }

    #[test]
    fn a_project_without_a_lock_file_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let project = DemoProject::Directory(dir.path().to_owned());
        assert!(
            project
                .check()
                .unwrap_err()
                .to_string()
                .contains("has no Cargo.toml")
        );
        fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        let error = project.check().unwrap_err().to_string();
        assert!(
            error.contains(
                "has no Cargo.lock; run `cargo generate-lockfile` in that directory first"
            ),
            "{error}"
        );
        fs::write(dir.path().join("Cargo.lock"), "").unwrap();
        project.check().unwrap();
    }
}
