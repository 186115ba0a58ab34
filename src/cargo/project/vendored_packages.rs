//! Lists the packages of a directory source.
//!
//! Their checksum files belong to the key of a target directory. Cargo trusts them, but a tool that
//! patches a file may leave them as they are. So [`crate::cargo::freshness`] compares the files
//! themselves, like those of a package with a path.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::digest::sha256_hex;
use crate::error::Result;
use crate::fs::files;

/// Cargo's list of a package's files.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// The packages of a directory source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendoredPackages {
    pub directory: PathBuf,
    /// The directories of the packages.
    pub packages: Vec<PathBuf>,
    /// The SHA-256 of their names and checksum files.
    pub digest: String,
}

/// Reads the packages in a directory: as for cargo, all directories with a Cargo.toml whose names
/// do not start with a dot. `located` is where this process finds the directory.
pub(crate) fn read(directory: &Path, located: &Path) -> Result<VendoredPackages> {
    let mut packages = Vec::new();
    let mut checksums = Vec::new();
    for name in files::list(located)? {
        let package = located.join(&name);
        if name.as_bytes().starts_with(b".")
            || !matches!(files::stat(&package.join("Cargo.toml")), Ok(Some(_)))
        {
            continue;
        }
        packages.push(directory.join(&name));
        // Cargo refuses a package without this file.
        let bytes = files::read(&package.join(CHECKSUMS)).unwrap_or_default();
        // No name contains a zero byte, and no checksum file.
        checksums.extend([name.as_bytes(), b"\0", &bytes, b"\0"].concat());
    }
    Ok(VendoredPackages {
        directory: directory.to_owned(),
        packages,
        digest: sha256_hex(&checksums),
    })
}
