//! The jobs of a scan: each looks at the names of one directory and begins a job for each directory
//! among them.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, IoContext, Result};
use crate::fs::xattrs;
use crate::fs::xattrs::Attribute;
use crate::fs::{Dir, DirEntry, FileKind, Stat, Timestamp, is_temp_name};
use crate::tree::scan::flatten::{drop_empty, flatten};
use crate::tree::scan::{Filter, Scan, ScanOptions, SkipReason, SkippedPath};
use crate::tree::stamps::RootStamp;
use crate::tree::{DirId, Directory, FileData, Leaf, LeafId, LeafKind, Roots, Tree, os};
use crate::workers;

/// Looks at the roots, in parallel. A root that does not exist is missing from the tree.
pub fn scan(places: &Roots, options: &ScanOptions<'_>) -> Result<Scan> {
    let started = Timestamp::file_clock_now();
    let job = Walker {
        options,
        found: Mutex::default(),
        skipped: Mutex::default(),
        next: AtomicU32::new(1),
    };
    let mut top = FoundDir::default();
    rayon::scope(|scope| {
        places.iter().try_for_each(|(name, path)| {
            let (Some(parent), Some(file_name)) = (path.parent(), path.file_name()) else {
                return Err(Error::invalid(format!(
                    "{} can't be cached",
                    path.display()
                )));
            };
            let parent = match Dir::open(parent) {
                Ok(parent) => Arc::new(parent),
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error).context("open", || parent),
            };
            let known = options.stamps.and_then(|seen| seen.root(name));
            let named = NamedLeaf {
                name,
                on_disk: file_name.as_bytes(),
                kind: None,
            };
            let in_guide = options
                .guide
                .map(|tree| InGuide::find(tree, Tree::TOP, &named));
            let above = ParentDir {
                dir: &parent,
                path,
                is_root: true,
                known,
            };
            job.look(scope, &mut top, &above, &named, in_guide);
            Ok(())
        })
    })?;
    Ok(job.finish(top, started))
}

struct Walker<'a> {
    options: &'a ScanOptions<'a>,
    found: Mutex<Vec<(u32, FoundDir)>>,
    skipped: Mutex<Vec<SkippedPath>>,
    next: AtomicU32,
}

/// A directory as its job found it; its subdirectories by the numbers of their jobs.
#[derive(Default)]
pub(crate) struct FoundDir {
    pub(crate) name: Box<[u8]>,
    pub(crate) mode: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
    pub(crate) attributes: Box<[Attribute]>,
    pub(crate) leaves: Vec<(Leaf, Stat)>,
    pub(crate) dirs: Vec<(Box<[u8]>, u32)>,
    pub(crate) extraneous: Vec<Box<[u8]>>,
    pub(crate) stale_temps: Vec<Box<[u8]>>,
    pub(crate) only_if_non_empty: bool,
}

/// A directory to look at.
struct Visit<'a> {
    id: u32,
    parent: Arc<Dir>,
    on_disk: Box<[u8]>,
    path: PathBuf,
    is_root: bool,
    /// What is known of the directory above, or of the root itself.
    known: Option<RootStamp>,
    /// The directory of the guide; none where it has something else.
    guide: Option<(&'a Tree, Option<DirId>)>,
    found: FoundDir,
}

/// What the guide has under a name.
#[derive(Clone, Copy)]
struct InGuide<'a> {
    tree: &'a Tree,
    dir: Option<DirId>,
    leaf: Option<LeafId>,
}

impl<'a> InGuide<'a> {
    /// The other kind is not looked for when there is one of the kind that is listed.
    fn find(tree: &'a Tree, parent: DirId, named: &NamedLeaf<'_>) -> Self {
        let dir = || tree.find_dir(parent, named.name);
        let leaf = || tree.find_leaf(parent, named.name);
        let (dir, leaf) = match named.kind {
            Some(FileKind::Directory) => {
                let dir = dir();
                (dir, if dir.is_none() { leaf() } else { None })
            }
            Some(_) => {
                let leaf = leaf();
                (if leaf.is_none() { dir() } else { None }, leaf)
            }
            None => (dir(), leaf()),
        };
        Self { tree, dir, leaf }
    }

    fn is_nothing(self) -> bool {
        self.dir.is_none() && self.leaf.is_none()
    }
}

/// The names to look at in a directory.
enum NamesToVisit<'a> {
    /// Those that it has, and the directory of the guide to look them up in.
    Listed(Vec<DirEntry>, Option<(&'a Tree, DirId)>),
    /// Those that this directory of the guide has.
    AsInGuide(&'a Tree, DirId),
}

/// The directory in which names are looked at.
struct ParentDir<'p> {
    dir: &'p Arc<Dir>,
    path: &'p Path,
    /// Whether the name to look at is a root: then `path` is already its own, and so is what is
    /// known.
    is_root: bool,
    known: Option<RootStamp>,
}

struct NamedLeaf<'n> {
    /// The name in the tree.
    name: &'n [u8],
    /// The name in the directory; another one for roots.
    on_disk: &'n [u8],
    kind: Option<FileKind>,
}

impl ParentDir<'_> {
    fn path_of(&self, named: &NamedLeaf<'_>) -> PathBuf {
        if self.is_root {
            self.path.to_owned()
        } else {
            self.path.join(os(named.on_disk))
        }
    }
}

impl<'a> Walker<'a> {
    /// Looks at one name: notes a leaf, begins a job for a directory.
    fn look<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut FoundDir,
        above: &ParentDir<'_>,
        named: &NamedLeaf<'_>,
        in_guide: Option<InGuide<'a>>,
    ) where
        'a: 's,
    {
        if is_temp_name(named.on_disk) {
            into.stale_temps.push(named.on_disk.into());
            return;
        }
        if in_guide.is_some_and(InGuide::is_nothing) {
            into.extraneous.push(named.name.into());
            return;
        }
        if named.kind != Some(FileKind::Directory) {
            match above.dir.stat_at(named.on_disk) {
                Ok(stat) if stat.kind == FileKind::Directory => {}
                Ok(_) if self.take(above, named, false) == Filter::Exclude => return,
                Ok(stat) => return self.look_at_leaf(into, above, named, &stat, in_guide),
                Err(error) if is_gone(&error) => return,
                Err(error) => {
                    return self.leave_out(above.path_of(named), SkipReason::Unreadable(error));
                }
            }
        }
        let take = self.take(above, named, true);
        if take == Filter::Exclude {
            return;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        into.dirs.push((named.name.into(), id));
        let visit = Visit {
            id,
            parent: Arc::clone(above.dir),
            on_disk: named.on_disk.into(),
            path: above.path_of(named),
            is_root: above.is_root,
            known: above.known,
            guide: in_guide.map(|found| (found.tree, found.dir)),
            found: FoundDir {
                name: named.name.into(),
                only_if_non_empty: take == Filter::IncludeIfNonEmpty,
                ..FoundDir::default()
            },
        };
        scope.spawn(move |scope| self.visit(scope, visit));
    }

    fn take(&self, above: &ParentDir<'_>, named: &NamedLeaf<'_>, is_directory: bool) -> Filter {
        self.options.filter.map_or(Filter::Include, |exclude| {
            exclude(&above.path_of(named), is_directory)
        })
    }

    fn look_at_leaf(
        &self,
        into: &mut FoundDir,
        above: &ParentDir<'_>,
        named: &NamedLeaf<'_>,
        stat: &Stat,
        in_guide: Option<InGuide<'_>>,
    ) {
        let mut attributes = Box::default();
        let kind = match stat.kind {
            FileKind::Symlink => match above.dir.read_link(named.on_disk) {
                Ok(target) => LeafKind::Symlink(target),
                Err(error) if is_gone(&error) => return,
                Err(error) => {
                    return self.leave_out(above.path_of(named), SkipReason::Unreadable(error));
                }
            },
            FileKind::File => {
                // Where there is a guide, a file without attributes in it is not asked for its own.
                let expected = !self.options.without_attributes
                    && in_guide.is_none_or(|InGuide { tree, leaf, .. }| {
                        leaf.is_some_and(|leaf| !tree[leaf].attributes.is_empty())
                    });
                if expected {
                    match xattrs::read_at(above.dir, named.on_disk) {
                        Ok(found) => attributes = found,
                        Err(error) if is_gone(&error) => return,
                        Err(error) => {
                            return self
                                .leave_out(above.path_of(named), SkipReason::Unreadable(error));
                        }
                    }
                }
                LeafKind::File(FileData {
                    size: stat.size,
                    extents: Box::default(),
                    content: None,
                })
            }
            // No manifest has such a thing, so for a comparison it is as if nothing were there.
            FileKind::Special if in_guide.is_some() => return,
            FileKind::Special | FileKind::Directory => {
                return self.leave_out(above.path_of(named), SkipReason::Special);
            }
        };
        let leaf = Leaf {
            name: named.name.into(),
            parent: Tree::TOP,
            mode: stat.mode,
            mtime: stat.mtime,
            attributes,
            kind,
        };
        into.leaves.push((leaf, *stat));
    }

    fn visit<'s>(&'s self, scope: &rayon::Scope<'s>, visit: Visit<'a>)
    where
        'a: 's,
    {
        let Visit {
            id,
            parent,
            on_disk,
            path,
            is_root,
            known,
            guide,
            mut found,
        } = visit;
        let open = || {
            let dir = parent.open_dir(&on_disk)?;
            // A directory that may be read but not entered can't be told from one that may not be
            // opened.
            dir.stat_at(b".").map(|stat| (dir, stat))
        };
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && guide.is_some() => {
                // What is compared with a guide is about to be made as the guide says, its mode
                // included.
                parent.make_accessible(&on_disk).and_then(|()| open())
            }
            other => other,
        };
        let (dir, stat) = match opened {
            Ok(opened) => opened,
            Err(error) if is_gone(&error) => return,
            Err(error) => return self.leave_out(path, SkipReason::Unreadable(error)),
        };
        if self.options.store == Some((stat.device, stat.inode)) {
            return;
        }
        (found.mode, found.mtime, found.ctime) = (stat.mode, stat.mtime, stat.ctime);
        let known = if is_root {
            known
        } else {
            known.and_then(|sight| sight.below(stat.ctime, stat.mtime))
        };
        let read = match guide {
            // Something else is wanted here: what the directory holds does not matter.
            Some((_, None)) => Ok(NamesToVisit::Listed(Vec::new(), None)),
            Some((tree, Some(wanted))) => self.names(&dir, Some((tree, wanted)), known, &mut found),
            None => self.names(&dir, None, None, &mut found),
        };
        let names = match read {
            Ok(names) => names,
            Err(error) => return self.leave_out(path, SkipReason::Unreadable(error)),
        };
        let dir = Arc::new(dir);
        let above = ParentDir {
            dir: &dir,
            path: &path,
            is_root: false,
            known,
        };
        self.look_at_all(scope, &mut found, &above, &names);
        workers::lock(&self.found).push((id, found));
    }

    fn look_at_all<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut FoundDir,
        above: &ParentDir<'_>,
        names: &NamesToVisit<'a>,
    ) where
        'a: 's,
    {
        match names {
            NamesToVisit::Listed(listed, guide) => {
                into.leaves.reserve_exact(
                    listed
                        .iter()
                        .filter(|name| name.kind != Some(FileKind::Directory))
                        .count(),
                );
                for DirEntry { name, kind } in listed {
                    let named = NamedLeaf {
                        name,
                        on_disk: name,
                        kind: *kind,
                    };
                    let in_guide = guide.map(|(tree, dir)| InGuide::find(tree, dir, &named));
                    self.look(scope, into, above, &named, in_guide);
                }
            }
            NamesToVisit::AsInGuide(tree, dir) => {
                into.leaves.reserve_exact(tree[*dir].leaves.len());
                for (id, Directory { name, .. }) in tree.dirs_in(*dir) {
                    let named = NamedLeaf {
                        name,
                        on_disk: name,
                        kind: Some(FileKind::Directory),
                    };
                    self.look(
                        scope,
                        into,
                        above,
                        &named,
                        Some(InGuide {
                            tree,
                            dir: Some(id),
                            leaf: None,
                        }),
                    );
                }
                for (id, Leaf { name, .. }) in tree.leaves_in(*dir) {
                    let named = NamedLeaf {
                        name,
                        on_disk: name,
                        kind: Some(FileKind::File),
                    };
                    self.look(
                        scope,
                        into,
                        above,
                        &named,
                        Some(InGuide {
                            tree,
                            dir: None,
                            leaf: Some(id),
                        }),
                    );
                }
            }
        }
    }

    /// The names to look at in a directory; notes its attributes where they matter.
    fn names(
        &self,
        dir: &Dir,
        guide: Option<(&'a Tree, DirId)>,
        known: Option<RootStamp>,
        found: &mut FoundDir,
    ) -> io::Result<NamesToVisit<'a>> {
        let has_attributes = guide.is_none_or(|(tree, wanted)| !tree[wanted].attributes.is_empty());
        if has_attributes && !self.options.without_attributes {
            found.attributes = xattrs::read_open(dir)?;
        }
        let has_its_names = || {
            self.options.trust_mtimes
                || known.is_some_and(|sight| sight.has_no_extraneous(found.ctime))
        };
        match guide {
            Some((tree, wanted)) if found.mtime == tree[wanted].mtime && has_its_names() => {
                Ok(NamesToVisit::AsInGuide(tree, wanted))
            }
            _ => Ok(NamesToVisit::Listed(dir.list()?, guide)),
        }
    }

    fn leave_out(&self, path: PathBuf, reason: SkipReason) {
        workers::lock(&self.skipped).push(SkippedPath { path, reason });
    }

    fn finish(self, top: FoundDir, started: Timestamp) -> Scan {
        let mut found: Vec<Option<FoundDir>> = Vec::new();
        found.resize_with(self.next.into_inner() as usize, || None);
        for (id, dir) in workers::into_inner(self.found) {
            found[id as usize] = Some(dir);
        }
        found[0] = Some(top);
        drop_empty(&mut found);
        let mut left_out = workers::into_inner(self.skipped);
        left_out.sort_by(|one, other| one.path.cmp(&other.path));
        flatten(found, started, left_out)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_added_under_the_old_time_is_found_only_by_listing() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("dir");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("kept"), "").unwrap();
        let places = Roots::new([((*b"dir").into(), dir.clone())]);
        let guide = scan(&places, &ScanOptions::default()).unwrap().tree;
        std::fs::write(dir.join("added"), "").unwrap();
        let extra = |trust_times| {
            let options = ScanOptions {
                guide: Some(&guide),
                trust_mtimes: trust_times,
                ..ScanOptions::default()
            };
            let found = scan(&places, &options).unwrap();
            assert_eq!(found.tree.leaves().len(), 1);
            found.extraneous.len()
        };
        assert_eq!((extra(false), extra(true)), (1, 1));
        crate::fs::set_mtime(&Dir::open(&dir).unwrap(), guide[DirId(1)].mtime).unwrap();
        assert_eq!((extra(false), extra(true)), (1, 0));
    }
}
