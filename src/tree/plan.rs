//! What has to be done to a directory so that it is as a manifest says (pure).
//!
//! What is right is left untouched. A file is right when size, modification time, mode and links
//! are, and it is untouched since it was last seen to be right ([`RootStamps::untouched`]); any
//! other one of the right size is read, and only written when its digest is another one. A
//! directory that keeps names which the manifest does not have also keeps its own modification
//! time: they changed it.

use std::collections::HashSet;

use super::compare::{match_dirs, resolve_hard_link};
use super::manifest::Manifest;
use super::scan::{ExtraneousName, Scan};
use super::{DirId, FileData, Leaf, LeafId, LeafKind, Tree};
use serde::{Deserialize, Serialize};

use crate::fs::Stat;
use crate::tree::stamps::RootStamps;

/// What to do with names that the manifest does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extraneous {
    /// They stay.
    Keep,
    /// They go, so that afterwards the directory is just what the manifest says.
    Remove,
}

impl Extraneous {
    /// The policy for the option `mirror`.
    pub fn for_mirror(mirror: bool) -> Self {
        if mirror { Self::Remove } else { Self::Keep }
    }
}

/// What has to be done. Numbers are those of the manifest's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What each directory needs.
    pub dirs: Vec<DirTask>,
    /// Files with data, to be written.
    pub write: Vec<LeafId>,
    /// Files that may be right: the digest decides.
    pub check: Vec<LeafId>,
    /// Empty files and symlinks, to be made.
    pub create: Vec<LeafId>,
    /// Further names of files, to be linked.
    pub link: Vec<LeafId>,
    /// Leaves whose contents are right, but not their mode, time or attributes.
    pub set_metadata: Vec<LeafId>,
    /// Names to be removed, in directories of the manifest.
    pub remove: Vec<ExtraneousName>,
    /// Names that killed restores left behind.
    pub stale_temps: Vec<ExtraneousName>,
    /// Directories that keep names which the manifest does not have, and so their own modification
    /// times.
    pub dirs_with_extraneous: HashSet<DirId>,
    /// How many leaves are right already.
    pub up_to_date: u64,
    /// Bytes in them.
    pub up_to_date_bytes: u64,
}

/// What a directory needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirTask {
    /// Nothing: it exists and is right.
    Leave,
    /// It exists; names in it, or what is known of itself, change.
    Update {
        /// Whether it gets the manifest's modification time afterwards.
        set_mtime: bool,
    },
    /// It has to be made in a directory that exists.
    Create,
    /// It has to be made in a directory that has to be made too.
    CreateBelow,
}

impl DirTask {
    /// Whether the directory does not exist yet.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Create | Self::CreateBelow)
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.dirs.iter().all(|task| *task == DirTask::Leave)
            && [
                &self.write,
                &self.check,
                &self.create,
                &self.link,
                &self.set_metadata,
            ]
            .iter()
            .all(|list| list.is_empty())
            && self.remove.is_empty()
            && self.stale_temps.is_empty()
    }

    /// The plan when some of the files to check turned out to differ: they are written, their
    /// further names linked to what is written, and the directories of both change.
    #[must_use]
    pub fn with_differing(&self, tree: &Tree, differing: Vec<LeafId>) -> Self {
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
        let has_data = |id: &LeafId| {
            matches!(
                &tree[*id].kind,
                LeafKind::File(FileData {
                    content: Some(_),
                    ..
                })
            )
        };
        let (write, make): (Vec<_>, Vec<_>) = differing.into_iter().partition(has_data);
        plan.write.extend(write);
        plan.create.extend(make);
        plan
    }

    /// Notes that a directory, or the names in it, change.
    fn mark_changed(&mut self, dir: DirId) {
        let set_mtime = !self.dirs_with_extraneous.contains(&dir);
        match &mut self.dirs[dir.index()] {
            task @ DirTask::Leave if dir != Tree::TOP => *task = DirTask::Update { set_mtime },
            _ => {}
        }
    }
}

/// Compares what is there, scanned with the manifest's tree as its guide, with the manifest. `seen`
/// says when the roots were last known to be as the manifest says.
pub fn plan(manifest: &Manifest, present: &Scan, seen: &RootStamps, extras: Extraneous) -> Plan {
    let tree = &manifest.tree;
    let matched = match_dirs(tree, &present.tree);
    let mut planner = Planner {
        manifest,
        present,
        untouched: seen.untouched(present),
        links: link_counts(tree),
        plan: Plan {
            dirs: vec![DirTask::Leave; tree.dirs().len()],
            ..Plan::default()
        },
    };
    planner.extra_names(&matched, extras);
    planner.dirs(&matched);
    for dir in std::iter::once(Tree::TOP).chain(tree.dir_ids()) {
        for (id, _) in tree.leaves_in(dir) {
            planner.leaf(dir, id, matched[dir.index()]);
        }
    }
    planner.plan
}

struct Planner<'a> {
    manifest: &'a Manifest,
    present: &'a Scan,
    /// Which leaves of `present` are as they were when they were last seen to be right.
    untouched: Vec<bool>,
    /// How many names each file has.
    links: Vec<u32>,
    plan: Plan,
}

/// How a leaf compares with what is there.
#[derive(Clone, Copy)]
enum LeafVerdict {
    UpToDate,
    SetMetadata,
    Check,
    Replace,
}

impl Planner<'_> {
    fn extra_names(&mut self, matched: &[Option<DirId>], extras: Extraneous) {
        let mut back = vec![None; self.present.tree.dirs().len()];
        for (id, here) in (0..).map(DirId).zip(matched) {
            if let Some(here) = here {
                back[here.index()] = Some(id);
            }
        }
        let ours = |extra: &ExtraneousName| {
            let parent = back[extra.parent.index()]?;
            Some(ExtraneousName {
                parent,
                name: extra.name.clone(),
            })
        };
        self.plan.stale_temps = self.present.stale_temps.iter().filter_map(ours).collect();
        match extras {
            Extraneous::Remove => {
                self.plan.remove = self.present.extraneous.iter().filter_map(ours).collect()
            }
            Extraneous::Keep => {
                self.plan.dirs_with_extraneous = self
                    .present
                    .extraneous
                    .iter()
                    .filter_map(ours)
                    .map(|extra| extra.parent)
                    .collect();
            }
        }
        let changed: Vec<_> = self
            .plan
            .remove
            .iter()
            .chain(&self.plan.stale_temps)
            .map(|extra| extra.parent)
            .collect();
        changed
            .into_iter()
            .for_each(|dir| self.plan.mark_changed(dir));
    }

    fn dirs(&mut self, matched: &[Option<DirId>]) {
        let tree = &self.manifest.tree;
        for id in tree.dir_ids() {
            let dir = &tree[id];
            match matched[id.index()].map(|here| &self.present.tree[here]) {
                Some(found) => {
                    let right_time =
                        dir.mtime == found.mtime || self.plan.dirs_with_extraneous.contains(&id);
                    if dir.mode != found.mode || dir.attributes != found.attributes || !right_time {
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

    fn leaf(&mut self, dir: DirId, id: LeafId, here: Option<DirId>) {
        let leaf = &self.manifest.tree[id];
        let found = here.and_then(|here| self.present.tree.find_leaf(here, &leaf.name));
        let verdict = found.map_or(LeafVerdict::Replace, |found| self.judge(id, found));
        match (verdict, &leaf.kind) {
            (LeafVerdict::UpToDate, kind) => {
                self.plan.up_to_date += 1;
                if let LeafKind::File(file) = kind {
                    self.plan.up_to_date_bytes =
                        self.plan.up_to_date_bytes.saturating_add(file.size);
                }
                return;
            }
            // Neither changes the directory's own time.
            (LeafVerdict::SetMetadata, _) => return self.plan.set_metadata.push(id),
            (LeafVerdict::Check, _) => return self.plan.check.push(id),
            (
                LeafVerdict::Replace,
                LeafKind::File(FileData {
                    content: Some(_), ..
                }),
            ) => self.plan.write.push(id),
            (LeafVerdict::Replace, LeafKind::File(_) | LeafKind::Symlink(_)) => {
                self.plan.create.push(id)
            }
            (LeafVerdict::Replace, LeafKind::HardLink(_)) => self.plan.link.push(id),
        }
        self.plan.mark_changed(dir);
    }

    fn judge(&self, id: LeafId, found: LeafId) -> LeafVerdict {
        let (leaf, present) = (&self.manifest.tree[id], &self.present.tree[found]);
        match (&leaf.kind, &present.kind) {
            (LeafKind::Symlink(target), LeafKind::Symlink(link)) if target == link => {
                match leaf.mtime == present.mtime {
                    true => LeafVerdict::UpToDate,
                    false if self.may_touch(found) => LeafVerdict::SetMetadata,
                    false => LeafVerdict::Replace,
                }
            }
            (LeafKind::HardLink(first), _) => self.judge_link(*first, found),
            (LeafKind::File(wanted), LeafKind::File(_) | LeafKind::HardLink(_)) => {
                let same_size = wanted.size == self.present.stats[found.index()].size;
                if !same_size || !self.has_its_links(id, found) {
                    return LeafVerdict::Replace;
                }
                let untouched = self.untouched[found.index()];
                match judge_file(
                    leaf,
                    wanted,
                    resolve_hard_link(&self.present.tree, found),
                    untouched,
                ) {
                    LeafVerdict::SetMetadata if !self.may_touch(found) => LeafVerdict::Replace,
                    verdict => verdict,
                }
            }
            _ => LeafVerdict::Replace,
        }
    }

    /// Whether a leaf can be opened, and its mode and time be set: only by its owner.
    fn may_touch(&self, found: LeafId) -> bool {
        let Stat { mode, uid, .. } = self.present.stats[found.index()];
        self.present.uid == 0 || (uid == self.present.uid && mode & 0o400 != 0)
    }

    /// Whether a file has as many names as it should, so that none lies outside the tree.
    fn has_its_links(&self, id: LeafId, found: LeafId) -> bool {
        self.present.stats[found.index()].links == u64::from(self.links[id.index()])
    }

    /// A further name is right when it is one of the very file that the first name is, and that one
    /// stays.
    fn judge_link(&self, first: LeafId, found: LeafId) -> LeafVerdict {
        let Some(file) = self.find_present(first) else {
            return LeafVerdict::Replace;
        };
        let (one, other) = (
            &self.present.stats[file.index()],
            &self.present.stats[found.index()],
        );
        let same = (one.device, one.inode) == (other.device, other.inode);
        if same && !matches!(self.judge(first, file), LeafVerdict::Replace) {
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

/// How a file of the right size compares with the one that is there.
fn judge_file(leaf: &Leaf, wanted: &FileData, found: &Leaf, untouched: bool) -> LeafVerdict {
    if leaf.mtime == found.mtime && (untouched || wanted.size == 0) {
        let right = leaf.mode == found.mode && leaf.attributes == found.attributes;
        return if right {
            LeafVerdict::UpToDate
        } else {
            LeafVerdict::SetMetadata
        };
    }
    if wanted.size == 0 {
        LeafVerdict::SetMetadata
    } else {
        LeafVerdict::Check
    }
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
