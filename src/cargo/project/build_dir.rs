//! The directory of intermediate artifacts: `build.build-dir`, since cargo 1.91 (Cargo book,
//! "Configuration").
//!
//! The setting is a template. `{workspace-path-hash}` is not documented. It is cargo's short hash
//! (rust-lang/cargo, `util/hex.rs`) of the path of the workspace's manifest, with the hasher that
//! cargo shares with rustc.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use rustc_stable_hash::StableSipHasher128;

/// The values of a template's variables.
pub(crate) struct BuildDirWorkspace<'a> {
    pub(crate) root: &'a Path,
    /// The manifest of the root, with symlinks resolved.
    pub(crate) manifest: &'a Path,
    pub(crate) cargo_home: &'a Path,
}

/// Expands a template. Cargo reports the same errors.
pub(crate) fn expand(template: &str, workspace: &BuildDirWorkspace<'_>) -> Result<PathBuf, String> {
    if template.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, tail) = after.split_once('}').ok_or("a bracket is not closed")?;
        path += before;
        path += &match variable {
            "workspace-root" => text(workspace.root)?,
            "cargo-cache-home" => text(workspace.cargo_home)?,
            "workspace-path-hash" => path_hash(workspace.manifest),
            unknown => return Err(format!("there is no variable {{{unknown}}}")),
        };
        rest = tail;
    }
    if path.contains('}') || rest.contains('}') {
        return Err("a bracket is closed that was not opened".to_owned());
    }
    Ok((path + rest).into())
}

fn text(path: &Path) -> Result<String, String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// Two directories: the first byte of the hash, then the others.
fn path_hash(manifest: &Path) -> String {
    let mut hasher = StableSipHasher128::new();
    manifest.hash(&mut hasher);
    // Cargo writes the lowest byte first.
    let digits = format!("{:016x}", Hasher::finish(&hasher).swap_bytes());
    format!("{}/{}", &digits[..2], &digits[2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str) -> Result<PathBuf, String> {
        let workspace = BuildDirWorkspace {
            root: Path::new("/w/app"),
            manifest: Path::new("/w/app/Cargo.toml"),
            cargo_home: Path::new("/h/.cargo"),
        };
        expand(template, &workspace)
    }

    #[test]
    fn variables_are_replaced_by_directories() {
        for (template, path) in [
            ("build", "build"),
            ("{workspace-root}/../build", "/w/app/../build"),
            ("{cargo-cache-home}/build", "/h/.cargo/build"),
        ] {
            assert_eq!(expanded(template), Ok(path.into()), "{template}");
        }
    }

    #[test]
    fn a_template_that_cargo_rejects_is_an_error() {
        for template in [
            "",
            "{workspace-root",
            "a}",
            "{other}",
            "a}/{workspace-root}",
        ] {
            assert!(expanded(template).is_err(), "{template}");
        }
    }
}
