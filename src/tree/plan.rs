//! Decides how to bring a directory into the state of a manifest (pure).
//!
//! What is up to date is left alone. A file is up to date if its size, mtime, mode and links match
//! and if its stamp ([`super::stamp`]) says that it did not change since it matched. Any other file
//! of the right size is read, and written only if its digest differs. A directory that keeps
//! extraneous names also keeps its own mtime, because they changed it.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::compare::{first_name, match_dirs};
use super::manifest::Manifest;
use super::model::{DirId, Directory, FileData, Leaf, LeafId, LeafKind, Tree};
use super::scan::{ExtraneousName, Scan};
use super::stamp::Stamp;

/// What to do with names that the manifest does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extraneous {
    Keep,
    /// Make the directory an exact copy of the manifest.
    Remove,
}

impl Extraneous {
    /// The policy for the option `mirror`.
    pub(crate) fn for_mirror(mirror: bool) -> Self {
        if mirror { Self::Remove } else { Self::Keep }
    }
}

/// What to do. All ids refer to the manifest's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One task for each directory.
    pub dirs: Vec<DirTask>,
    /// Files with data, to be written.
    pub write: Vec<LeafId>,
    /// Files that may be up to date; their digests decide.
    pub check: Vec<LeafId>,
    /// Files without data and symlinks, to be created.
    pub create: Vec<LeafId>,
    /// Hard links to be created.
    pub link: Vec<LeafId>,
    /// Leaves with the right contents but another mode, time or attributes.
    pub set_metadata: Vec<LeafId>,
    /// Names to be removed from directories of the manifest.
    pub remove: Vec<ExtraneousName>,
    /// Temporary names of killed restores, to be removed.
    pub stale_temps: Vec<ExtraneousName>,
    /// Directories that keep extraneous names, and therefore their own mtime.
    pub dirs_with_extraneous: HashSet<DirId>,
    /// How many leaves are up to date.
    pub up_to_date: u64,
    /// The total size of the files that are up to date.
    pub up_to_date_bytes: u64,
}

/// What to do with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirTask {
    /// Nothing: it is up to date.
    Leave,
    /// Set its metadata after the names in it changed.
    Update {
        /// Whether that includes its mtime.
        set_mtime: bool,
    },
    /// Create it in an existing directory.
    Create,
    /// Create it in a directory that is created too.
    CreateBelow,
}

impl DirTask {
    /// Whether the directory does not exist yet.
    pub(crate) fn is_missing(self) -> bool {
        matches!(self, Self::Create | Self::CreateBelow)
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let leaves = [
            &self.write,
            &self.check,
            &self.create,
            &self.link,
            &self.set_metadata,
        ];
        self.dirs.iter().all(|task| *task == DirTask::Leave)
            && leaves.iter().all(|list| list.is_empty())
            && self.remove.is_empty()
            && self.stale_temps.is_empty()
    }

    /// The plan after some of the files to check turned out to differ: they are written, and so are
    /// the hard links to them.
    #[must_use]
    pub(crate) fn with_differing(&self, tree: &Tree, differing: Vec<LeafId>) -> Self {
        let mut plan = self.clone();
        let is_differing: HashSet<LeafId> = differing.iter().copied().collect();
        let is_linked: HashSet<LeafId> = self.link.iter().copied().collect();
        for (id, leaf) in tree.leaf_ids().zip(tree.leaves()) {
            match leaf.kind {
                LeafKind::HardLink(first)
                    if is_differing.contains(&first) && !is_linked.contains(&id) =>
                {
                    plan.link.push(id);
                }
                LeafKind::File(_) if is_differing.contains(&id) => {}
                _ => continue,
            }
            plan.mark_changed(leaf.parent);
        }
        plan.check.retain(|id| !is_differing.contains(id));
        let (write, create): (Vec<_>, Vec<_>) = differing
            .into_iter()
            .partition(|id| has_data(&tree[*id].kind));
        plan.write.extend(write);
        plan.create.extend(create);
        plan
    }

    /// Lets an existing directory be updated, because it or a name in it changes.
    fn mark_changed(&mut self, dir: DirId) {
        let set_mtime = !self.dirs_with_extraneous.contains(&dir);
        match &mut self.dirs[dir.index()] {
            task @ DirTask::Leave if dir != Tree::TOP => *task = DirTask::Update { set_mtime },
            _ => {}
        }
    }
}

/// Compares a manifest with a scan that had the manifest's tree as its guide.
pub fn plan(manifest: &Manifest, present: &Scan, stamp: &Stamp, extraneous: Extraneous) -> Plan {
    let tree = &manifest.tree;
    let matched = match_dirs(tree, &present.tree);
    let mut planner = Planner {
        manifest,
        present,
        stamp,
        links: link_counts(tree),
        names_on_disk: names_on_disk(present),
        plan: Plan {
            dirs: vec![DirTask::Leave; tree.dirs().len()],
            ..Plan::default()
        },
    };
    // Extraneous names first: whether a directory keeps some decides about its mtime.
    planner.plan_extraneous(&matched, extraneous);
    planner.plan_dirs(&matched);
    for dir in std::iter::once(Tree::TOP).chain(tree.dir_ids()) {
        for (id, _) in tree.leaves_in(dir) {
            planner.plan_leaf(id, matched[dir.index()]);
        }
    }
    planner.plan
}

struct Planner<'a> {
    manifest: &'a Manifest,
    present: &'a Scan,
    stamp: &'a Stamp,
    /// How many names each file of the manifest has.
    links: Vec<u32>,
    /// How many names in the tree the files on disk have that have several.
    names_on_disk: HashMap<(u64, u64), u32>,
    plan: Plan,
}

/// For each of the `count` directories on disk, the directory of the manifest that matches it.
fn invert(matched: &[Option<DirId>], count: usize) -> Vec<Option<DirId>> {
    let mut in_manifest = vec![None; count];
    for (id, present) in (0..).map(DirId).zip(matched) {
        if let Some(present) = present {
            in_manifest[present.index()] = Some(id);
        }
    }
    in_manifest
}

/// How a leaf on disk compares with the manifest.
#[derive(Clone, Copy)]
enum LeafVerdict {
    UpToDate,
    SetMetadata,
    Check,
    Replace,
}

impl Planner<'_> {
    fn plan_extraneous(&mut self, matched: &[Option<DirId>], extraneous: Extraneous) {
        let in_manifest = invert(matched, self.present.tree.dirs().len());
        let translate = |found: &ExtraneousName| {
            Some(ExtraneousName {
                parent: in_manifest[found.parent.index()]?,
                name: found.name.clone(),
            })
        };
        let stale_temps = self.present.stale_temps.iter().filter_map(translate);
        self.plan.stale_temps = stale_temps.collect();
        let names = self.present.extraneous.iter().filter_map(translate);
        match extraneous {
            Extraneous::Remove => self.plan.remove = names.collect(),
            Extraneous::Keep => {
                self.plan.dirs_with_extraneous = names.map(|name| name.parent).collect();
            }
        }
        self.mark_removals();
    }

    fn mark_removals(&mut self) {
        let removed = self.plan.remove.iter().chain(&self.plan.stale_temps);
        let changed: Vec<_> = removed.map(|name| name.parent).collect();
        changed
            .into_iter()
            .for_each(|dir| self.plan.mark_changed(dir));
    }

    fn plan_dirs(&mut self, matched: &[Option<DirId>]) {
        let tree = &self.manifest.tree;
        for id in tree.dir_ids() {
            let dir = &tree[id];
            match matched[id.index()].map(|present| &self.present.tree[present]) {
                Some(present) => {
                    if self.has_other_metadata(id, present) {
                        self.plan.mark_changed(id);
                    }
                }
                None if self.plan.dirs[dir.parent.index()].is_missing() => {
                    self.plan.dirs[id.index()] = DirTask::CreateBelow;
                }
                None => {
                    self.plan.dirs[id.index()] = DirTask::Create;
                    self.plan.mark_changed(dir.parent);
                }
            }
        }
    }

    fn has_other_metadata(&self, id: DirId, present: &Directory) -> bool {
        let dir = &self.manifest.tree[id];
        let is_mtime_right =
            dir.mtime == present.mtime || self.plan.dirs_with_extraneous.contains(&id);
        !is_mtime_right || dir.mode != present.mode || dir.attributes != present.attributes
    }

    /// Compares a leaf with the one of the same name in the scan's directory `present_dir`.
    fn plan_leaf(&mut self, id: LeafId, present_dir: Option<DirId>) {
        let leaf = &self.manifest.tree[id];
        let present = present_dir.and_then(|dir| self.present.tree.find_leaf(dir, &leaf.name));
        match present.map_or(LeafVerdict::Replace, |present| self.judge(id, present)) {
            LeafVerdict::UpToDate => {
                self.plan.up_to_date += 1;
                if let LeafKind::File(file) = &leaf.kind {
                    self.plan.up_to_date_bytes =
                        self.plan.up_to_date_bytes.saturating_add(file.size);
                }
            }
            // Neither of these two changes the mtime of the directory.
            LeafVerdict::SetMetadata => self.plan.set_metadata.push(id),
            LeafVerdict::Check => self.plan.check.push(id),
            LeafVerdict::Replace => self.plan_replacement(id),
        }
    }

    fn plan_replacement(&mut self, id: LeafId) {
        let leaf = &self.manifest.tree[id];
        match &leaf.kind {
            LeafKind::HardLink(_) => self.plan.link.push(id),
            kind if has_data(kind) => self.plan.write.push(id),
            _ => self.plan.create.push(id),
        }
        self.plan.mark_changed(leaf.parent);
    }

    fn judge(&self, id: LeafId, present: LeafId) -> LeafVerdict {
        let leaf = &self.manifest.tree[id];
        match (&leaf.kind, &self.present.tree[present].kind) {
            (LeafKind::Symlink(wanted), LeafKind::Symlink(target)) if wanted == target => {
                match leaf.mtime == self.present.tree[present].mtime {
                    true => LeafVerdict::UpToDate,
                    false if self.may_set_metadata(present) => LeafVerdict::SetMetadata,
                    false => LeafVerdict::Replace,
                }
            }
            (LeafKind::HardLink(first), _) => self.judge_link(*first, present),
            (LeafKind::File(wanted), LeafKind::File(_) | LeafKind::HardLink(_)) => {
                self.judge_file(id, wanted, present)
            }
            _ => LeafVerdict::Replace,
        }
    }

    fn judge_file(&self, id: LeafId, wanted: &FileData, present: LeafId) -> LeafVerdict {
        let is_same_size = wanted.size == self.present.stats[present.index()].size;
        if !is_same_size || !self.has_its_links(id, present) {
            return LeafVerdict::Replace;
        }
        let leaf = &self.manifest.tree[id];
        let file = &self.present.tree[first_name(&self.present.tree, present)];
        let is_unchanged = leaf.mtime == file.mtime
            && (self.stamp).is_unchanged(id, &self.present.stats[present.index()]);
        if !is_unchanged && wanted.size > 0 {
            return LeafVerdict::Check;
        }
        if leaf.mtime == file.mtime && leaf.mode == file.mode && leaf.attributes == file.attributes
        {
            LeafVerdict::UpToDate
        } else if self.may_set_metadata(present) {
            LeafVerdict::SetMetadata
        } else {
            LeafVerdict::Replace
        }
    }

    /// Whether this user may open a leaf and set its mode and time, which only its owner may.
    fn may_set_metadata(&self, present: LeafId) -> bool {
        let uid = self.present.stats[present.index()].uid;
        let mode = self.present.tree[first_name(&self.present.tree, present)].mode;
        self.present.uid == 0 || (uid == self.present.uid && mode & 0o400 != 0)
    }

    /// Whether a file has as many names as in the manifest, and none outside of the tree, where a
    /// change of the file would be seen too.
    fn has_its_links(&self, id: LeafId, present: LeafId) -> bool {
        let stat = &self.present.stats[present.index()];
        let in_tree = self.names_on_disk.get(&(stat.device, stat.inode));
        stat.links == self.links[id.index()] && (stat.links == 1 || in_tree == Some(&stat.links))
    }

    /// A hard link is up to date if it has the inode of the file's first name, and that one stays.
    fn judge_link(&self, first: LeafId, present: LeafId) -> LeafVerdict {
        let Some(present_first) = self.find_present(first) else {
            return LeafVerdict::Replace;
        };
        let a = &self.present.stats[present_first.index()];
        let b = &self.present.stats[present.index()];
        let is_same_file = (a.device, a.inode) == (b.device, b.inode);
        if is_same_file && !matches!(self.judge(first, present_first), LeafVerdict::Replace) {
            LeafVerdict::UpToDate
        } else {
            LeafVerdict::Replace
        }
    }

    fn find_present(&self, id: LeafId) -> Option<LeafId> {
        let tree = &self.manifest.tree;
        let mut dir = Tree::TOP;
        for name in tree.dir_names(tree[id].parent) {
            dir = self.present.tree.find_dir(dir, name)?;
        }
        self.present.tree.find_leaf(dir, &tree[id].name)
    }
}

fn has_data(kind: &LeafKind) -> bool {
    matches!(
        kind,
        LeafKind::File(FileData {
            content: Some(_),
            ..
        })
    )
}

fn names_on_disk(present: &Scan) -> HashMap<(u64, u64), u32> {
    let mut names = HashMap::new();
    for stat in present.stats.iter().filter(|stat| stat.links > 1) {
        *names.entry((stat.device, stat.inode)).or_default() += 1;
    }
    names
}

fn link_counts(tree: &Tree) -> Vec<u32> {
    let mut counts = vec![1; tree.leaves().len()];
    for Leaf { kind, .. } in tree.leaves() {
        if let LeafKind::HardLink(first) = kind {
            counts[first.index()] += 1;
        }
    }
    counts
}
