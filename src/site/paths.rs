//! One directory, several names: the host's, the action container's, the job container's.
//!
//! The only source is each container's own list of mounts. A name is translated by the longest
//! prefix that a mount covers, whole components at a time, and a translation is only given when it
//! leads back: a directory below a mount that hides it has no name in that container. Names need
//! not be UTF-8.
//!
//! The runner itself translates a value only when the whole of it is, or starts with, a path it
//! mounts (actions/runner, `ContainerInfo.TranslateToContainerPath`), so lists arrive with host
//! paths in their later lines. Both forms are therefore understood everywhere.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A directory or file of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its name on the host. Of a volume, the directory that holds it.
    pub source: PathBuf,
    /// Its name in the container.
    pub destination: PathBuf,
    /// Whether the container may write there.
    pub writable: bool,
}

/// The mounts of one container, as a dictionary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountMap {
    mounts: Vec<Mount>,
}

impl MountMap {
    /// From the mounts as the engine lists them. Relative and whole-root entries can't translate
    /// anything and are left out, and so are names that the engine could not write down (it answers
    /// in JSON, with U+FFFD for other bytes).
    pub fn new(mounts: impl IntoIterator<Item = Mount>) -> Self {
        let sound =
            |path: &Path| path.is_absolute() && !path.to_string_lossy().contains('\u{fffd}');
        let mounts = mounts
            .into_iter()
            .filter(|mount| {
                sound(&mount.source)
                    && sound(&mount.destination)
                    && mount.destination != Path::new("/")
            })
            .collect();
        Self { mounts }
    }

    /// The mounts that count.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount on which a name of the container lies.
    pub fn covering(&self, inside: &Path) -> Option<&Mount> {
        self.mounts
            .iter()
            .filter(|mount| inside.starts_with(&mount.destination))
            .max_by_key(|mount| mount.destination.components().count())
    }

    /// The host's name of what the container calls `inside`; none when it is the container's own.
    pub fn to_host(&self, inside: &Path) -> Option<PathBuf> {
        let mount = self.covering(inside)?;
        replace_prefix(inside, &mount.destination, &mount.source)
    }

    /// The container's name of what the host calls `outside`; none when the container does not see
    /// it.
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

/// Whether a component ends before `end`, so that what follows can be kept as it is written.
fn is_component_end(path: &[u8], end: usize) -> bool {
    path[end - 1] != b'/' && path.get(end).is_none_or(|next| *next == b'/')
}

/// From names as the action's container has them to names as the far side has them, and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translation {
    /// The work happens here.
    Same,
    /// The work happens on the host.
    Host(MountMap),
    /// The work happens in the job's container.
    Job {
        /// The mounts of the action's container.
        own: MountMap,
        /// The mounts of the job's container.
        job: MountMap,
    },
}

impl Translation {
    /// The far side's name of `path`. Container form and host form are both understood; what no
    /// mount covers is taken to be the far side's own name already.
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

    /// The name in the action's container of what the far side calls `path`; the far side's name
    /// where it has none.
    pub fn from_worker(&self, path: &Path) -> PathBuf {
        match self {
            Self::Same => path.to_owned(),
            Self::Host(own) => own.from_host(path).unwrap_or_else(|| path.to_owned()),
            Self::Job { own, job } => {
                let host = job.to_host(path);
                own.from_host(host.as_deref().unwrap_or(path))
                    .unwrap_or_else(|| path.to_owned())
            }
        }
    }

    /// The same for a value that is a list of one path a line, `!` before a path excluding it:
    /// every line is translated by itself; blanks, line ends and lines that are not absolute paths
    /// stay as they are.
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
        let far = self.text_to_worker(path);
        [&line[..start], &far, &line[end..]].concat()
    }

    /// Like [`Self::far`] on the bytes of one value, keeping what `Path` would tidy away (`/a//b/`,
    /// `/a/./*`).
    fn text_to_worker(&self, path: &[u8]) -> Vec<u8> {
        // The longest leading part whose translation differs in itself; the rest is appended
        // untouched.
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
            let far = self.to_worker(head);
            if far != head && self.is_mount_point(head) {
                return [far.as_os_str().as_bytes(), &path[end..]].concat();
            }
        }
        path.to_vec()
    }

    /// Whether a mount begins exactly at `head`, in the form it is written in.
    fn is_mount_point(&self, head: &Path) -> bool {
        let begins = |mapping: &MountMap| {
            mapping
                .mounts()
                .iter()
                .any(|mount| mount.destination == head || mount.source == head)
        };
        match self {
            Self::Same => false,
            Self::Host(own) => begins(own),
            Self::Job { own, job } => begins(own) || begins(job),
        }
    }
}
