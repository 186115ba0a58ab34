//! The ways in which a file or a directory is changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::fixture::Target;
use crate::support::tools::is_root;
use crate::support::{NOBODY, trees};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Delete,
    Truncate,
    Flip,
    /// Another file of the same kind.
    Swap,
    Directory,
    File,
    Fifo,
    /// To a file or a directory outside.
    Symlink,
    Unreadable,
    /// Extended to a terabyte.
    Sparse,
}

impl Change {
    pub(super) fn fits(self, target: &Target) -> bool {
        match self {
            Self::Delete | Self::Fifo | Self::Symlink | Self::Unreadable => true,
            Self::Truncate | Self::Flip | Self::Directory | Self::Sparse => !target.is_directory,
            Self::Swap => target.twin.is_some(),
            Self::File => target.is_directory,
        }
    }

    pub(super) fn apply(self, store: &Path, target: &Target, outside: &Path) {
        let path = target.within(store);
        match self {
            Self::Delete => remove(&path),
            Self::Truncate => {
                let length = fs::metadata(&path).unwrap().len();
                open(&path).set_len(length / 2).unwrap();
            }
            Self::Flip => {
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                match bytes.get_mut(middle) {
                    Some(byte) => *byte ^= 2,
                    None => bytes.push(2),
                }
                fs::write(&path, bytes).unwrap();
            }
            Self::Swap => {
                let twin = target.twin.as_ref().unwrap();
                fs::write(&path, fs::read(store.join(twin)).unwrap()).unwrap();
            }
            Self::Directory => {
                remove(&path);
                trees::write(&path.join("inside"), b"x");
            }
            Self::File => {
                remove(&path);
                fs::write(&path, "x").unwrap();
            }
            Self::Fifo => {
                remove(&path);
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            }
            Self::Symlink if target.is_directory => {
                remove(&path);
                symlink(outside, &path).unwrap();
            }
            Self::Symlink => {
                remove(&path);
                symlink(outside.join("kept"), &path).unwrap();
            }
            Self::Unreadable => trees::set_mode(&path, 0o000),
            Self::Sparse => open(&path).set_len(1 << 40).unwrap(),
        }
    }
}

/// Lets the user who runs the program own what was created.
pub(super) fn give_away(path: &Path) {
    if is_root() && path.symlink_metadata().is_ok() {
        trees::walk(path, &mut |path| {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        });
    }
}

fn open(path: &Path) -> fs::File {
    fs::File::options().write(true).open(path).unwrap()
}

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}
