//! The remote that an administrator set for a machine, in `config.toml`.

use std::path::Path;

use serde::Deserialize;

use super::owner::{Protection, check_owner};
use crate::error::{Error, Result};
use crate::fs::{Namespace, effective_uid, files};
use crate::store::layout;

/// Of the user, below the home directory.
const USER_FILE: &str = "~/.config/local-cache/config.toml";

/// More than any configuration has.
const LARGEST_CONFIG: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachineConfig {
    remote: Option<String>,
}

/// The URL of the remote to use: `named`, which an argument, input or variable gave, or else that of
/// the machine. None if there is none, or if it is `none`.
pub fn remote_url(
    named: Option<&str>,
    cache_root: &Path,
    namespace: &dyn Namespace,
) -> Result<Option<String>> {
    let url = match named {
        Some(url) => Some(url.to_owned()),
        None => remote_of_machine(cache_root, namespace)?,
    };
    let url = url.as_deref().map(str::trim);
    let url = url.filter(|url| !matches!(*url, "" | "none"));
    Ok(url.map(str::to_owned))
}

/// The text of the setting; the file in the cache root comes before that of the user.
fn remote_of_machine(cache_root: &Path, namespace: &dyn Namespace) -> Result<Option<String>> {
    let in_root = layout::machine_config(cache_root);
    for name in [&in_root, Path::new(USER_FILE)] {
        // A home directory that is unknown has no file.
        let Ok(path) = namespace.locate(name) else {
            continue;
        };
        if let Some(remote) = read_config(&path)?.and_then(|config| config.remote) {
            return Ok(Some(remote));
        }
    }
    Ok(None)
}

fn read_config(path: &Path) -> Result<Option<MachineConfig>> {
    let Some((bytes, stat)) = files::read_with_stat(path, LARGEST_CONFIG)? else {
        return Ok(None);
    };
    // Who may write the file decides where jobs send their credentials and what they restore.
    check_owner(path, &stat, Protection::Writing, effective_uid())?;
    let cannot_be_used = |reason: &str| {
        Error::invalid(format!(
            "{} cannot be used: {reason}; the only setting is remote = \"s3://bucket/prefix\"",
            path.display()
        ))
    };
    let text = String::from_utf8(bytes).map_err(|_| cannot_be_used("it is not a text file"))?;
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| cannot_be_used(error.message()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::fs::Local;

    #[test]
    fn a_name_comes_before_the_file_and_a_file_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        files::write_new(&path, 0o644, b"remote = \"s3://bucket\"").unwrap();
        let read = || remote_of_machine(dir.path(), &Local::new(None));
        assert_eq!(read().unwrap().as_deref(), Some("s3://bucket"));
        let choose = |named| remote_url(named, dir.path(), &Local::new(None)).unwrap();
        assert_eq!(choose(None).as_deref(), Some("s3://bucket"));
        assert_eq!(choose(Some(" s3://named ")).as_deref(), Some("s3://named"));
        assert_eq!([choose(Some("")), choose(Some("none"))], [None, None]);
        for mode in [0o664, 0o646] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(read().is_err(), "{mode:o}");
        }
    }
}
