//! Extended attributes that belong to a file, not to the machine.
//!
//! These are the `user.` attributes, access control lists and file capabilities. Labels of security
//! modules and `trusted.` attributes are ignored.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Dir;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    /// The full name, such as `user.comment`.
    pub name: Box<[u8]>,
    pub value: Box<[u8]>,
}

const PRESERVED: [&[u8]; 3] = [
    b"system.posix_acl_access",
    b"system.posix_acl_default",
    b"security.capability",
];

fn is_preserved(name: &[u8]) -> bool {
    name.starts_with(b"user.") || PRESERVED.contains(&name)
}

/// The attributes of a name in a directory, sorted by name. Empty on a filesystem without
/// attributes.
pub(crate) fn read_at(dir: &Dir, name: &[u8]) -> io::Result<Box<[Attribute]>> {
    read(&dir.proc_path(name))
}

/// The attributes of an open file or directory, sorted by name.
pub(crate) fn read_open(file: &impl AsFd) -> io::Result<Box<[Attribute]>> {
    read(&descriptor_path(file))
}

fn descriptor_path(file: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

fn read(path: &Path) -> io::Result<Box<[Attribute]>> {
    // `/proc/self/fd/N` is a symlink that must be followed; a name below it must not.
    let is_descriptor = path.parent() == Some(Path::new("/proc/self/fd"));
    let names = preserved_names(path, is_descriptor)?;
    let mut attributes = Vec::with_capacity(names.len());
    for name in names {
        let value = if is_descriptor {
            xattr::get_deref(path, &name)
        } else {
            xattr::get(path, &name)
        };
        if let Some(value) = value? {
            attributes.push(Attribute {
                name: name.into_vec().into(),
                value: value.into(),
            });
        }
    }
    attributes.sort_unstable();
    Ok(attributes.into())
}

/// The names of the attributes that are preserved. None on a filesystem without attributes.
fn preserved_names(path: &Path, is_descriptor: bool) -> io::Result<Vec<OsString>> {
    let list = if is_descriptor {
        xattr::list_deref(path)
    } else {
        xattr::list(path)
    };
    match list {
        Ok(names) => Ok(names.filter(|name| is_preserved(name.as_bytes())).collect()),
        Err(error) if is_unsupported(&error) || is_out_of_reach(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Gives an open file or directory exactly these attributes.
///
/// Returns false if the filesystem or missing permissions prevented one of them.
pub(crate) fn write_open(file: &impl AsFd, attributes: &[Attribute]) -> io::Result<bool> {
    let path = descriptor_path(file);
    let present = read(&path)?;
    let mut complete = true;
    let mut ignore_refusal = |result: io::Result<()>| match result {
        Err(error) if is_refusal(&error) => {
            complete = false;
            Ok(())
        }
        other => other,
    };
    for extra in &present {
        if !attributes.iter().any(|wanted| wanted.name == extra.name) {
            ignore_refusal(xattr::remove_deref(&path, OsStr::from_bytes(&extra.name)))?;
        }
    }
    // A forged manifest may have others.
    for wanted in attributes
        .iter()
        .filter(|wanted| is_preserved(&wanted.name))
    {
        if !present.contains(wanted) {
            ignore_refusal(xattr::set_deref(
                &path,
                OsStr::from_bytes(&wanted.name),
                &wanted.value,
            ))?;
        }
    }
    Ok(complete)
}

/// Whether `/proc` is not mounted. A missing path then does not mean that the file is missing.
fn is_out_of_reach(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self/fd").exists()
}

fn is_refusal(error: &io::Error) -> bool {
    is_unsupported(error)
        || is_out_of_reach(error)
        || error.kind() == io::ErrorKind::PermissionDenied
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::StorageFull
            | io::ErrorKind::ArgumentListTooLong
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_set_read_and_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let wanted = [Attribute {
            name: (*b"user.note").into(),
            value: (*b"a\0b").into(),
        }];
        if !write_open(file.as_file(), &wanted).unwrap() {
            eprintln!("SKIPPED: no extended attributes on this filesystem");
            return;
        }
        assert_eq!(*read_open(file.as_file()).unwrap(), wanted);
        assert!(write_open(file.as_file(), &[]).unwrap());
        assert!(read_open(file.as_file()).unwrap().is_empty());
    }
}
