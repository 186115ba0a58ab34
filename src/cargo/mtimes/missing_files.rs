//! Packages that lost a file that cargo would not miss (rule 7 of the room).

use std::collections::HashMap;

use crate::cargo::mtimes::match_dirs::RecordMatches;
use crate::fs::Timestamp;
use crate::tree::{DirId, LeafId, LeafKind, Tree};

const MANIFEST: &[u8] = b"Cargo.toml";
const LOCK: &[u8] = b"Cargo.lock";

/// The oldest file that a package lost, and the newest that it still has, by their recorded times.
#[derive(Default)]
struct PackageMtimes {
    lost: Option<Timestamp>,
    kept: Option<Timestamp>,
}

/// The manifests, as they are there, of packages that lost a file which was not newer than all
/// others.
pub(crate) fn manifests_of_losers(tree: &Tree, matches: &RecordMatches<'_>) -> Vec<LeafId> {
    let record = matches.record();
    let present: HashMap<DirId, DirId> = matches.pairs().collect();
    let packages = packages(record);
    let mut found: HashMap<DirId, PackageMtimes> = HashMap::new();
    for (id, leaf) in record.leaf_ids().zip(record.leaves()) {
        let Some(package) = packages[leaf.parent.index()] else {
            continue;
        };
        let is_there = present
            .get(&leaf.parent)
            .is_some_and(|dir| tree.find_leaf(*dir, &leaf.name).is_some());
        let time = match record[id].kind {
            LeafKind::HardLink(first) => record[first].mtime,
            LeafKind::File(_) | LeafKind::Symlink(_) => leaf.mtime,
        };
        let package = found.entry(package).or_default();
        if is_there {
            package.kept = package.kept.max(Some(time));
        } else if *leaf.name != *LOCK {
            package.lost = Some(package.lost.map_or(time, |lost| lost.min(time)));
        }
    }
    let losers = found
        .into_iter()
        .filter(|(_, package)| package.lost.is_some() && package.lost <= package.kept);
    losers
        .filter_map(|(package, _)| tree.find_leaf(*present.get(&package)?, MANIFEST))
        .collect()
}

/// For each directory the one of the package that it belongs to: the nearest with a manifest.
fn packages(record: &Tree) -> Vec<Option<DirId>> {
    let mut packages = vec![None; record.dirs().len()];
    for id in record.dir_ids() {
        let own = record.find_leaf(id, MANIFEST).map(|_| id);
        packages[id.index()] = own.or(packages[record[id].parent.index()]);
    }
    packages
}
