//! Which times are replayed (pure).

use std::collections::BTreeSet;

use crate::cargo::mtimes::LATER;
use crate::cargo::mtimes::effective_mtime::{MtimeFloor, ReplayMark};
use crate::cargo::mtimes::match_dirs::{KnownRecord, RecordMatch, RecordMatches};
use crate::cargo::mtimes::missing_files::manifests_of_losers;
use crate::cargo::mtimes::source_roots::{SourceRoots, is_named};
use crate::digest::Digest;
use crate::fs::Timestamp;
use crate::tree::manifest::Manifest;
use crate::tree::scan::Scan;
use crate::tree::set_mtimes::MtimeChange;
use crate::tree::{DirId, Leaf, LeafId, LeafKind, Tree};

/// The sources as they are now.
#[derive(Clone, Copy)]
pub struct CurrentSources<'a> {
    pub scan: &'a Scan,
    /// The digests of the files that [`to_read`] names, by the numbers of their leaves.
    pub digests: &'a [Option<Digest>],
    /// The times that an earlier step of the job replayed.
    pub given: Option<&'a ReplayMark>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decisions {
    pub leaves: Vec<(LeafId, MtimeChange)>,
    pub dirs: Vec<(DirId, MtimeChange)>,
    /// Files and symlinks that are the same, also those whose time is right already.
    pub same: u64,
    /// Files and symlinks that are not.
    pub different: u64,
    /// How many records vouch for nothing, because what the input `sources` names is different.
    pub distrusted: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MtimeVerdict {
    /// No record could know it.
    #[default]
    Unknown,
    Same(Timestamp),
    Different,
}

impl MtimeVerdict {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, verdict) | (verdict, Self::Unknown) => verdict,
            (Self::Same(one), Self::Same(other)) => Self::Same(one.max(other)),
            _ => Self::Different,
        }
    }

    /// The same, but not before a time.
    fn not_before(self, time: Option<Timestamp>) -> Self {
        match self {
            Self::Same(own) => Self::Same(time.map_or(own, |time| own.max(time))),
            other => other,
        }
    }
}

/// The files whose digests decide: all else of them is as the records say.
pub(crate) fn to_read(area: &SourceRoots, scan: &Scan, known: &[KnownRecord<'_>]) -> Vec<LeafId> {
    let mut wanted = BTreeSet::new();
    let is_filled =
        |id: LeafId| matches!(&scan.tree[id].kind, LeafKind::File(file) if file.size > 0);
    for id in scan
        .tree
        .leaf_ids()
        .filter(|id| is_in_named(&scan.tree, *id))
    {
        wanted.insert(resolved(&scan.tree, id));
    }
    let matches: Vec<RecordMatches<'_>> = known
        .iter()
        .map(|known| RecordMatches::new(area, &scan.tree, known))
        .collect();
    for id in scan.tree.leaf_ids() {
        let mut parties = matches
            .iter()
            .filter_map(|matches| matches.leaf(id))
            .peekable();
        let could_be = |(record, other): (&Tree, Option<LeafId>)| {
            other.is_some_and(|other| is_alike(&scan.tree, id, record, other))
        };
        if parties.peek().is_some() && parties.all(could_be) {
            wanted.insert(resolved(&scan.tree, id));
        }
    }
    // In an order that enters each directory once.
    scan.tree
        .leaf_ids_depth_first()
        .filter(|id| wanted.contains(id) && is_filled(*id))
        .collect()
}

/// Decides what becomes of the times of everything in the area.
pub fn decide(
    area: &SourceRoots,
    seen: CurrentSources<'_>,
    known: &[KnownRecord<'_>],
    now: Timestamp,
) -> Decisions {
    let tree = &seen.scan.tree;
    let MtimeVerdicts {
        leaves,
        dirs,
        distrusted,
    } = verdicts(area, seen, known);
    let mut decisions = Decisions {
        distrusted,
        ..Decisions::default()
    };
    let saved = known
        .iter()
        .map(|known| known.saved)
        .max()
        .unwrap_or_default();
    let renewed = now.max(saved.plus_milliseconds(LATER));
    let change = |verdict, modified: Timestamp| match verdict {
        MtimeVerdict::Same(time) if time != modified => Some(MtimeChange::To(time)),
        MtimeVerdict::Different if modified <= saved => Some(MtimeChange::Renew(renewed)),
        _ => None,
    };
    let elsewhere = with_names_elsewhere(seen.scan);
    for id in tree.leaf_ids_depth_first() {
        let verdict = leaves[id.index()];
        match verdict {
            MtimeVerdict::Unknown => continue,
            MtimeVerdict::Same(_) => decisions.same += 1,
            MtimeVerdict::Different => decisions.different += 1,
        }
        match change(verdict, tree[id].mtime) {
            Some(MtimeChange::To(_)) if elsewhere.contains(&id) => {}
            Some(change) => decisions.leaves.push((id, change)),
            None => {}
        }
    }
    let dir_change = |id: DirId| Some((id, change(dirs[id.index()], tree[id].mtime)?));
    decisions.dirs = tree.dir_ids().filter_map(dir_change).collect();
    decisions
}

/// What all records together say of each leaf and each directory, by their numbers.
struct MtimeVerdicts {
    leaves: Vec<MtimeVerdict>,
    dirs: Vec<MtimeVerdict>,
    /// How many records are not trusted.
    distrusted: usize,
}

fn verdicts(
    area: &SourceRoots,
    seen: CurrentSources<'_>,
    known: &[KnownRecord<'_>],
) -> MtimeVerdicts {
    let tree = &seen.scan.tree;
    let mut leaves = vec![MtimeVerdict::Unknown; tree.leaves().len()];
    let mut dirs = vec![MtimeVerdict::Unknown; tree.dirs().len()];
    let mut distrusted = 0;
    for known in known {
        let matches = RecordMatches::new(area, tree, known);
        let trusted = area
            .named()
            .all(|root| is_same_named(seen, known.record, root));
        distrusted += usize::from(!trusted);
        for id in tree.leaf_ids() {
            let Some((record, other)) = matches.leaf(id) else {
                continue;
            };
            let verdict = match other {
                Some(other) if trusted && is_same(seen, id, record, other) => {
                    MtimeVerdict::Same(record[resolved(record, other)].mtime)
                }
                _ => MtimeVerdict::Different,
            };
            let of = &mut leaves[resolved(tree, id).index()];
            *of = of.and(verdict);
        }
        for id in tree.dir_ids() {
            let verdict = match matches.dir(id) {
                RecordMatch::Stranger => continue,
                RecordMatch::In(other)
                    if trusted && has_same_names(tree, id, known.record, other) =>
                {
                    MtimeVerdict::Same(known.record.tree[other].mtime)
                }
                RecordMatch::In(_) | RecordMatch::Lacks => MtimeVerdict::Different,
            };
            dirs[id.index()] = dirs[id.index()].and(verdict);
        }
        for manifest in manifests_of_losers(tree, &matches) {
            leaves[resolved(tree, manifest).index()] = MtimeVerdict::Different;
        }
    }
    if let Some(given) = seen.given {
        let floors = MtimeFloor::new(seen.scan, given);
        for (id, verdict) in tree.leaf_ids().zip(&mut leaves) {
            *verdict = verdict.not_before(floors.of_leaf(id));
        }
        // The time of a directory around a target changes when that comes back.
        for id in tree
            .dir_ids()
            .filter(|id| !area.holds_skipped(&area.places().dir_path(tree, *id)))
        {
            let verdict = &mut dirs[id.index()];
            *verdict = verdict.not_before(floors.of_dir(id));
        }
    }
    MtimeVerdicts {
        leaves,
        dirs,
        distrusted,
    }
}

/// The leaf that describes the file that a leaf is a name of.
fn resolved(tree: &Tree, id: LeafId) -> LeafId {
    match tree[id].kind {
        LeafKind::HardLink(first) => first,
        LeafKind::File(_) | LeafKind::Symlink(_) => id,
    }
}

/// Whether two leaves are the same as far as can be told without their digests.
fn is_alike(tree: &Tree, id: LeafId, record: &Tree, other: LeafId) -> bool {
    let (one, other): (&Leaf, &Leaf) =
        (&tree[resolved(tree, id)], &record[resolved(record, other)]);
    match (&one.kind, &other.kind) {
        // Of the mode git keeps only whether a file is a program; the rest is as the user's umask
        // is.
        (LeafKind::File(file), LeafKind::File(known)) => {
            file.size == known.size && one.mode & 0o100 == other.mode & 0o100
        }
        (LeafKind::Symlink(target), LeafKind::Symlink(known)) => target == known,
        _ => false,
    }
}

fn is_same(seen: CurrentSources<'_>, id: LeafId, record: &Tree, other: LeafId) -> bool {
    let tree = &seen.scan.tree;
    if !is_alike(tree, id, record, other) {
        return false;
    }
    match &record[resolved(record, other)].kind {
        LeafKind::File(known) if known.size > 0 => {
            let digest = seen
                .digests
                .get(resolved(tree, id).index())
                .copied()
                .flatten();
            digest.is_some() && digest == known.content.map(|content| content.digest)
        }
        _ => true,
    }
}

fn has_same_names(tree: &Tree, id: DirId, record: &Manifest, other: DirId) -> bool {
    let record = &record.tree;
    let dirs = tree.dirs_in(id).map(|(_, dir)| &dir.name);
    let leaves = tree.leaves_in(id).map(|(_, leaf)| &leaf.name);
    dirs.eq(record.dirs_in(other).map(|(_, dir)| &dir.name))
        && leaves.eq(record.leaves_in(other).map(|(_, leaf)| &leaf.name))
}

/// Whether what is below a root that the input `sources` names is as it was.
fn is_same_named(seen: CurrentSources<'_>, record: &Manifest, root: &[u8]) -> bool {
    let (tree, known) = (&seen.scan.tree, &record.tree);
    let leaf = |tree: &Tree| tree.find_leaf(Tree::TOP, root);
    let is_same_leaf = match (leaf(tree), leaf(known)) {
        (Some(id), Some(other)) => is_same(seen, id, known, other),
        (None, None) => true,
        _ => false,
    };
    let mut pairs = match (
        tree.find_dir(Tree::TOP, root),
        known.find_dir(Tree::TOP, root),
    ) {
        (Some(id), Some(other)) => vec![(id, other)],
        (None, None) => return is_same_leaf,
        _ => return false,
    };
    while let Some((id, other)) = pairs.pop() {
        let mut leaves = tree.leaves_in(id).zip(known.leaves_in(other));
        if !has_same_names(tree, id, record, other)
            || !leaves.all(|((id, _), (other, _))| is_same(seen, id, known, other))
        {
            return false;
        }
        pairs.extend(
            tree.dirs_in(id)
                .zip(known.dirs_in(other))
                .map(|((id, _), (other, _))| (id, other)),
        );
    }
    is_same_leaf
}

/// Files that have names outside of the area.
fn with_names_elsewhere(scan: &Scan) -> BTreeSet<LeafId> {
    let mut names = vec![0_u64; scan.tree.leaves().len()];
    for id in scan
        .tree
        .leaf_ids()
        .filter(|id| !is_in_named(&scan.tree, *id))
    {
        names[resolved(&scan.tree, id).index()] += 1;
    }
    let is_file = |id: LeafId| matches!(scan.tree[id].kind, LeafKind::File(_));
    let has_others = |id: &LeafId| scan.stats[id.index()].links > names[id.index()];
    scan.tree
        .leaf_ids()
        .filter(|id| is_file(*id))
        .filter(has_others)
        .collect()
}

/// Whether a leaf stands below a root that the input `sources` names.
fn is_in_named(tree: &Tree, id: LeafId) -> bool {
    let mut dir = tree[id].parent;
    if dir == Tree::TOP {
        return is_named(&tree[id].name);
    }
    while tree[dir].parent != Tree::TOP {
        dir = tree[dir].parent;
    }
    is_named(&tree[dir].name)
}
