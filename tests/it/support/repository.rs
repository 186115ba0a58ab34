//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::trees;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory with this extension, in order.
pub(crate) fn below(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{directory} has no .{extension}");
    files
}

/// The files below a directory with this extension, in order.
pub(crate) fn below_recursively(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    trees::walk(&root().join(directory), &mut |path| {
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path.to_owned());
        }
    });
    files.sort();
    files
}

/// All workflows, including the examples.
pub(crate) fn workflows() -> Vec<PathBuf> {
    [below(".github/workflows", "yml"), below("examples", "yml")].concat()
}

/// All files of the project, in order: those of the root and of the directories with its sources
/// and documents.
pub(crate) fn all_files() -> Vec<PathBuf> {
    let directories = [
        ".ci", ".github", "bench", "docs", "examples", "restore", "save", "src", "tests",
    ];
    let mut files: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for directory in directories {
        trees::walk(&root().join(directory), &mut |path| {
            files.push(path.to_owned());
        });
    }
    files.retain(|path| path.is_file());
    files.sort();
    files
}
