//! The files of a project as values, and how they reach the disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::{TimeSpec, TimeValLike};

use crate::support::trees::walk;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Text(String),
    Link(String),
}

/// The nodes of a tree by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Node>);

impl Files {
    pub(crate) fn set(&mut self, path: &str, text: impl Into<String>) {
        let mut text = text.into();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.0.insert(path.to_owned(), Node::Text(text));
    }

    pub(crate) fn with(mut self, path: &str, text: impl Into<String>) -> Self {
        self.set(path, text);
        self
    }

    pub(crate) fn with_link(mut self, path: &str, target: &str) -> Self {
        self.0
            .insert(path.to_owned(), Node::Link(target.to_owned()));
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "{path}");
        self
    }

    /// Adds the manifest of a package: `more` follows the table `package`.
    pub(crate) fn with_package(self, directory: &str, name: &str, more: &str) -> Self {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}\n"
        );
        self.with(&join(directory, "Cargo.toml"), manifest)
    }

    /// Adds the manifest of a workspace without a package of its own.
    pub(crate) fn with_members(self, members: &[&str]) -> Self {
        self.with(
            "Cargo.toml",
            format!("[workspace]\nresolver = \"2\"\nmembers = {members:?}\n"),
        )
    }

    /// Writes all files into a directory.
    pub(crate) fn write(&self, directory: &Path) {
        for (name, node) in &self.0 {
            write_node(&directory.join(name), node);
        }
    }
}

/// A path below a directory, which is `.` or relative.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory == "." {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// A file or link with new times, in place of whatever has the name.
pub(crate) fn write_node(path: &Path, node: &Node) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let is_in_the_way = path
        .symlink_metadata()
        .is_ok_and(|found| found.is_symlink() || matches!(node, Node::Link(_)));
    if is_in_the_way {
        fs::remove_file(path).unwrap();
    }
    match node {
        Node::Text(text) => fs::write(path, text).unwrap(),
        Node::Link(target) => symlink(target, path).unwrap(),
    }
}

/// Sets the modification time of a name, not of what a link leads to.
pub(crate) fn set_time(path: &Path, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = TimeSpec::nanoseconds(i64::try_from(since.as_nanos()).unwrap());
    utimensat(
        nix::fcntl::AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .unwrap();
}

/// Sets the times of all names in a directory, apart from target directories and `.git`.
pub(crate) fn set_times(directory: &Path, time: SystemTime) {
    walk(directory, &mut |path| {
        let is_source = path
            .strip_prefix(directory)
            .unwrap()
            .components()
            .all(|part| {
                !["target", ".git"]
                    .map(AsRef::as_ref)
                    .contains(&part.as_os_str())
            });
        if is_source {
            set_time(path, time);
        }
    });
}

/// The modification times of all names in a directory.
pub(crate) fn times(directory: &Path) -> BTreeMap<String, SystemTime> {
    let mut found = BTreeMap::new();
    walk(directory, &mut |path| {
        let time = path.symlink_metadata().unwrap().modified().unwrap();
        found.insert(path.display().to_string(), time);
    });
    found
}

/// A time as archives and tools for reproducible builds set it.
pub(crate) fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

/// A time as a clock that is ahead sets it.
pub(crate) fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_secs(86_400)
}
