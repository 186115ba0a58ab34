//! Trees as the filesystem shows them, for `assert_eq`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::trees::walk;

/// Everything that a restore restores of a name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Node {
    kind: Kind,
    mode: u32,
    modified: (i64, i64),
    /// The first name of the file, if it has several.
    same_as: Option<PathBuf>,
    attributes: Vec<(OsString, Vec<u8>)>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    File { size: u64, digest: blake3::Hash },
    Directory,
    Symlink(Vec<u8>),
    Other(&'static str),
}

impl Node {
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether two nodes differ at most in metadata.
    pub(crate) fn same_contents(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::File { size, digest } => {
                write!(f, "file of {size} bytes, {}", &digest.to_hex()[..8])?;
            }
            Kind::Directory => f.write_str("directory")?,
            Kind::Symlink(target) => write!(f, "symlink to {}", String::from_utf8_lossy(target))?,
            Kind::Other(what) => f.write_str(what)?,
        }
        write!(
            f,
            ", {:04o}, {}.{:09}",
            self.mode, self.modified.0, self.modified.1
        )?;
        if let Some(first) = &self.same_as {
            write!(f, ", the same file as {}", first.display())?;
        }
        if !self.attributes.is_empty() {
            write!(f, ", {:?}", self.attributes)?;
        }
        Ok(())
    }
}

/// A tree: the node of each path; the tree's own directory has an empty path.
pub(crate) type Snapshot = BTreeMap<PathBuf, Node>;

/// A picture of the tree at `root`.
pub(crate) fn snapshot(root: &Path) -> Snapshot {
    let mut picture = Snapshot::new();
    let mut inodes: HashMap<(u64, u64), PathBuf> = HashMap::new();
    walk(root, &mut |path| {
        let metadata = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let kind = kind_of(path, &metadata);
        let same_as = (metadata.is_file() && metadata.nlink() > 1)
            .then(|| {
                inodes
                    .entry((metadata.dev(), metadata.ino()))
                    .or_insert_with(|| name.clone())
                    .clone()
            })
            .filter(|first| *first != name);
        let attributes = if metadata.is_symlink() {
            Vec::new()
        } else {
            attributes(path)
        };
        let mode = if metadata.is_symlink() {
            0
        } else {
            metadata.mode() & 0o7777
        };
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        picture.insert(
            name,
            Node {
                kind,
                mode,
                modified,
                same_as,
                attributes,
            },
        );
    });
    picture
}

fn kind_of(path: &Path, metadata: &fs::Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_file() {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(path).unwrap()).unwrap();
        Kind::File {
            size: metadata.size(),
            digest: hasher.finalize(),
        }
    } else if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink(fs::read_link(path).unwrap().into_os_string().into_vec())
    } else if kind.is_fifo() {
        Kind::Other("fifo")
    } else if kind.is_socket() {
        Kind::Other("socket")
    } else {
        Kind::Other("device")
    }
}

fn attributes(path: &Path) -> Vec<(OsString, Vec<u8>)> {
    let Ok(names) = xattr::list(path) else {
        return Vec::new();
    };
    let kept = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("user.") || name.starts_with("system.posix_acl_")
    };
    let mut found: Vec<_> = names
        .filter(kept)
        .filter_map(|name| Some((name.clone(), xattr::get(path, &name).ok()??)))
        .collect();
    found.sort_unstable();
    found
}

/// Demands that two trees are equal; reports the first few differences.
#[track_caller]
pub(crate) fn assert_same(wanted: &Snapshot, found: &Snapshot) {
    let paths: std::collections::BTreeSet<&PathBuf> = wanted.keys().chain(found.keys()).collect();
    let differences: Vec<String> = paths
        .into_iter()
        .filter(|path| wanted.get(*path) != found.get(*path))
        .map(|path| {
            format!(
                "{}\n    wanted {:?}\n    found  {:?}",
                path.display(),
                wanted.get(path),
                found.get(path)
            )
        })
        .collect();
    let shown = differences
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        differences.is_empty(),
        "{} differences:\n{shown}",
        differences.len()
    );
}

/// The first difference between two trees, in one line; empty if they are equal.
pub(crate) fn difference(wanted: &Snapshot, found: &Snapshot) -> String {
    let paths = wanted.keys().chain(found.keys());
    let first = paths
        .filter(|path| wanted.get(*path) != found.get(*path))
        .min();
    first.map_or_else(String::new, |path| {
        format!(
            "{}: {:?} instead of {:?}",
            path.display(),
            found.get(path),
            wanted.get(path)
        )
    })
}

/// What identifies an untouched file: its inode and the times of its last changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

/// The identity of a name.
pub(crate) fn identity(path: &Path) -> Identity {
    let metadata = path.symlink_metadata().unwrap();
    Identity {
        inode: metadata.ino(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    }
}

/// The inode of a name.
pub(crate) fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

/// The identities of all names in a tree.
pub(crate) fn identities(root: &Path) -> BTreeMap<PathBuf, Identity> {
    let mut found = BTreeMap::new();
    walk(root, &mut |path| {
        found.insert(path.to_owned(), identity(path));
    });
    found
}

/// Bytes on disk of a tree, hard links once, as du counts them.
pub(crate) fn disk_usage(root: &Path) -> u64 {
    let mut inodes = HashMap::new();
    walk(root, &mut |path| {
        let metadata = path.symlink_metadata().unwrap();
        inodes.insert((metadata.dev(), metadata.ino()), metadata.blocks() * 512);
    });
    inodes.values().sum()
}
