//! Renames a complete file or directory over whatever has its name.

use std::io;

use crate::fs::{Dir, TempName, remove_child};

/// Renames `temp` to `name`, whatever has that name now.
///
/// If something has it, the two are exchanged and then the old one is removed. An exchange works
/// for any two kinds of file. It also does not wait for the disk, while a rename over a file makes
/// ext4 write out the new file first (`auto_da_alloc` in ext4(5)).
///
/// Errors: the old one can't be removed, for example because something is mounted below it. Then
/// both keep their names.
pub(super) fn replace(dir: &Dir, temp: &[u8], name: &[u8]) -> io::Result<()> {
    match dir.exchange(temp, name) {
        Ok(true) => remove_child(dir, temp).map(drop).inspect_err(|_| {
            drop(dir.exchange(temp, name));
        }),
        Ok(false) => rename_over(dir, temp, name),
        // An exchange needs both names, so this one is free.
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.rename(temp, name),
        Err(error) => Err(error),
    }
}

/// Like [`replace`], for filesystems without exchange. While it replaces a directory, the name is
/// missing for a moment.
fn rename_over(dir: &Dir, temp: &[u8], name: &[u8]) -> io::Result<()> {
    match dir.rename(temp, name) {
        Ok(()) => Ok(()),
        // A file and a directory can't replace each other by a rename, and a directory that is not
        // empty can't be replaced at all.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::AlreadyExists
            ) =>
        {
            let old = TempName::new();
            dir.rename(name, old.as_bytes())?;
            dir.rename(temp, name)?;
            remove_child(dir, old.as_bytes()).map(drop)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Renames a file and a directory over nothing, a file, a symlink and a non-empty directory.
    fn check_every_combination(replace: fn(&Dir, &[u8], &[u8]) -> io::Result<()>) {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        let dir = Dir::open(top.path()).unwrap();
        for new_is_directory in [false, true] {
            for old in ["nothing", "file", "symlink", "directory"] {
                match old {
                    "file" => fs::write(at("name"), "old").unwrap(),
                    "symlink" => std::os::unix::fs::symlink("/nowhere", at("name")).unwrap(),
                    "directory" => fs::create_dir_all(at("name/below/deep")).unwrap(),
                    _ => {}
                }
                if new_is_directory {
                    fs::create_dir(at("temp")).unwrap();
                    fs::write(at("temp/file"), "new").unwrap();
                } else {
                    fs::write(at("temp"), "new").unwrap();
                }
                replace(&dir, b"temp", b"name").unwrap();
                let file = if new_is_directory {
                    "name/file"
                } else {
                    "name"
                };
                assert_eq!(fs::read(at(file)).unwrap(), b"new", "over {old}");
                assert_eq!(dir.list().unwrap().len(), 1, "over {old}");
                remove_child(&dir, b"name").unwrap();
            }
        }
    }

    #[test]
    fn anything_is_replaced() {
        check_every_combination(replace);
    }

    #[test]
    fn anything_is_replaced_without_exchange() {
        check_every_combination(rename_over);
    }
}
