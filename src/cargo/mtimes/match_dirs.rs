//! Which directory of a record stands for which one that is there.

use std::path::{Path, PathBuf};

use crate::cargo::mtimes::source_roots::{SourceRoots, is_named};
use crate::fs::Timestamp;
use crate::tree::manifest::Manifest;
use crate::tree::{DirId, LeafId, Tree};

#[derive(Clone, Copy)]
pub struct KnownRecord<'a> {
    /// What the sources were like.
    pub record: &'a Manifest,
    /// When the target directory had been saved.
    pub saved: Timestamp,
    /// The roots that were looked at when the target directory was restored.
    pub roots: &'a [Box<[u8]>],
}

/// What a record says of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordMatch {
    In(DirId),
    /// It could have it, and does not.
    Lacks,
    /// The directory was neither looked at when the record was made nor when its target was
    /// restored.
    Stranger,
}

/// A record compared with the disk. Directories are matched by their paths: a step may have one
/// as a root that another has below one of its own.
pub(crate) struct RecordMatches<'a> {
    tree: &'a Tree,
    record: &'a Tree,
    dirs: Vec<RecordMatch>,
}

impl<'a> RecordMatches<'a> {
    pub(crate) fn new(area: &SourceRoots, tree: &'a Tree, known: &KnownRecord<'a>) -> Self {
        let record = &known.record.tree;
        let roots = RecordRoots::new(area, known);
        let mut dirs = vec![RecordMatch::Stranger; tree.dirs().len()];
        for id in tree.dir_ids() {
            let dir = &tree[id];
            dirs[id.index()] = match dirs[dir.parent.index()] {
                RecordMatch::In(parent) => record
                    .find_dir(parent, &dir.name)
                    .map_or(RecordMatch::Lacks, RecordMatch::In),
                RecordMatch::Lacks => roots
                    .find(record, &path(area, tree, id))
                    .unwrap_or(RecordMatch::Lacks),
                RecordMatch::Stranger if is_in_named(tree, id) => RecordMatch::Stranger,
                RecordMatch::Stranger => roots
                    .find(record, &path(area, tree, id))
                    .unwrap_or(RecordMatch::Stranger),
            };
        }
        Self { tree, record, dirs }
    }

    pub(crate) fn dir(&self, id: DirId) -> RecordMatch {
        self.dirs[id.index()]
    }

    /// The record, and the leaf of the same path in it; none when the record can't know the path.
    pub(crate) fn leaf(&self, id: LeafId) -> Option<(&'a Tree, Option<LeafId>)> {
        let leaf = &self.tree[id];
        match self.dir(leaf.parent) {
            RecordMatch::In(dir) => Some((self.record, self.record.find_leaf(dir, &leaf.name))),
            RecordMatch::Lacks => Some((self.record, None)),
            RecordMatch::Stranger => None,
        }
    }

    pub(crate) fn record(&self) -> &'a Tree {
        self.record
    }

    /// The directories that both have: the record's number, and the one that is there.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (DirId, DirId)> {
        self.tree.dir_ids().filter_map(|id| match self.dir(id) {
            RecordMatch::In(other) => Some((other, id)),
            RecordMatch::Lacks | RecordMatch::Stranger => None,
        })
    }
}

/// The roots of a record by their paths now.
struct RecordRoots {
    recorded: Vec<(PathBuf, DirId)>,
    looked_at: Vec<PathBuf>,
}

impl RecordRoots {
    fn new(area: &SourceRoots, known: &KnownRecord<'_>) -> Self {
        let roots = known
            .record
            .tree
            .dirs_in(Tree::TOP)
            .filter(|(_, root)| !is_named(&root.name));
        let recorded = roots
            .map(|(id, root)| (area.path_of(&root.name), id))
            .collect();
        Self {
            recorded,
            looked_at: known.roots.iter().map(|root| area.path_of(root)).collect(),
        }
    }

    /// The directory of a path, if a root is it or holds it.
    fn find(&self, record: &Tree, path: &Path) -> Option<RecordMatch> {
        let around = self
            .recorded
            .iter()
            .find_map(|(root, id)| Some((*id, path.strip_prefix(root).ok()?)));
        if let Some((root, below)) = around {
            let mut names = below
                .components()
                .map(|name| name.as_os_str().as_encoded_bytes());
            let found = names.try_fold(root, |dir, name| record.find_dir(dir, name));
            return Some(found.map_or(RecordMatch::Lacks, RecordMatch::In));
        }
        self.looked_at
            .iter()
            .any(|root| path.starts_with(root))
            .then_some(RecordMatch::Lacks)
    }
}

fn path(area: &SourceRoots, tree: &Tree, dir: DirId) -> PathBuf {
    area.places().dir_path(tree, dir)
}

fn is_in_named(tree: &Tree, dir: DirId) -> bool {
    tree.dir_names(dir)
        .first()
        .is_some_and(|root| is_named(root))
}
