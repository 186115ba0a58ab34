//! GitHub's `hashFiles`: one SHA-256 over the SHA-256 of each matched file.
//!
//! The outer digest covers the raw 32 bytes of each file's digest, in the order in which GitHub's
//! glob library finds the files; names are not hashed (actions/runner, `HashFilesFunction.cs` and
//! `hashFiles.ts`). [`Patterns::resolve`] returns the same order, so the files can be read in
//! parallel as long as their digests are joined in that order. There is no time limit here; the
//! runner stops after two minutes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::error::without_errno;
use crate::fs::FileKind;
use crate::glob::{Base, FoundPath, PatternError, Patterns, ResolveError};

/// The value of `hashFiles` if at least one file matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesDigest {
    digest: [u8; 32],
    files: usize,
}

impl FilesDigest {
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The number of hashed files; at least one.
    pub fn files(&self) -> usize {
        self.files
    }
}

impl fmt::Display for FilesDigest {
    /// 64 lower-case hexadecimal digits, like the value of `hashFiles`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why files could not be hashed. In these cases GitHub's expression also fails or reaches its time
/// limit.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HashFilesError {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A matched file can't be read. A broken symlink that is not followed is such a file.
    #[error("cannot read '{path}' to hash it: {}; exclude it or make it readable", without_errno(.cause))]
    Read { path: PathBuf, cause: io::Error },
    /// A matched path is a pipe, a socket or a device, which may never end.
    #[error("cannot hash '{path}': it is not a regular file; exclude it")]
    NotAFile { path: PathBuf },
}

/// Hashes the files below the workspace that the patterns match. `None` if there are none: then
/// `hashFiles` is `''`.
///
/// `workspace` is an absolute path without `.` and `..`. Relative patterns start there, and matches
/// outside of it are skipped. `~` stands for `home`. Each pattern may have several lines.
pub fn hash_files(
    workspace: &Path,
    patterns: &[String],
    follow_symbolic_links: bool,
    home: &Path,
) -> Result<Option<FilesDigest>, HashFilesError> {
    let patterns = Patterns::parse(patterns, &Base::new(workspace, home))?.with_descendants();
    let found = patterns.resolve(follow_symbolic_links)?;
    // Errors are looked for after all files are done, so that the first in order is returned.
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

/// Bytes per read call of each thread: so many that the calls cost little compared to the hashing.
const BUFFER: usize = 128 * 1024;

/// The device number of `/dev/null`. Symlinks to it replace empty files.
const NULL_DEVICE: u64 = 0x103;

/// The digest of a matched path; `None` for a directory.
fn digest_found(found: &FoundPath, buffer: &mut [u8]) -> Result<Option<[u8; 32]>, HashFilesError> {
    let path = &found.path;
    let read_error = |cause| HashFilesError::Read {
        path: path.clone(),
        cause,
    };
    match found.kind {
        FileKind::Directory => return Ok(None),
        FileKind::File => {}
        FileKind::Symlink | FileKind::Special => {
            let metadata = fs::metadata(path).map_err(read_error)?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                return Ok(None);
            }
            let is_null = kind.is_char_device() && metadata.rdev() == NULL_DEVICE;
            if !kind.is_file() && !is_null {
                return Err(HashFilesError::NotAFile { path: path.clone() });
            }
        }
    }
    digest_file(path, buffer).map(Some).map_err(read_error)
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
