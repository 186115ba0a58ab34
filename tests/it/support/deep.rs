//! Trees that are deeper than a path can be long.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW);

/// Makes `depth` nested directories called `name`, each with a file that contains its depth.
pub(crate) fn make(root: &Path, name: &str, depth: usize) {
    std::fs::create_dir_all(root).unwrap();
    let mut at: OwnedFd = open(root, DIRECTORY, Mode::empty()).unwrap();
    for level in 0..depth {
        mkdirat(&at, name, Mode::S_IRWXU).unwrap();
        at = openat(&at, name, DIRECTORY, Mode::empty()).unwrap();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file: File = openat(&at, "level", flags, Mode::from_bits_truncate(0o644))
            .unwrap()
            .into();
        file.write_all(level.to_string().as_bytes()).unwrap();
    }
}

/// The depth of the tree up to which its files are correct.
pub(crate) fn depth(root: &Path, name: &str) -> usize {
    let mut at: OwnedFd = open(root, DIRECTORY, Mode::empty()).unwrap();
    for level in 0.. {
        let Ok(next) = openat(&at, name, DIRECTORY, Mode::empty()) else {
            return level;
        };
        at = next;
        let mut text = String::new();
        let mut file: File = openat(&at, "level", OFlag::O_RDONLY, Mode::empty())
            .unwrap()
            .into();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, level.to_string());
    }
    unreachable!("the tree has no end")
}
