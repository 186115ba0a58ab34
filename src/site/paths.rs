//! Translates paths between the host, the action's container and the job's container.
//!
//! The only source is each container's list of mounts. The longest mount that covers a path, in
//! whole components, translates it. A path is translated only if the result translates back: a
//! directory that another mount hides has no path in that container. Paths need not be UTF-8.
//!
//! The runner translates a value only if the whole value is, or starts with, a path that it mounts
//! (actions/runner, `ContainerInfo.TranslateToContainerPath`). So in a list, the later lines arrive
//! with host paths, and every function here accepts both forms.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A directory or file of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its path on the host. For a volume, the directory in which the engine keeps it.
    pub source: PathBuf,
    /// Its path in the container.
    pub destination: PathBuf,
    /// Whether the container may write there.
    pub writable: bool,
}

/// The mounts of one container, for translating paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountMap {
    mounts: Vec<Mount>,
}

impl MountMap {
    /// Takes the mounts as the engine lists them. Skips mounts that can't translate anything: those
    /// with relative paths, mounts of the whole root, and paths that are not UTF-8 (the engine
    /// answers in JSON, with U+FFFD for other bytes).
    pub fn new(mounts: impl IntoIterator<Item = Mount>) -> Self {
        let is_usable =
            |path: &Path| path.is_absolute() && !path.to_string_lossy().contains('\u{fffd}');
        let mounts = mounts
            .into_iter()
            .filter(|mount| {
                is_usable(&mount.source)
                    && is_usable(&mount.destination)
                    && mount.destination != Path::new("/")
            })
            .collect();
        Self { mounts }
    }

    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that a path of the container is on.
    pub(super) fn covering(&self, inside: &Path) -> Option<&Mount> {
        self.mounts
            .iter()
            .filter(|mount| inside.starts_with(&mount.destination))
            .max_by_key(|mount| mount.destination.components().count())
    }

    /// The host's path for a path of the container; `None` if it is not on a mount.
    pub fn to_host(&self, inside: &Path) -> Option<PathBuf> {
        let mount = self.covering(inside)?;
        replace_prefix(inside, &mount.destination, &mount.source)
    }

    /// The container's path for a path of the host; `None` if the container does not see it.
    pub fn from_host(&self, outside: &Path) -> Option<PathBuf> {
        let mut covering: Vec<&Mount> = self
            .mounts
            .iter()
            .filter(|mount| outside.starts_with(&mount.source))
            .collect();
        covering.sort_by_key(|mount| std::cmp::Reverse(mount.source.components().count()));
        covering
            .into_iter()
            .filter_map(|mount| replace_prefix(outside, &mount.source, &mount.destination))
            .find(|inside| self.to_host(inside).as_deref() == Some(outside))
    }
}

/// `path` with the prefix `from` replaced by `to`.
fn replace_prefix(path: &Path, from: &Path, to: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(from).ok()?;
    Some(if rest.as_os_str().is_empty() {
        to.to_owned()
    } else {
        to.join(rest)
    })
}

/// Whether a component ends before `end`, so that `path` can be split there.
fn is_component_end(path: &[u8], end: usize) -> bool {
    path[end - 1] != b'/' && path.get(end).is_none_or(|next| *next == b'/')
}

/// Translates paths of the action's container to paths of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The job runs in this process.
    Same,
    /// The job runs on the host. Holds the mounts of the action's container.
    Host(MountMap),
    /// The job runs in the job's container.
    Job {
        /// The mounts of the action's container.
        own: MountMap,
        /// The mounts of the job's container.
        job: MountMap,
    },
}

impl Translation {
    /// The worker's path for a path of the action's container or of the host. A path that no mount
    /// covers is returned unchanged.
    pub fn to_worker(&self, path: &Path) -> PathBuf {
        match self {
            Self::Same => path.to_owned(),
            Self::Host(own) => own.to_host(path).unwrap_or_else(|| path.to_owned()),
            Self::Job { own, job } => {
                let host = own.to_host(path);
                if host.is_none() && job.covering(path).is_some() {
                    return path.to_owned();
                }
                job.from_host(host.as_deref().unwrap_or(path))
                    .unwrap_or_else(|| path.to_owned())
            }
        }
    }

    /// Translates each line of a list of paths. A line may start with `!`. White space, line ends
    /// and lines without an absolute path are kept.
    pub fn lines_to_worker(&self, value: &OsStr) -> OsString {
        let lines: Vec<Vec<u8>> = value
            .as_bytes()
            .split(|byte| *byte == b'\n')
            .map(|line| self.line_to_worker(line))
            .collect();
        OsString::from_vec(lines.join(&b'\n'))
    }

    fn line_to_worker(&self, line: &[u8]) -> Vec<u8> {
        let start = line.len() - line.trim_ascii_start().len();
        let start = start + usize::from(line[start..].starts_with(b"!"));
        let end = start + line[start..].trim_ascii_end().len();
        let path = &line[start..end];
        if !path.starts_with(b"/") {
            return line.to_vec();
        }
        let translated = self.text_to_worker(path);
        [&line[..start], &translated, &line[end..]].concat()
    }

    /// Like [`Self::to_worker`], but keeps what `Path` would normalize (`/a//b/`, `/a/./*`).
    fn text_to_worker(&self, path: &[u8]) -> Vec<u8> {
        // Translate the longest leading part that ends at a mount point; append the rest unchanged.
        let ends = (1..=path.len())
            .rev()
            .filter(|end| is_component_end(path, *end));
        for end in ends {
            let head = Path::new(OsStr::from_bytes(&path[..end]));
            if head
                .components()
                .any(|part| part == std::path::Component::ParentDir)
            {
                continue;
            }
            let translated = self.to_worker(head);
            if translated != head && self.is_mount_point(head) {
                return [translated.as_os_str().as_bytes(), &path[end..]].concat();
            }
        }
        path.to_vec()
    }

    /// Whether `head` is a mount's path, in the container or on the host.
    fn is_mount_point(&self, head: &Path) -> bool {
        let has_mount_at = |mounts: &MountMap| {
            mounts
                .mounts()
                .iter()
                .any(|mount| mount.destination == head || mount.source == head)
        };
        match self {
            Self::Same => false,
            Self::Host(own) => has_mount_at(own),
            Self::Job { own, job } => has_mount_at(own) || has_mount_at(job),
        }
    }
}
