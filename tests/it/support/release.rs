//! A program as a release contains it for the native actions.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

pub(crate) struct ReleaseProgram {
    /// The name of its file.
    pub(crate) name: String,
    /// The text of its checksum file.
    pub(crate) checksum: String,
}

impl ReleaseProgram {
    pub(crate) fn new(program: &[u8]) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => panic!("there is no release for {other}"),
        };
        let name = format!("local-cache-{architecture}-linux");
        let mut checksum = String::new();
        for byte in Sha256::digest(program) {
            write!(checksum, "{byte:02x}").unwrap();
        }
        writeln!(checksum, "  {name}").unwrap();
        Self { name, checksum }
    }
}
