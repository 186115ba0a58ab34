//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

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

/// All workflows: the project's own and those of the examples.
pub(crate) fn workflows() -> Vec<PathBuf> {
    [below(".github/workflows", "yml"), below("examples", "yml")].concat()
}
