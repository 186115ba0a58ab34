//! Which times are given back (pure).

use std::collections::BTreeSet;

use crate::cargo::mtimes::LATER;
use crate::cargo::mtimes::effective_mtime::{Floors, Given};
use crate::cargo::mtimes::match_dirs::{Match, Matches};
use crate::cargo::mtimes::missing_files::manifests_of_losers;
use crate::cargo::mtimes::source_roots::{Area, is_named};
use crate::digest::Digest;
use crate::fs::Timestamp;
use crate::tree::manifest::Manifest;
use crate::tree::scan::Scan;
use crate::tree::set_mtimes::Change;
use crate::tree::{DirId, Leaf, LeafId, LeafKind, Tree};

/// What is there now.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The area.
    pub scan: &'a Scan,
    /// The digests of the files that [`to_read`] names, by the numbers of their leaves.
    pub digests: &'a [Option<Digest>],
    /// What an earlier step of the job gave back.
    pub given: Option<&'a Given>,
}

/// A record that counts.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What the sources were like.
    pub record: &'a Manifest,
    /// When the target directory had been saved.
    pub saved: Timestamp,
    /// The roots that were looked at when the target directory was restored.
    pub roots: &'a [Box<[u8]>],
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Files and symlinks.
    pub leaves: Vec<(LeafId, Change)>,
    /// Directories, after all files.
    pub dirs: Vec<(DirId, Change)>,
    /// Files and symlinks that are the same, also those whose time is right already.
    pub same: u64,
    /// Files and symlinks that are not.
    pub different: u64,
    /// How many records vouch for nothing, because what the input `sources` names is different.
    pub distrusted: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// No record could know it.
    #[default]
    Unknown,
    Same(Timestamp),
    Different,
}

impl Verdict {
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
pub fn to_read(area: &Area, scan: &Scan, known: &[Known<'_>]) -> Vec<LeafId> {
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
    let matches: Vec<Matches<'_>> = known
        .iter()
        .map(|known| Matches::new(area, &scan.tree, known))
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
pub fn decide(area: &Area, seen: Seen<'_>, known: &[Known<'_>], now: Timestamp) -> Decisions {
    let tree = &seen.scan.tree;
    let Verdicts {
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
        Verdict::Same(time) if time != modified => Some(Change::To(time)),
        Verdict::Different if modified <= saved => Some(Change::Renew(renewed)),
        _ => None,
    };
    let elsewhere = with_names_elsewhere(seen.scan);
    for id in tree.leaf_ids_depth_first() {
        let verdict = leaves[id.0 as usize];
        match verdict {
            Verdict::Unknown => continue,
            Verdict::Same(_) => decisions.same += 1,
            Verdict::Different => decisions.different += 1,
        }
        match change(verdict, tree[id].modified) {
            Some(Change::To(_)) if elsewhere.contains(&id) => {}
            Some(change) => decisions.leaves.push((id, change)),
            None => {}
        }
    }
    let dir_change = |id: DirId| Some((id, change(dirs[id.0 as usize], tree[id].modified)?));
    decisions.dirs = tree.dir_ids().filter_map(dir_change).collect();
    decisions
}

/// What all records together say of each leaf and each directory, by their numbers.
struct Verdicts {
    leaves: Vec<Verdict>,
    dirs: Vec<Verdict>,
    /// How many records are not trusted.
    distrusted: usize,
}

fn verdicts(area: &Area, seen: Seen<'_>, known: &[Known<'_>]) -> Verdicts {
    let tree = &seen.scan.tree;
    let mut leaves = vec![Verdict::Unknown; tree.leaves().len()];
    let mut dirs = vec![Verdict::Unknown; tree.dirs().len()];
    let mut distrusted = 0;
    for known in known {
        let matches = Matches::new(area, tree, known);
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
                    Verdict::Same(record[resolved(record, other)].modified)
                }
                _ => Verdict::Different,
            };
            let of = &mut leaves[resolved(tree, id).0 as usize];
            *of = of.and(verdict);
        }
        for id in tree.dir_ids() {
            let verdict = match matches.dir(id) {
                Match::Stranger => continue,
                Match::In(other) if trusted && has_same_names(tree, id, known.record, other) => {
                    Verdict::Same(known.record.tree[other].modified)
                }
                Match::In(_) | Match::Lacks => Verdict::Different,
            };
            dirs[id.0 as usize] = dirs[id.0 as usize].and(verdict);
        }
        for manifest in manifests_of_losers(tree, &matches) {
            leaves[resolved(tree, manifest).0 as usize] = Verdict::Different;
        }
    }
    if let Some(given) = seen.given {
        let floors = Floors::new(seen.scan, given);
        for (id, verdict) in tree.leaf_ids().zip(&mut leaves) {
            *verdict = verdict.not_before(floors.of_leaf(id));
        }
        // The time of a directory around a target changes when that comes back.
        for id in tree
            .dir_ids()
            .filter(|id| !area.holds_skipped(&area.places().dir_path(tree, *id)))
        {
            let verdict = &mut dirs[id.0 as usize];
            *verdict = verdict.not_before(floors.of_dir(id));
        }
    }
    Verdicts {
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

fn is_same(seen: Seen<'_>, id: LeafId, record: &Tree, other: LeafId) -> bool {
    let tree = &seen.scan.tree;
    if !is_alike(tree, id, record, other) {
        return false;
    }
    match &record[resolved(record, other)].kind {
        LeafKind::File(known) if known.size > 0 => {
            let digest = seen
                .digests
                .get(resolved(tree, id).0 as usize)
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
fn is_same_named(seen: Seen<'_>, record: &Manifest, root: &[u8]) -> bool {
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
        names[resolved(&scan.tree, id).0 as usize] += 1;
    }
    let is_file = |id: LeafId| matches!(scan.tree[id].kind, LeafKind::File(_));
    let has_others = |id: &LeafId| scan.stats[id.0 as usize].links > names[id.0 as usize];
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
