//! Carrying out a plan, in parallel.
//!
//! # Why a killed restore leaves nothing half done
//!
//! - A file that takes a place in a directory which exists is written under a temporary name beside
//!   it and renamed over whatever has the name, after its contents were verified: at any instant
//!   the name stands for the old file, for nothing, or for the whole new one.
//! - A directory that is missing is built under a temporary name, files and all, gets its mode and
//!   time last, and is renamed when everything in it is there. Below it nobody looks before that,
//!   so files go to their names directly.
//! - Names that have to go are removed only after everything else succeeded.
//!
//! # Order
//!
//! Contents to check, files, links, times of new directories, renames, removals, times of existing
//! directories: each step changes times that only later steps set. Temporary names of a killed
//! restore are removed by a later one.

mod check;
mod dirs;
mod files;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::cursor::Open;
use super::manifest::Manifest;
use super::plan::{DirTask, Plan};
use super::{Cursor, DirId, LeafId, LeafKind, Roots, Tree};
use crate::error::{Error, IoContext, Result};
use crate::fs::{Dir, TempName, files as whole, set_mode};
use crate::monitor::Monitor;
use crate::workers;

/// What one thread writes at most before it looks for more, in bytes.
const LARGEST_SHARE: u64 = 2 << 20;
/// What it writes at least.
const SMALLEST_SHARE: u64 = 64 << 10;
/// How many shares each thread gets if all is divided evenly, so that none waits long for the
/// others at the end.
const SHARES_PER_THREAD: u64 = 8;
/// Making a file takes about as long as writing this many bytes.
const BYTES_PER_FILE: u64 = 32 << 10;

/// A stretch of a file of the store that holds contents of one or more files, read in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The file of the store.
    pub path: Arc<Path>,
    /// Where the stretch begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// The files whose contents it holds, by offset.
    pub items: Vec<BatchItem>,
}

/// The contents of one file in a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem {
    /// The file.
    pub leaf: LeafId,
    /// Where its data begins, in bytes from the start of the batch.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files written, empty ones and symlinks counted.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Directories made.
    pub directories: u64,
    /// Files whose contents turned out to be right when they were read.
    pub confirmed: u64,
    /// Bytes in them.
    pub confirmed_bytes: u64,
    /// Files that only got another time, mode or attributes.
    pub metadata_set: u64,
    /// Names removed, with everything below them counted.
    pub removed: u64,
    /// Files of which an extended attribute could not be set.
    pub without_attributes: u64,
}

/// How a plan is carried out.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions {
    /// Whether contents are compared with their digests while they are written.
    pub verify: bool,
}

/// Brings the directories at `places` into the state that `manifest` describes by doing what `plan`
/// says.
///
/// `locate` finds where the store keeps the contents of files. When the store turns out to be
/// damaged, or anything else fails, what was built under temporary names is removed and the error
/// returned.
pub fn apply(
    manifest: &Manifest,
    plan: &Plan,
    places: &Roots,
    locate: &dyn Fn(&[LeafId]) -> Result<Vec<Batch>>,
    options: ApplyOptions,
    monitor: &dyn Monitor,
) -> Result<Applied> {
    let made = plan
        .dirs
        .iter()
        .zip(0..)
        .filter(|(task, _)| **task == DirTask::Create);
    let mut job = Applier {
        tree: &manifest.tree,
        plan: Cow::Borrowed(plan),
        places,
        options,
        monitor,
        temp_names: made.map(|(_, id)| (DirId(id), TempName::new())).collect(),
        made: plan.dirs.iter().map(|_| AtomicBool::new(false)).collect(),
        clone_fails: AtomicBool::new(false),
        counts: Counts::default(),
    };
    let result = job.check().and_then(|()| job.run(locate));
    if result.is_err() {
        job.remove_unfinished();
    }
    result.map(|()| job.counts.total())
}

struct Applier<'a> {
    tree: &'a Tree,
    plan: Cow<'a, Plan>,
    places: &'a Roots,
    options: ApplyOptions,
    monitor: &'a dyn Monitor,
    /// The names under which missing directories are built.
    temp_names: HashMap<DirId, TempName>,
    /// Which of them, and of those below, exist by now.
    made: Vec<AtomicBool>,
    /// Whether sharing blocks was tried and is not possible here.
    clone_fails: AtomicBool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    directories: AtomicU64,
    confirmed: AtomicU64,
    confirmed_bytes: AtomicU64,
    metadata_set: AtomicU64,
    removed: AtomicU64,
    without_attributes: AtomicU64,
}

impl Counts {
    fn total(&self) -> Applied {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Applied {
            files: value(&self.files),
            bytes: value(&self.bytes),
            directories: value(&self.directories),
            confirmed: value(&self.confirmed),
            confirmed_bytes: value(&self.confirmed_bytes),
            metadata_set: value(&self.metadata_set),
            removed: value(&self.removed),
            without_attributes: value(&self.without_attributes),
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

impl<'a> Applier<'a> {
    fn run(&self, locate: &dyn Fn(&[LeafId]) -> Result<Vec<Batch>>) -> Result<()> {
        self.make_room_for_roots()?;
        let batches = locate(&self.plan.write)?;
        workers::for_each_in_order(
            &shares(&batches, rayon::current_num_threads() as u64),
            || files::FileWriter::new(self),
            |writer, share| share.iter().try_for_each(|batch| writer.write_batch(batch)),
        )?;
        self.for_each_leaf(&self.plan.create, |writer, leaf| writer.make(leaf))?;
        self.for_each_leaf(&self.plan.set_metadata, |writer, leaf| writer.touch(leaf))?;
        // Both ends of a link must exist, and there are few of them.
        let mut writer = files::FileWriter::new(self);
        self.plan
            .link
            .iter()
            .try_for_each(|leaf| writer.link(*leaf))?;
        dirs::finish(self)
    }

    /// Reads the files that may be right. Those that are not are written like any other.
    fn check(&mut self) -> Result<()> {
        let differing = Mutex::<Vec<LeafId>>::default();
        self.for_each_leaf(&self.plan.check, |writer, leaf| {
            if writer.check(leaf)? {
                add(&self.counts.confirmed, 1);
                add(&self.counts.confirmed_bytes, file_size(self.tree, leaf));
            } else {
                workers::lock(&differing).push(leaf);
            }
            Ok(())
        })?;
        let differing = workers::into_inner(differing);
        if !differing.is_empty() {
            self.plan = Cow::Owned(self.plan.with_differing(self.tree, differing));
        }
        Ok(())
    }

    fn for_each_leaf<'j>(
        &'j self,
        leaves: &[LeafId],
        act: impl Fn(&mut files::FileWriter<'j, 'a>, LeafId) -> Result<()> + Sync,
    ) -> Result<()> {
        let chunks: Vec<&[LeafId]> = leaves.chunks(64).collect();
        workers::for_each_in_order(
            &chunks,
            || files::FileWriter::new(self),
            |writer, chunk| {
                self.go_on()?;
                chunk.iter().try_for_each(|leaf| act(writer, *leaf))
            },
        )
    }

    /// The directories that missing roots stand in.
    fn make_room_for_roots(&self) -> Result<()> {
        let roots = self.tree.dirs_in(Tree::TOP).map(|(_, dir)| &dir.name);
        for root in roots.chain(self.tree.leaves_in(Tree::TOP).map(|(_, leaf)| &leaf.name)) {
            if let Some(parent) = self.places.path(root)?.parent() {
                whole::create_dir_all(parent)?;
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        if self.monitor.is_interrupted() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    fn cursor(&self) -> Cursor<'_, Building<'_, 'a>> {
        Cursor::with(self.tree, self.places, Building(self))
    }

    fn task(&self, dir: DirId) -> DirTask {
        self.plan.dirs[dir.index()]
    }

    fn remove_unfinished(&self) {
        let mut cursor = Cursor::new(self.tree, self.places);
        for (dir, temp) in &self.temp_names {
            if let Ok((parent, _)) = cursor.enter_parent_of_dir(*dir) {
                // A later restore gets rid of what stays.
                drop(crate::fs::remove_child(parent, temp.as_bytes()));
            }
        }
    }
}

/// Divides batches among threads: neighbours stay together, as their files often lie in the same
/// directories.
fn shares(mut batches: &[Batch], threads: u64) -> Vec<&[Batch]> {
    let work = |batch: &Batch| {
        batch
            .length
            .saturating_add(batch.items.len() as u64 * BYTES_PER_FILE)
    };
    let all = batches
        .iter()
        .fold(0, |sum: u64, batch| sum.saturating_add(work(batch)));
    let share = (all / (threads * SHARES_PER_THREAD).max(1)).clamp(SMALLEST_SHARE, LARGEST_SHARE);
    let mut shares = Vec::new();
    while !batches.is_empty() {
        let mut taken: u64 = 0;
        let fits = |batch: &&Batch| {
            let has_room = taken < share;
            taken = taken.saturating_add(work(batch));
            has_room
        };
        let (share, rest) = batches.split_at(batches.iter().take_while(fits).count());
        shares.push(share);
        batches = rest;
    }
    shares
}

fn file_size(tree: &Tree, leaf: LeafId) -> u64 {
    match &tree[leaf].kind {
        LeafKind::File(file) => file.size,
        LeafKind::Symlink(_) | LeafKind::HardLink(_) => 0,
    }
}

/// Opens directories while they are being built, making those that are missing.
struct Building<'j, 'a>(&'j Applier<'a>);

impl Open for Building<'_, '_> {
    fn open(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir> {
        match self.0.task(dir) {
            DirTask::Leave => parent.open_dir(name),
            DirTask::Update { .. } => {
                let opened = parent.open_dir(name)?;
                let mode = opened.stat()?.mode;
                if mode & 0o300 != 0o300 {
                    set_mode(&opened, mode | 0o700)?;
                }
                Ok(opened)
            }
            DirTask::Create => self.make(
                parent,
                self.0.temp_names.get(&dir).map_or(name, TempName::as_bytes),
                dir,
            ),
            DirTask::CreateBelow => self.make(parent, name, dir),
        }
    }
}

impl Building<'_, '_> {
    fn make(&self, parent: &Dir, name: &[u8], dir: DirId) -> io::Result<Dir> {
        let made = &self.0.made[dir.index()];
        if !made.load(Ordering::Relaxed) {
            match parent.create_dir(name) {
                Ok(()) => add(&self.0.counts.directories, 1),
                // Made by another thread just now.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            made.store(true, Ordering::Relaxed);
        }
        parent.open_dir(name)
    }
}

/// Gives the thing under a temporary name its own, whatever has that name.
///
/// Where there is one already, the two change places before the old one is removed. That is
/// possible whatever the two are, and does not wait for the disk: a rename over a file makes ext4
/// write out the new one first (`auto_da_alloc` in ext4(5)).
fn put_in_place(dir: &Dir, temp: &[u8], name: &[u8]) -> io::Result<()> {
    match dir.exchange(temp, name) {
        Ok(true) => crate::fs::remove_child(dir, temp).map(drop),
        Ok(false) => rename_over(dir, temp, name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => dir.rename(temp, name),
        Err(error) => Err(error),
    }
}

/// The same by plain renames, with a moment in which a directory in the way has no successor yet.
fn rename_over(dir: &Dir, temp: &[u8], name: &[u8]) -> io::Result<()> {
    match dir.rename(temp, name) {
        Ok(()) => Ok(()),
        // A directory where a file belongs, a file where a directory belongs, a directory that is
        // not empty.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::AlreadyExists
            ) =>
        {
            let old = TempName::new();
            dir.rename(name, old.as_bytes())?;
            dir.rename(temp, name)?;
            crate::fs::remove_child(dir, old.as_bytes()).map(drop)
        }
        Err(error) => Err(error),
    }
}

fn at<T>(
    result: io::Result<T>,
    action: &'static str,
    job: &Applier<'_>,
    leaf: LeafId,
) -> Result<T> {
    result.context(action, || job.places.leaf_path(job.tree, leaf))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Puts a file and a directory where nothing, a file, a symlink or a filled directory is.
    fn takes_any_place(put: fn(&Dir, &[u8], &[u8]) -> io::Result<()>) {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        let dir = Dir::open(top.path()).unwrap();
        for new_is_directory in [false, true] {
            for old in ["nothing", "file", "symlink", "directory"] {
                match old {
                    "file" => fs::write(at("name"), "old").unwrap(),
                    "symlink" => std::os::unix::fs::symlink("/nowhere", at("name")).unwrap(),
                    "directory" => fs::create_dir_all(at("name/below/deep")).unwrap(),
                    _ => {}
                }
                if new_is_directory {
                    fs::create_dir(at("temp")).unwrap();
                    fs::write(at("temp/file"), "new").unwrap();
                } else {
                    fs::write(at("temp"), "new").unwrap();
                }
                put(&dir, b"temp", b"name").unwrap();
                let file = if new_is_directory {
                    "name/file"
                } else {
                    "name"
                };
                assert_eq!(fs::read(at(file)).unwrap(), b"new", "over {old}");
                assert_eq!(dir.list().unwrap().len(), 1, "over {old}");
                crate::fs::remove_child(&dir, b"name").unwrap();
            }
        }
    }

    #[test]
    fn little_work_is_divided_finely_and_much_of_it_coarsely() {
        let batch = |length| Batch {
            path: Path::new("/pack").into(),
            offset: 0,
            length,
            items: vec![BatchItem {
                leaf: LeafId(0),
                start: 0,
                length,
            }],
        };
        let lengths = |count: usize, length: u64| -> Vec<usize> {
            let batches = vec![batch(length); count];
            let shares = shares(&batches, 2);
            assert_eq!(shares.concat(), batches);
            shares.iter().map(|share| share.len()).collect()
        };
        assert_eq!(lengths(3, 10), [2, 1]);
        assert_eq!(lengths(160, SMALLEST_SHARE).len(), 16);
        assert_eq!(lengths(1000, LARGEST_SHARE), vec![1; 1000]);
        assert!(lengths(0, 0).is_empty());
    }

    #[test]
    fn what_is_whole_takes_its_place_whatever_is_there() {
        takes_any_place(put_in_place);
    }

    #[test]
    fn what_is_whole_takes_its_place_where_names_can_not_be_exchanged() {
        takes_any_place(rename_over);
    }
}
