//! Which contents of a pack are live, for garbage collection.
//!
//! A manifest names the packs that it needs, but not what it needs of each. So the trees of the
//! manifests that may need a pack are read when it may be rewritten. A manifest that names a pack
//! which was rewritten may need any of the others instead: these manifests are read once, however
//! many packs may be rewritten.

use std::collections::{HashMap, HashSet};

use super::open::Store;
use crate::digest::Digest;
use crate::error::Result;
use crate::tree::manifest::{Manifest, References};
use crate::tree::{Content, ContentLocation, FileData};

/// The manifests that may need packs.
pub(super) struct PackUsers<'l> {
    /// For each pack, the manifests that name it and no rewritten pack.
    by_pack: HashMap<Digest, Vec<&'l Digest>>,
    /// The manifests that name a rewritten pack.
    of_moved: Vec<&'l Digest>,
    /// The packed contents of those, once they were read.
    moved_contents: Option<HashSet<Digest>>,
}

/// The packed contents of all manifests that may need a pack.
pub(super) struct LiveContents<'u> {
    own: HashSet<Digest>,
    moved: &'u HashSet<Digest>,
}

impl LiveContents<'_> {
    pub(super) fn has(&self, content: &Digest) -> bool {
        self.own.contains(content) || self.moved.contains(content)
    }
}

impl<'l> PackUsers<'l> {
    /// `moved` are the packs that were rewritten.
    pub(super) fn of(manifests: &'l HashMap<Digest, References>, moved: &HashSet<Digest>) -> Self {
        let mut users = Self {
            by_pack: HashMap::new(),
            of_moved: Vec::new(),
            moved_contents: None,
        };
        for (id, References { packs, .. }) in manifests {
            if packs.iter().any(|(pack, _)| moved.contains(pack)) {
                users.of_moved.push(id);
                continue;
            }
            for (pack, _) in packs {
                users.by_pack.entry(*pack).or_default().push(id);
            }
        }
        users
    }

    pub(super) fn live_contents(
        &mut self,
        store: &Store,
        pack: &Digest,
    ) -> Result<LiveContents<'_>> {
        let own = self.by_pack.get(pack).map_or(&[][..], Vec::as_slice);
        let own = packed_contents(store, own)?;
        let moved = match self.moved_contents.take() {
            Some(contents) => contents,
            None => packed_contents(store, &self.of_moved)?,
        };
        let moved = self.moved_contents.insert(moved);
        Ok(LiveContents { own, moved })
    }
}

fn packed_contents(store: &Store, manifests: &[&Digest]) -> Result<HashSet<Digest>> {
    let mut contents = HashSet::new();
    for id in manifests {
        match store.read_manifest(id) {
            Ok(manifest) => contents.extend(packed(&manifest)),
            // Its entry is a miss and needs nothing.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(contents)
}

fn packed(manifest: &Manifest) -> impl Iterator<Item = Digest> {
    let packed = |(_, content): &(&FileData, Content)| content.location != ContentLocation::Blob;
    manifest
        .contents()
        .filter(packed)
        .map(|(_, content)| content.digest)
}
