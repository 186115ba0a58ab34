//! The tasks of a scan. Each reads the names in one directory and spawns a task for each
//! subdirectory.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::filter::ScanOptions;
use super::flatten::{drop_empty, flatten};
use super::found::{EncodedDir, FoundDir, FoundDirs};
use super::guide::GuideEntry;
use super::leaf::{if_present, read_leaf};
use super::leaf_stat::LeafStat;
use super::result::{Scan, ScanObstacle, SkippedPath};
use super::visit::{DirVisit, NamesToVisit, ParentDir, ScanName};
use crate::error::{Error, IoContext, Result};
use crate::fs::{Dir, DirEntry, FileKind, Stat, Timestamp, is_gone, is_temp_name, xattrs};
use crate::glob::Filter;
use crate::tree::model::{DirId, Tree};
use crate::tree::roots::{RootPlace, Roots};
use crate::workers;

/// Scans the roots, in parallel. A root that does not exist is missing from the tree.
///
/// Errors: something could not be read for another reason than that the user may not read it.
pub fn scan(roots: &Roots, options: &ScanOptions<'_>) -> Result<Scan> {
    // Before anything is read: a later change then never has an earlier ctime than this.
    let started = Timestamp::file_clock_now();
    let walker = Walker {
        options,
        found: Mutex::default(),
        skipped: Mutex::default(),
        failure: Mutex::default(),
        has_failed: AtomicBool::new(false),
        // Task 0 is the top, which has no directory on disk.
        next_task: AtomicU32::new(1),
    };
    let mut top = FoundDir::default();
    rayon::scope(|scope| {
        roots
            .iter()
            .try_for_each(|(name, root)| walker.visit_root(scope, &mut top, name, root))
    })?;
    walker.finish(top, started)
}

/// What the tasks of one scan share.
struct Walker<'a> {
    options: &'a ScanOptions<'a>,
    found: Mutex<FoundDirs>,
    skipped: Mutex<Vec<SkippedPath>>,
    /// The first error that ends the scan.
    failure: Mutex<Option<Error>>,
    /// Whether there is one. Tasks that have not started yet then do nothing.
    has_failed: AtomicBool,
    next_task: AtomicU32,
}

impl<'a> Walker<'a> {
    fn visit_root<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        top: &mut FoundDir,
        name: &[u8],
        root: &RootPlace,
    ) -> Result<()>
    where
        'a: 's,
    {
        let (parent, file_name) = split_root(&root.real)?;
        // A root can be a file or a symlink too, so it is read as a name in its parent.
        let parent = match Dir::open(parent) {
            Ok(parent) => Arc::new(parent),
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error).context("open", || parent),
        };
        let parent = ParentDir {
            dir: &parent,
            path: &root.path,
            is_root: true,
        };
        let name = ScanName {
            in_tree: name,
            on_disk: file_name.as_bytes(),
            kind: None,
            guide: self
                .options
                .guide
                .map(|tree| GuideEntry::find(tree, Tree::TOP, name, None)),
        };
        self.visit_name(scope, top, &parent, &name);
        Ok(())
    }

    /// Adds a leaf to `into`, or spawns a task for a directory.
    fn visit_name<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut FoundDir,
        parent: &ParentDir<'_>,
        name: &ScanName<'_, 'a>,
    ) where
        'a: 's,
    {
        // Before the guide is asked: these are removed even if extraneous names are kept.
        if is_temp_name(name.on_disk) {
            into.stale_temps.push(name.on_disk.into());
            return;
        }
        if name.guide.is_some_and(GuideEntry::is_missing) {
            into.extraneous.push(name.in_tree.into());
            return;
        }
        if let Err(obstacle) = self.visit_present(scope, into, parent, name) {
            self.stop_at(parent.path_of(name), obstacle);
        }
    }

    fn visit_present<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut FoundDir,
        parent: &ParentDir<'_>,
        name: &ScanName<'_, 'a>,
    ) -> Result<(), ScanObstacle>
    where
        'a: 's,
    {
        // A directory gets its `stat` when it is opened.
        let leaf_stat = if name.kind == Some(FileKind::Directory) {
            None
        } else {
            match if_present(parent.dir.stat_at(name.on_disk))? {
                Some(stat) => Some(stat).filter(|stat| stat.kind != FileKind::Directory),
                None => return Ok(()),
            }
        };
        match (self.filter(parent, name, leaf_stat.is_none()), leaf_stat) {
            (Filter::Exclude, _) => {}
            (_, Some(stat)) => {
                let leaf = read_leaf(self.options, parent, name, &stat)?;
                into.leaves
                    .extend(leaf.map(|leaf| (leaf, LeafStat::from(&stat))));
            }
            (filter, None) => {
                let visit = self.dir_visit(parent, name, filter);
                into.dirs.push((name.in_tree.into(), visit.task));
                scope.spawn(move |scope| self.visit_dir(scope, visit));
            }
        }
        Ok(())
    }

    fn filter(
        &self,
        parent: &ParentDir<'_>,
        name: &ScanName<'_, '_>,
        is_directory: bool,
    ) -> Filter {
        self.options.filter.map_or(Filter::Include, |filter| {
            filter(&parent.path_of(name), is_directory)
        })
    }

    fn dir_visit(
        &self,
        parent: &ParentDir<'_>,
        name: &ScanName<'_, 'a>,
        filter: Filter,
    ) -> DirVisit<'a> {
        DirVisit {
            // `Relaxed` suffices: the numbers must differ, and a task takes the numbers of its
            // subdirectories after it got its own.
            task: self.next_task.fetch_add(1, Ordering::Relaxed),
            parent: Arc::clone(parent.dir),
            on_disk: name.on_disk.into(),
            path: parent.path_of(name),
            guide: name.guide,
            found: FoundDir {
                name: name.in_tree.into(),
                only_if_non_empty: filter == Filter::IncludeIfNonEmpty,
                ..FoundDir::default()
            },
        }
    }

    fn visit_dir<'s>(&'s self, scope: &rayon::Scope<'s>, visit: DirVisit<'a>)
    where
        'a: 's,
    {
        if self.has_failed.load(Ordering::Relaxed) {
            return;
        }
        let (dir, stat) = match if_present(visit.open()) {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(obstacle) => return self.stop_at(visit.path, obstacle.of_dir()),
        };
        // By inode, because several paths can lead to the store.
        if self.options.store == Some((stat.device, stat.inode)) {
            return;
        }
        let mut found = visit.found;
        // These times are older than the listing. A name that is added in between gives the
        // directory later ones, so the next scan does not take this listing for complete.
        found.stat = Some(stat);
        let names = match if_present(self.read_names(&dir, visit.guide, &stat, &mut found)) {
            Ok(Some(names)) => names,
            Ok(None) => return,
            Err(obstacle) => return self.stop_at(visit.path, obstacle.of_dir()),
        };
        let parent = ParentDir {
            // The tasks of subdirectories open them relative to this one.
            dir: &Arc::new(dir),
            path: &visit.path,
            is_root: false,
        };
        self.visit_names(scope, &mut found, &parent, &names);
        self.keep(visit.task, found);
    }

    /// Reads the names in a directory, and its attributes if they matter.
    fn read_names(
        &self,
        dir: &Dir,
        guide: Option<GuideEntry<'a>>,
        stat: &Stat,
        found: &mut FoundDir,
    ) -> io::Result<NamesToVisit<'a>> {
        let guide = match guide {
            // The guide has a leaf here, so all names are extraneous.
            Some(GuideEntry { dir: None, .. }) => {
                let names = dir.list()?.into_iter().map(|entry| entry.name);
                found.extraneous.extend(names);
                return Ok(NamesToVisit::Listed(Vec::new(), None));
            }
            Some(GuideEntry {
                tree,
                dir: Some(dir),
                ..
            }) => Some((tree, dir)),
            None => None,
        };
        let stamp = self.options.stamp.zip(guide);
        let is_stamped = stamp.is_some_and(|(stamp, (_, id))| stamp.has_no_extraneous(id, stat));
        // A directory without attributes in the guide has none if its stamp is right.
        let may_have_attributes =
            guide.is_none_or(|(tree, id)| !tree[id].attributes.is_empty() || !is_stamped);
        if may_have_attributes && !self.options.without_attributes {
            found.attributes = xattrs::read_open(dir)?;
        }
        let has_no_extraneous = self.options.trust_mtimes || is_stamped;
        match guide {
            Some((tree, wanted)) if stat.mtime == tree[wanted].mtime && has_no_extraneous => {
                Ok(NamesToVisit::AsInGuide(tree, wanted))
            }
            _ => Ok(NamesToVisit::Listed(dir.list()?, guide)),
        }
    }

    fn visit_names<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut FoundDir,
        parent: &ParentDir<'_>,
        names: &NamesToVisit<'a>,
    ) where
        'a: 's,
    {
        match names {
            NamesToVisit::Listed(listed, guide) => {
                into.leaves.reserve_exact(leaf_count(listed));
                for DirEntry { name, kind } in listed {
                    let guide = guide.map(|(tree, dir)| GuideEntry::find(tree, dir, name, *kind));
                    let name = ScanName::below_root(name, *kind, guide);
                    self.visit_name(scope, into, parent, &name);
                }
            }
            NamesToVisit::AsInGuide(tree, dir) => {
                into.leaves.reserve_exact(tree[*dir].leaves.len());
                for name in names_of_guide(tree, *dir) {
                    self.visit_name(scope, into, parent, &name);
                }
            }
        }
    }

    /// Keeps a finished directory.
    fn keep(&self, task: u32, mut found: FoundDir) {
        let leaf_count = found.leaves.len();
        match found.encode_leaves() {
            Ok(leaves) => workers::lock(&self.found).add(task, found, leaf_count, &leaves),
            Err(error) => self.fail(error),
        }
    }

    fn stop_at(&self, path: PathBuf, obstacle: ScanObstacle) {
        match obstacle {
            ScanObstacle::Skip(reason) => {
                workers::lock(&self.skipped).push(SkippedPath { path, reason });
            }
            ScanObstacle::Failure(source) => {
                let action = "read";
                self.fail(Error::Io {
                    action,
                    path,
                    source,
                });
            }
        }
    }

    fn fail(&self, error: Error) {
        workers::lock(&self.failure).get_or_insert(error);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    fn finish(self, top: FoundDir, started: Timestamp) -> Result<Scan> {
        self.keep(0, top);
        if let Some(failure) = workers::into_inner(self.failure) {
            return Err(failure);
        }
        let mut found: Vec<Option<EncodedDir>> = Vec::new();
        found.resize_with(self.next_task.into_inner() as usize, || None);
        let FoundDirs { dirs, blocks } = workers::into_inner(self.found);
        for (task, dir) in dirs {
            found[task as usize] = Some(dir);
        }
        drop_empty(&mut found);
        let mut skipped = workers::into_inner(self.skipped);
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        flatten(found, &blocks, started, skipped)
    }
}

/// The parent and the name of a root. Errors: the path is `/`, or it ends with `..`.
fn split_root(path: &Path) -> Result<(&Path, &OsStr)> {
    path.parent()
        .zip(path.file_name())
        .ok_or_else(|| Error::invalid(format!("{} cannot be cached", path.display())))
}

/// How many of the names are not known to be directories.
fn leaf_count(listed: &[DirEntry]) -> usize {
    listed
        .iter()
        .filter(|entry| entry.kind != Some(FileKind::Directory))
        .count()
}

fn names_of_guide(tree: &Tree, dir: DirId) -> impl Iterator<Item = ScanName<'_, '_>> {
    // A directory that became something else fails to open with ENOTDIR and counts as gone.
    let dirs = tree.dirs_in(dir).map(|(id, dir)| {
        let guide = GuideEntry::of_dir(tree, id);
        ScanName::below_root(&dir.name, Some(FileKind::Directory), Some(guide))
    });
    // Symlinks too: any kind but a directory makes the scan read the kind from disk.
    let leaves = tree.leaves_in(dir).map(|(id, leaf)| {
        let guide = GuideEntry::of_leaf(tree, id);
        ScanName::below_root(&leaf.name, Some(FileKind::File), Some(guide))
    });
    dirs.chain(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listing_finds_a_name_added_under_the_old_mtime() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("dir");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("kept"), "").unwrap();
        let roots = Roots::new([((*b"dir").into(), dir.clone())]);
        let guide = scan(&roots, &ScanOptions::default()).unwrap().tree;
        std::fs::write(dir.join("added"), "").unwrap();
        let extra = |trust_times| {
            let options = ScanOptions {
                guide: Some(&guide),
                trust_mtimes: trust_times,
                ..ScanOptions::default()
            };
            let found = scan(&roots, &options).unwrap();
            assert_eq!(found.tree.leaves().len(), 1);
            found.extraneous.len()
        };
        assert_eq!((extra(false), extra(true)), (1, 1));
        crate::fs::set_mtime(&Dir::open(&dir).unwrap(), guide[DirId(1)].mtime).unwrap();
        assert_eq!((extra(false), extra(true)), (1, 0));
    }
}
