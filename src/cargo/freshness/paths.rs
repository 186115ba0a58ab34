//! What the paths of inputs lead to, and when that last changed.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{FileKind, Namespace, Stat, Timestamp, files};

/// As many links as the kernel follows, `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// A file or directory at the end of a path.
#[derive(Clone, Debug)]
pub(crate) struct FoundInput {
    /// Its absolute name without symlinks.
    pub(crate) name: PathBuf,
    pub(crate) stat: Stat,
    /// The latest time at which the path began to lead to these contents: a change of the file, of
    /// a symlink on the way, or a move of a directory on the way.
    pub(crate) changed: Timestamp,
    /// The names of the symlinks on the way.
    pub(crate) links: Vec<PathBuf>,
}

/// A directory or symlink on the way.
#[derive(Clone, Debug)]
struct Waypoint {
    stat: Stat,
    /// The target of a symlink.
    target: Option<PathBuf>,
}

/// Follows paths, and remembers the directories and symlinks on the way.
pub(crate) struct PathFinder<'a> {
    namespace: &'a dyn Namespace,
    /// Moves of directories above these are not noticed: entries are restored only at the same
    /// place.
    roots: Vec<PathBuf>,
    waypoints: HashMap<PathBuf, Waypoint>,
}

impl<'a> PathFinder<'a> {
    pub(crate) fn new(namespace: &'a dyn Namespace, roots: Vec<PathBuf>) -> Self {
        Self {
            namespace,
            roots,
            waypoints: HashMap::new(),
        }
    }

    /// The path that this process opens for a name without symlinks.
    pub(crate) fn locate(&self, name: &Path) -> Result<PathBuf> {
        self.namespace.locate_parent(name)
    }

    pub(crate) fn is_in_project(&self, name: &Path) -> bool {
        self.roots.iter().any(|root| name.starts_with(root))
    }

    /// Follows an absolute name. None if it leads nowhere.
    pub(crate) fn find(&mut self, name: &Path) -> Result<Option<FoundInput>> {
        let mut rest = components(name);
        let mut here = PathBuf::from("/");
        let mut changed = Timestamp::MIN;
        let mut links = Vec::new();
        let mut stat = None;
        while let Some(next) = rest.pop_front() {
            if next == ".." {
                here.pop();
                stat = None;
                continue;
            }
            let path = here.join(&next);
            let Some(waypoint) = self.inspect(&path)? else {
                return Ok(None);
            };
            if let Some(target) = waypoint.target {
                links.push(path);
                if links.len() > MAX_LINKS {
                    return Err(Error::Io {
                        action: "follow the symlinks of",
                        path: name.to_owned(),
                        source: io::Error::from_raw_os_error(nix::libc::ELOOP),
                    });
                }
                changed = changed.max(waypoint.stat.ctime);
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut target = components(&target);
                target.append(&mut rest);
                rest = target;
                continue;
            }
            here = path;
            if rest.is_empty() {
                stat = Some(waypoint.stat);
            } else if waypoint.stat.kind == FileKind::Directory {
                changed = changed.max(self.moved(&here, &waypoint.stat));
            } else {
                return Ok(None);
            }
        }
        let stat = match stat {
            Some(stat) => stat,
            // The name ends in `..`.
            None => match self.inspect(&here)? {
                Some(waypoint) => waypoint.stat,
                None => return Ok(None),
            },
        };
        Ok(Some(FoundInput {
            name: here,
            changed: changed.max(stat.mtime).max(stat.ctime),
            stat,
            links,
        }))
    }

    /// When a directory, or one above it, was moved to where it is.
    pub(crate) fn directory_moved(&mut self, name: &Path) -> Result<Timestamp> {
        let mut moved = Timestamp::MIN;
        for directory in name.ancestors() {
            if let Some(Waypoint { stat, .. }) = self.inspect(directory)? {
                moved = moved.max(self.moved(directory, &stat));
            }
        }
        Ok(moved)
    }

    /// A move changes the ctime of a directory and keeps its mtime; a new name in it changes both.
    fn moved(&self, name: &Path, stat: &Stat) -> Timestamp {
        let is_below_root = self.roots.iter().any(|root| name.starts_with(root));
        if is_below_root && stat.ctime > stat.mtime {
            stat.ctime
        } else {
            Timestamp::MIN
        }
    }

    fn inspect(&mut self, name: &Path) -> Result<Option<Waypoint>> {
        if let Some(known) = self.waypoints.get(name) {
            return Ok(Some(known.clone()));
        }
        let path = self.locate(name)?;
        let Some(stat) = files::stat_link(&path)? else {
            return Ok(None);
        };
        let target = match stat.kind {
            FileKind::Symlink => Some(files::read_link(&path)?),
            _ => None,
        };
        let waypoint = Waypoint { stat, target };
        if matches!(stat.kind, FileKind::Directory | FileKind::Symlink) {
            self.waypoints.insert(name.to_owned(), waypoint.clone());
        }
        Ok(Some(waypoint))
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fs::Local;

    #[test]
    fn a_path_changes_with_each_link_and_each_moved_directory_on_the_way() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("dir/sub")).unwrap();
        fs::write(top.join("dir/sub/file"), "text").unwrap();
        symlink("dir/sub", top.join("link")).unwrap();
        let local = Local::default();
        let find = |name: &str| {
            let mut finder = PathFinder::new(&local, vec![top.clone()]);
            finder.find(&top.join(name)).unwrap()
        };
        let before = find("link/file").unwrap();
        assert_eq!(before.name, top.join("dir/sub/file"));
        let direct = find("dir/sub/file").unwrap();

        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::remove_file(top.join("link")).unwrap();
        symlink(top.join("dir/sub"), top.join("link")).unwrap();
        let relinked = find("link/../sub/file").unwrap();
        assert!(relinked.changed > before.changed);
        assert_eq!(relinked.name, before.name);
        // A path that does not lead through the link is not affected.
        assert_eq!(find("dir/sub/file").unwrap().changed, direct.changed);

        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::rename(top.join("dir/sub"), top.join("dir/other")).unwrap();
        assert!(find("dir/other/file").unwrap().changed > relinked.changed);
        assert!(find("link/file").is_none());
        assert!(find("dir/other/file/x").is_none());
        symlink("loop", top.join("loop")).unwrap();
        let mut finder = PathFinder::new(&local, Vec::new());
        assert!(finder.find(&top.join("loop")).is_err());
    }
}
