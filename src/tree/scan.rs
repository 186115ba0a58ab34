//! Looking at what is there, in parallel: a job for each directory.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{DirId, Directory, FileData, Leaf, LeafId, LeafKind, Places, Tree, count, os};
use crate::error::{Context, Error, Result};
use crate::fs::xattrs::{self, Attribute};
use crate::fs::{Dir, Kind, Stat, Timestamp, is_temp_name};

/// What to look at.
#[derive(Default)]
pub struct Options<'a> {
    /// Look only at the names that this tree has; others are reported as extra. For comparing a directory with a
    /// manifest without reading all of, say, a home directory.
    pub guide: Option<&'a Tree>,
    /// Decides what is left out.
    pub exclude: Option<Exclude<'a>>,
    /// A directory to leave out, by device and inode: the store itself.
    pub store: Option<(u64, u64)>,
}

/// Decides what is left out, given absolute paths and whether they are directories.
pub type Exclude<'a> = &'a (dyn Fn(&Path, bool) -> Take + Sync);

/// What to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Take it.
    Yes,
    /// Leave it out with everything below it.
    No,
    /// Take this directory only if something below it is taken.
    IfFilled,
}

/// What was found.
#[derive(Debug)]
pub struct Scan {
    /// The tree, its files without contents. Hard links among themselves are recognised.
    pub tree: Tree,
    /// What the filesystem said of each leaf, in the tree's order.
    pub stats: Vec<Stat>,
    /// Names that the guide does not have.
    pub extra: Vec<Extra>,
    /// Names of what a restore has not finished, or never will because it was killed.
    pub leftovers: Vec<Extra>,
    /// What was left out, and why.
    pub left_out: Vec<LeftOut>,
    /// When the scan began.
    pub started: Timestamp,
    /// The user who looked.
    pub user: u32,
}

/// A name that does not belong to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The directory it stands in, as the scan's tree numbers it.
    pub parent: DirId,
    /// The name.
    pub name: Box<[u8]>,
}

/// Something that can't be kept.
#[derive(Debug)]
pub struct LeftOut {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is left out.
    pub reason: Reason,
}

/// Why something is left out.
#[derive(Debug)]
pub enum Reason {
    /// A socket, fifo or device.
    Special,
    /// It can't be read.
    Unreadable(io::Error),
    /// It changed each time it was read.
    Changing,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Special => f.write_str("it is a socket, fifo or device"),
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                f.write_str("it may not be read")
            }
            Self::Unreadable(error) => write!(f, "it can't be read ({error})"),
            Self::Changing => f.write_str("it kept changing while it was read"),
        }
    }
}

/// Looks at the roots, in parallel. A root that does not exist is missing from the tree.
pub fn scan(places: &Places, options: &Options<'_>) -> Result<Scan> {
    let started = Timestamp::now();
    let job = Job { options, found: Mutex::default(), left_out: Mutex::default(), next: AtomicU32::new(1) };
    let mut top = Found::default();
    rayon::scope(|scope| {
        places.iter().try_for_each(|(name, path)| {
            let (Some(parent), Some(file_name)) = (path.parent(), path.file_name()) else {
                return Err(Error::invalid(format!("{} can't be cached", path.display())));
            };
            let parent = match Dir::open(parent) {
                Ok(parent) => Arc::new(parent),
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error).context("open", || parent),
            };
            let guide = options.guide.map(|tree| Guide { tree, parent: Tree::TOP });
            let named = Named { name, on_disk: file_name.as_bytes(), kind: None };
            let above = Above { dir: &parent, path, is_path_of_child: true, guide };
            job.look(scope, &mut top, &above, &named);
            Ok(())
        })
    })?;
    Ok(job.finish(top, started))
}

struct Job<'a> {
    options: &'a Options<'a>,
    found: Mutex<Vec<(u32, Found)>>,
    left_out: Mutex<Vec<LeftOut>>,
    next: AtomicU32,
}

/// A directory as its job found it; its subdirectories by the numbers of their jobs.
#[derive(Default)]
struct Found {
    name: Box<[u8]>,
    mode: u32,
    modified: Timestamp,
    attributes: Box<[Attribute]>,
    leaves: Vec<(Leaf, Stat)>,
    dirs: Vec<(Box<[u8]>, u32)>,
    extra: Vec<Box<[u8]>>,
    leftovers: Vec<Box<[u8]>>,
    only_if_filled: bool,
}

/// A directory to look at.
struct Visit<'a> {
    id: u32,
    parent: Arc<Dir>,
    on_disk: Box<[u8]>,
    path: PathBuf,
    guide: Option<(&'a Tree, Option<DirId>)>,
    found: Found,
}

#[derive(Clone, Copy)]
struct Guide<'a> {
    tree: &'a Tree,
    parent: DirId,
}

impl<'a> Guide<'a> {
    /// What the guide has under a name. The other kind is not looked for when there is one of the kind that is listed.
    fn find(self, named: &Named<'_>) -> (&'a Tree, Option<DirId>, Option<LeafId>) {
        let Self { tree, parent } = self;
        let dir = || tree.find_dir(parent, named.name);
        let leaf = || tree.find_leaf(parent, named.name);
        match named.kind {
            Some(Kind::Directory) => {
                let dir = dir();
                (tree, dir, if dir.is_none() { leaf() } else { None })
            }
            Some(_) => {
                let leaf = leaf();
                (tree, if leaf.is_none() { dir() } else { None }, leaf)
            }
            None => (tree, dir(), leaf()),
        }
    }
}

/// The directory in which names are looked at.
struct Above<'a, 'p> {
    dir: &'p Arc<Dir>,
    path: &'p Path,
    /// Whether `path` is already that of the one name to look at.
    is_path_of_child: bool,
    guide: Option<Guide<'a>>,
}

struct Named<'n> {
    /// The name in the tree.
    name: &'n [u8],
    /// The name in the directory; another one for roots.
    on_disk: &'n [u8],
    kind: Option<Kind>,
}

impl Above<'_, '_> {
    fn path_of(&self, named: &Named<'_>) -> PathBuf {
        if self.is_path_of_child { self.path.to_owned() } else { self.path.join(os(named.on_disk)) }
    }
}

impl<'a> Job<'a> {
    /// Looks at one name: notes a leaf, begins a job for a directory.
    fn look<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        into: &mut Found,
        above: &Above<'a, '_>,
        named: &Named<'_>,
    ) where
        'a: 's,
    {
        if is_temp_name(named.on_disk) {
            into.leftovers.push(named.on_disk.into());
            return;
        }
        let in_guide = above.guide.map(|guide| guide.find(named));
        if let Some((_, None, None)) = in_guide {
            into.extra.push(named.name.into());
            return;
        }
        if named.kind != Some(Kind::Directory) {
            match above.dir.stat_at(named.on_disk) {
                Ok(stat) if stat.kind == Kind::Directory => {}
                Ok(_) if self.take(above, named, false) == Take::No => return,
                Ok(stat) => return self.look_at_leaf(into, above, named, &stat, in_guide),
                Err(error) if is_gone(&error) => return,
                Err(error) => return self.leave_out(above.path_of(named), Reason::Unreadable(error)),
            }
        }
        let take = self.take(above, named, true);
        if take == Take::No {
            return;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        into.dirs.push((named.name.into(), id));
        let visit = Visit {
            id,
            parent: Arc::clone(above.dir),
            on_disk: named.on_disk.into(),
            path: above.path_of(named),
            guide: in_guide.map(|(tree, dir, _)| (tree, dir)),
            found: Found {
                name: named.name.into(),
                only_if_filled: take == Take::IfFilled,
                ..Found::default()
            },
        };
        scope.spawn(move |scope| self.visit(scope, visit));
    }

    fn take(&self, above: &Above<'_, '_>, named: &Named<'_>, is_directory: bool) -> Take {
        self.options.exclude.map_or(Take::Yes, |exclude| exclude(&above.path_of(named), is_directory))
    }

    fn look_at_leaf(
        &self,
        into: &mut Found,
        above: &Above<'_, '_>,
        named: &Named<'_>,
        stat: &Stat,
        in_guide: Option<(&Tree, Option<DirId>, Option<LeafId>)>,
    ) {
        let mut attributes = Box::default();
        let kind = match stat.kind {
            Kind::Symlink => match above.dir.read_link(named.on_disk) {
                Ok(target) => LeafKind::Symlink(target),
                Err(error) if is_gone(&error) => return,
                Err(error) => return self.leave_out(above.path_of(named), Reason::Unreadable(error)),
            },
            Kind::File => {
                // Where there is a guide, a file without attributes in it is not asked for its own.
                let expected = in_guide
                    .is_none_or(|(tree, _, leaf)| leaf.is_some_and(|leaf| !tree[leaf].attributes.is_empty()));
                if expected {
                    match xattrs::read_at(above.dir, named.on_disk) {
                        Ok(found) => attributes = found,
                        Err(error) if is_gone(&error) => return,
                        Err(error) => {
                            return self.leave_out(above.path_of(named), Reason::Unreadable(error));
                        }
                    }
                }
                LeafKind::File(FileData { size: stat.size, extents: Box::default(), content: None })
            }
            // No manifest has such a thing, so for a comparison it is as if nothing were there.
            Kind::Special if in_guide.is_some() => return,
            Kind::Special | Kind::Directory => {
                return self.leave_out(above.path_of(named), Reason::Special);
            }
        };
        let leaf = Leaf {
            name: named.name.into(),
            parent: Tree::TOP,
            mode: stat.mode,
            modified: stat.modified,
            attributes,
            kind,
        };
        into.leaves.push((leaf, *stat));
    }

    fn visit<'s>(&'s self, scope: &rayon::Scope<'s>, visit: Visit<'a>)
    where
        'a: 's,
    {
        let Visit { id, parent, on_disk, path, guide, mut found } = visit;
        let open = || {
            let dir = parent.open_dir(&on_disk)?;
            // A directory that may be read but not entered can't be told from one that may not be opened.
            dir.stat_at(b".").map(|stat| (dir, stat))
        };
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && guide.is_some() => {
                // What is compared with a guide is about to be made as the guide says, its mode included.
                parent.make_accessible(&on_disk).and_then(|()| open())
            }
            other => other,
        };
        let (dir, stat) = match opened {
            Ok(opened) => opened,
            Err(error) if is_gone(&error) => return,
            Err(error) => return self.leave_out(path, Reason::Unreadable(error)),
        };
        if self.options.store == Some((stat.device, stat.inode)) {
            return;
        }
        (found.mode, found.modified) = (stat.mode, stat.modified);
        let read = match guide {
            // Something else is wanted here: what the directory holds does not matter.
            Some((_, None)) => Ok(Vec::new()),
            Some((tree, Some(wanted))) if tree[wanted].attributes.is_empty() => dir.list(),
            _ => xattrs::read_open(&dir).and_then(|attributes| {
                found.attributes = attributes;
                dir.list()
            }),
        };
        let names = match read {
            Ok(names) => names,
            Err(error) => return self.leave_out(path, Reason::Unreadable(error)),
        };
        let guide = guide.and_then(|(tree, dir)| dir.map(|parent| Guide { tree, parent }));
        found.leaves.reserve_exact(names.iter().filter(|name| name.kind != Some(Kind::Directory)).count());
        let dir = Arc::new(dir);
        let above = Above { dir: &dir, path: &path, is_path_of_child: false, guide };
        for listed in &names {
            let named = Named { name: &listed.name, on_disk: &listed.name, kind: listed.kind };
            self.look(scope, &mut found, &above, &named);
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push((id, found));
    }

    fn leave_out(&self, path: PathBuf, reason: Reason) {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).push(LeftOut { path, reason });
    }

    fn finish(self, top: Found, started: Timestamp) -> Scan {
        let mut found: Vec<Option<Found>> = Vec::new();
        found.resize_with(self.next.into_inner() as usize, || None);
        for (id, dir) in self.found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            found[id as usize] = Some(dir);
        }
        found[0] = Some(top);
        drop_unfilled(&mut found);
        let mut left_out = self.left_out.into_inner().unwrap_or_else(PoisonError::into_inner);
        left_out.sort_by(|one, other| one.path.cmp(&other.path));
        flatten(found, started, left_out)
    }
}

/// Takes out directories that could not be read, and so have no result, and those that are empty but need not be.
fn drop_unfilled(found: &mut [Option<Found>]) {
    // A job gets its number before those of its subdirectories, so this goes from the bottom up.
    for id in (1..found.len()).rev().chain([0]) {
        let Some(mut dir) = found[id].take() else { continue };
        dir.dirs.retain(|(_, job)| found[*job as usize].is_some());
        if !dir.only_if_filled || !dir.dirs.is_empty() || !dir.leaves.is_empty() {
            found[id] = Some(dir);
        }
    }
}

/// Numbers the directories breadth first and sorts the names in each.
fn flatten(mut found: Vec<Option<Found>>, started: Timestamp, left_out: Vec<LeftOut>) -> Scan {
    let leaf_count = found.iter().flatten().map(|dir| dir.leaves.len()).sum();
    let mut dirs = Vec::with_capacity(found.len());
    let (mut leaves, mut stats) = (Vec::with_capacity(leaf_count), Vec::with_capacity(leaf_count));
    let (mut extra, mut leftovers) = (Vec::new(), Vec::new());
    let mut queue = std::collections::VecDeque::from([(0, Tree::TOP)]);
    let mut numbered = 1;
    while let Some((job, parent)) = queue.pop_front() {
        let Some(mut dir) = found[job].take() else { continue };
        let id = DirId(count(&dirs));
        dir.leaves.sort_unstable_by(|one, other| one.0.name.cmp(&other.0.name));
        dir.dirs.sort_unstable();
        let first = count(&leaves);
        for (leaf, stat) in dir.leaves {
            leaves.push(Leaf { parent: id, ..leaf });
            stats.push(stat);
        }
        extra.extend(dir.extra.into_iter().map(|name| Extra { parent: id, name }));
        leftovers.extend(dir.leftovers.into_iter().map(|name| Extra { parent: id, name }));
        let children = u32::try_from(dir.dirs.len()).unwrap_or(u32::MAX);
        dirs.push(Directory {
            name: dir.name,
            parent,
            mode: dir.mode,
            modified: dir.modified,
            attributes: dir.attributes,
            dirs: numbered..numbered + children,
            leaves: first..count(&leaves),
        });
        numbered += children;
        queue.extend(dir.dirs.into_iter().map(|(_, job)| (job as usize, id)));
    }
    mark_hard_links(&mut leaves, &stats);
    let user = crate::fs::user();
    Scan { tree: Tree { dirs, leaves }, stats, extra, leftovers, left_out, started, user }
}

/// Makes all but the first name of a file that has several hard links to the first.
fn mark_hard_links(leaves: &mut [Leaf], stats: &[Stat]) {
    let mut first: HashMap<(u64, u64), LeafId> = HashMap::new();
    for (id, (leaf, stat)) in (0..).zip(leaves.iter_mut().zip(stats)) {
        if stat.links > 1 && matches!(leaf.kind, LeafKind::File(_)) {
            match first.entry((stat.device, stat.inode)) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(LeafId(id));
                }
                std::collections::hash_map::Entry::Occupied(known) => {
                    leaf.kind = LeafKind::HardLink(*known.get());
                    leaf.attributes = Box::default();
                }
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
