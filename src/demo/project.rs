//! The project that the jobs build.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DemoError;
use super::copy::copy_project;
use crate::fs::files;

/// The files of the built-in workspace by their paths in it.
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
    /// A workspace of three crates with a few well-known dependencies that is part of this program.
    BuiltIn,
    /// The project in a directory, which is only read.
    Directory(PathBuf),
}

impl DemoProject {
    /// Whether it has what the jobs need: a manifest to build and a lock file to make keys of.
    pub(super) fn check(&self) -> Result<(), DemoError> {
        let Self::Directory(directory) = self else {
            return Ok(());
        };
        let needed = [
            (
                "Cargo.toml",
                "give --project the root directory of a Cargo project",
            ),
            ("Cargo.lock", "run `cargo generate-lockfile` there first"),
        ];
        for (file, advice) in needed {
            if files::stat(&directory.join(file))?.is_none() {
                return Err(DemoError::NoProject {
                    directory: directory.clone(),
                    file,
                    advice,
                });
            }
        }
        Ok(())
    }

    /// Lays its files into the new directory `to`. `except` is left out should it lie in the
    /// project.
    pub(super) fn lay(&self, to: &Path, except: &Path) -> Result<(), DemoError> {
        match self {
            Self::Directory(directory) => copy_project(directory, to, except)?,
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

/// Its name in a sentence.
impl fmt::Display for DemoProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("the built-in workspace"),
            Self::Directory(directory) => directory.display().fmt(f),
        }
    }
}

/// Whether a project lying in `directory` names its toolchain in a file (rustup book, "The
/// toolchain file").
pub(super) fn names_toolchain(directory: &Path) -> Result<bool, DemoError> {
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
        let laid = dir.path().join("laid");
        DemoProject::BuiltIn.lay(&laid, dir.path()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/project");
        let (mut here, mut there) = (Vec::new(), Vec::new());
        files_below(&laid, &laid, &mut here);
        files_below(&source, &source, &mut there);
        here.sort_unstable();
        there.sort_unstable();
        assert_eq!(here, there);
    }

    #[test]
    fn a_project_without_a_lock_file_is_refused_with_what_to_do() {
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
            error.contains("has no Cargo.lock; run `cargo generate-lockfile` there first"),
            "{error}"
        );
        fs::write(dir.path().join("Cargo.lock"), "").unwrap();
        project.check().unwrap();
    }
}
