//! GitHub's `hashFiles`: one SHA-256 over the SHA-256 of each matched file.
//!
//! The outer digest takes the raw 32 bytes of each file's digest, in the order in which the glob
//! library finds the files; names are not hashed. So the value depends on that order, which
//! `pattern` reproduces, and the files can be read side by side as long as their digests are put
//! together in that order (actions/runner, `HashFilesFunction.cs` and `hashFiles.ts`). There is no
//! time limit: the runner gives up after two minutes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::glob::{Base, FoundKind, FoundPath, PatternError, Patterns, ResolveError};

/// The value of `hashFiles` where at least one file matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesDigest {
    digest: [u8; 32],
    files: usize,
}

impl FilesDigest {
    /// The 32 bytes of the SHA-256.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many files were hashed; at least one.
    pub fn files(&self) -> usize {
        self.files
    }
}

impl fmt::Display for FilesDigest {
    /// 64 lower-case hexadecimal digits, as `hashFiles` gives them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why files could not be hashed. GitHub's expression fails in these cases too, or runs into its
/// time limit.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HashFilesError {
    /// A pattern can't be understood.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The search met a path that can't be looked at.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A matched file can't be read; a broken symlink that is not followed is among these.
    #[error("can't read '{path}' to hash it: {source}; exclude it or make it readable")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A matched path is a pipe, a socket or a device, which need not end.
    #[error("can't hash '{path}': it is no regular file; exclude it")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
}

/// Hashes the files below the workspace that the patterns match; nothing when none does, where
/// `hashFiles` is `''`.
///
/// `workspace` is absolute and free of `.` and `..`; relative patterns start there, and what they
/// match outside is left out. `home` is what `~` stands for. Each argument may hold several lines.
pub fn hash_files(
    workspace: &Path,
    patterns: &[String],
    follow_symbolic_links: bool,
    home: &Path,
) -> Result<Option<FilesDigest>, HashFilesError> {
    let patterns = Patterns::parse(patterns, &Base::new(workspace, home))?.with_descendants();
    let found = patterns.resolve(follow_symbolic_links)?;
    // All are collected before an error is looked for, so that it is always the first in order.
    let digests: Vec<Result<Option<[u8; 32]>, HashFilesError>> = found
        .par_iter()
        .filter(|found| found.path != workspace && found.path.starts_with(workspace))
        .map_init(
            || vec![0; BUFFER],
            |buffer, found| digest_found(found, buffer),
        )
        .collect();
    let digests = digests
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<Vec<[u8; 32]>, _>>()?;
    if digests.is_empty() {
        return Ok(None);
    }
    Ok(Some(FilesDigest {
        digest: Sha256::digest(digests.as_flattened()).into(),
        files: digests.len(),
    }))
}

/// Bytes read at a time by each thread: large enough that the calls cost nothing beside the
/// hashing.
const BUFFER: usize = 128 * 1024;

/// The device number of `/dev/null`, which people link to in place of an empty file.
const NULL_DEVICE: u64 = 0x103;

/// The digest of a matched path, or nothing for a directory.
fn digest_found(found: &FoundPath, buffer: &mut [u8]) -> Result<Option<[u8; 32]>, HashFilesError> {
    let path = &found.path;
    let failed = |source| HashFilesError::Read {
        path: path.clone(),
        source,
    };
    match found.kind {
        FoundKind::Directory => return Ok(None),
        FoundKind::File => {}
        FoundKind::Symlink | FoundKind::Special => {
            let metadata = fs::metadata(path).map_err(failed)?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                return Ok(None);
            }
            let null = kind.is_char_device() && metadata.rdev() == NULL_DEVICE;
            if !kind.is_file() && !null {
                return Err(HashFilesError::NotAFile { path: path.clone() });
            }
        }
    }
    digest_file(path, buffer).map(Some).map_err(failed)
}

fn digest_file(path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
