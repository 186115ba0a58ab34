//! Writing an entry below a directory of its own, to look into it.
//!
//! The places that an entry was saved from are left alone, and so is the entry: it keeps its ready
//! copy, and this does not count as a use.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::files;
use crate::monitor::Monitor;
use crate::ops::restore::{RestoreOptions, RestoreRequest, RestoredEntry, restore};
use crate::store::{Entry, Store};

/// What stands for the home directory and for the root of the filesystem below the directory.
const PLACES: [(&[u8], &str); 3] = [(b"./", ""), (b"~/", "HOME"), (b"/", "ROOT")];

/// Writes an entry below `directory`, which must be empty or absent. `None` if the entry was
/// removed in the meantime.
pub(crate) fn unpack(
    store: &Store,
    entry: &Entry,
    directory: &Path,
    options: RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Option<RestoredEntry>> {
    if files::stat(directory)?.is_some() && !files::list(directory)?.is_empty() {
        return Err(Error::invalid(format!(
            "{} is not empty; name a new directory",
            directory.display()
        )));
    }
    files::create_dir_all(directory)?;
    let request = RestoreRequest {
        groups: std::slice::from_ref(&entry.group),
        key: &entry.key,
        restore_keys: &[],
        destination: &|root| destination(root, directory).map(Into::into),
        options: RestoreOptions {
            inspect: true,
            ..options
        },
        steps: None,
        second_tier: None,
    };
    restore(store, &request, monitor)
}

/// The path for a root. A forged name can't lead out of the directory.
fn destination(root: &[u8], directory: &Path) -> Result<PathBuf> {
    let place = PLACES
        .iter()
        .find_map(|(prefix, place)| Some((root.strip_prefix(*prefix)?, *place)));
    let (rest, place) = place.unwrap_or((root, ""));
    let rest = Path::new(OsStr::from_bytes(rest));
    let mut parts = rest.components().peekable();
    let is_plain = parts.peek().is_some() && parts.all(|it| matches!(it, Component::Normal(_)));
    if is_plain {
        Ok(directory.join(place).join(rest))
    } else {
        Err(Error::invalid(format!(
            "the entry cannot be trusted: it contains {}",
            OsStr::from_bytes(root).display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_lies_below_the_directory() {
        let cases = [
            ("./target", Some("/look/target")),
            ("index", Some("/look/index")),
            ("~/.cargo/bin", Some("/look/HOME/.cargo/bin")),
            ("/opt/x", Some("/look/ROOT/opt/x")),
            ("./../x", None),
            ("..", None),
            ("//x", None),
            ("~/", None),
            ("", None),
        ];
        for (root, expected) in cases {
            let found = destination(root.as_bytes(), Path::new("/look")).ok();
            assert_eq!(found.as_deref(), expected.map(Path::new), "{root}");
        }
    }
}
