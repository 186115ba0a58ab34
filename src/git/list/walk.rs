//! Reads the directories of a checkout in parallel: one task for each.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::listing::{ListedFile, Listing};
use super::scope::DirScope;
use crate::error::Error;
use crate::fs::{Dir, DirEntry, FileKind, Namespace};
use crate::workers;

/// What the tasks of one listing share.
pub(super) struct Lister<'a> {
    names: &'a dyn Namespace,
    root: &'a Path,
    skipped: &'a (dyn Fn(&Path) -> bool + Sync),
    /// Finished directories, with the numbers of their tasks.
    read: Mutex<Vec<(u32, Vec<Child>)>>,
    unreadable: Mutex<Vec<(PathBuf, io::Error)>>,
    unusable: Mutex<Vec<Error>>,
    next_task: AtomicU32,
}

/// A directory to be read.
struct ListTask {
    number: u32,
    parent: Arc<Dir>,
    name: Box<[u8]>,
    /// Relative to the root, with a slash at the end.
    path: Vec<u8>,
    scope: DirScope,
}

/// A name in a directory that was read.
enum Child {
    File(ListedFile),
    /// The number of the task that reads the directory.
    Dir(u32),
}

impl<'a> Lister<'a> {
    pub(super) fn new(
        names: &'a dyn Namespace,
        root: &'a Path,
        skipped: &'a (dyn Fn(&Path) -> bool + Sync),
    ) -> Self {
        Self {
            names,
            root,
            skipped,
            read: Mutex::default(),
            unreadable: Mutex::default(),
            unusable: Mutex::default(),
            next_task: AtomicU32::new(1),
        }
    }

    /// Lists everything below the root, which is open.
    pub(super) fn walk(self, dir: Dir, scope: DirScope) -> Listing {
        rayon::scope(|tasks| match dir.list() {
            Ok(entries) => self.read_dir(tasks, 0, (dir, &[], entries), scope),
            Err(error) => self.report(&[], error),
        });
        self.finish()
    }

    fn visit<'s>(&'s self, tasks: &rayon::Scope<'s>, task: ListTask) {
        let listed = task
            .parent
            .open_dir(&task.name)
            .and_then(|dir| dir.list().map(|entries| (dir, entries)));
        let (dir, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.report(&task.path, error),
        };
        let mut scope = task.scope;
        if entries.iter().any(|entry| &*entry.name == b".git") {
            match DirScope::of_nested(self.names, &self.path_of(&task.path)) {
                Ok(Some(nested)) => scope = nested,
                Ok(None) => {}
                Err(error) => {
                    workers::lock(&self.unusable).push(error);
                    scope = DirScope::unknown();
                }
            }
        }
        self.read_dir(tasks, task.number, (dir, &task.path, entries), scope);
    }

    /// Reads the files in a directory, and spawns a task for each subdirectory.
    fn read_dir<'s>(
        &'s self,
        tasks: &rayon::Scope<'s>,
        number: u32,
        (dir, path, mut entries): (Dir, &[u8], Vec<DirEntry>),
        mut scope: DirScope,
    ) {
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        scope.read_patterns(&dir, |name| {
            entries
                .binary_search_by(|entry| (*entry.name).cmp(name))
                .is_ok()
        });
        let dir = Arc::new(dir);
        let mut children = Vec::with_capacity(entries.len());
        for DirEntry { name, kind } in entries {
            let path = [path, &name].concat();
            let child = match kind.map_or_else(|| dir.stat_at(&name).map(|it| it.kind), Ok) {
                Ok(FileKind::Directory) => {
                    self.subdirectory(&dir, name, path, &scope).map(|task| {
                        let number = task.number;
                        tasks.spawn(move |tasks| self.visit(tasks, task));
                        Child::Dir(number)
                    })
                }
                Ok(FileKind::File | FileKind::Symlink) => {
                    self.file(&dir, &name, path, &scope).map(Child::File)
                }
                Ok(FileKind::Special) => None,
                Err(error) => {
                    self.report(&path, error);
                    None
                }
            };
            children.extend(child);
        }
        workers::lock(&self.read).push((number, children));
    }

    /// None if no file below the directory counts.
    fn subdirectory(
        &self,
        parent: &Arc<Dir>,
        name: Box<[u8]>,
        mut path: Vec<u8>,
        scope: &DirScope,
    ) -> Option<ListTask> {
        if &*name == b".git" || (self.skipped)(&self.path_of(&path)) {
            return None;
        }
        let below = scope.below(&name);
        if !scope.enters(&name, &below) {
            return None;
        }
        path.push(b'/');
        Some(ListTask {
            // `Relaxed` suffices: the numbers must only differ.
            number: self.next_task.fetch_add(1, Ordering::Relaxed),
            parent: Arc::clone(parent),
            name,
            path,
            scope: below,
        })
    }

    /// None if the file does not count, or is gone.
    fn file(&self, dir: &Dir, name: &[u8], path: Vec<u8>, scope: &DirScope) -> Option<ListedFile> {
        if name == b".git" {
            return None;
        }
        let known = scope.file(name)?;
        let stat = match dir.stat_at(name) {
            Ok(stat) => stat,
            Err(error) => {
                self.report(&path, error);
                return None;
            }
        };
        matches!(stat.kind, FileKind::File | FileKind::Symlink).then(|| ListedFile {
            path: PathBuf::from(OsString::from_vec(path)),
            tracked: known.is_tracked(),
            modified: known.is_modified(&stat),
            blob: known.blob(&stat),
            stat,
        })
    }

    fn path_of(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    /// Something that another process removed or replaced meanwhile is no error.
    fn report(&self, path: &[u8], error: io::Error) {
        let is_gone = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        if !is_gone {
            let path = path.strip_suffix(b"/").unwrap_or(path);
            workers::lock(&self.unreadable).push((OsStr::from_bytes(path).into(), error));
        }
    }

    /// Puts the files of all directories in order.
    fn finish(self) -> Listing {
        let count = self.next_task.into_inner() as usize;
        let read = workers::into_inner(self.read);
        let mut files = Vec::with_capacity(read.iter().map(|(_, children)| children.len()).sum());
        let mut dirs: Vec<Vec<Child>> = Vec::new();
        dirs.resize_with(count, Vec::new);
        for (number, children) in read {
            dirs[number as usize] = children;
        }
        // Not by recursion: directories can be nested deeper than the stack.
        let mut open = vec![std::mem::take(&mut dirs[0]).into_iter()];
        while let Some(children) = open.last_mut() {
            match children.next() {
                Some(Child::File(file)) => files.push(file),
                Some(Child::Dir(number)) => {
                    open.push(std::mem::take(&mut dirs[number as usize]).into_iter());
                }
                None => drop(open.pop()),
            }
        }
        let mut unreadable = workers::into_inner(self.unreadable);
        unreadable.sort_by(|a, b| a.0.cmp(&b.0));
        Listing {
            files,
            unreadable,
            unusable: workers::into_inner(self.unusable),
        }
    }
}
