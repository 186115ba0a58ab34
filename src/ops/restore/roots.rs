//! Where the roots of an entry are restored to, and which ones are refused.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::tree::manifest::Manifest;
use crate::tree::{LeafKind, Roots, Tree};

/// The path of each root of the entry.
///
/// Errors: `destination` refuses a root, or one root lies below another. Saving makes no such
/// entry, and a root that is a symlink would lead the root below it elsewhere.
pub(super) fn destinations(
    tree: &Tree,
    destination: &dyn Fn(&[u8]) -> Result<PathBuf>,
) -> Result<Roots> {
    let dirs = tree.dirs_in(Tree::TOP).map(|(_, dir)| &dir.name);
    let leaves = tree.leaves_in(Tree::TOP).map(|(_, leaf)| &leaf.name);
    let mut roots: Vec<(Box<[u8]>, PathBuf)> = Vec::new();
    for name in dirs.chain(leaves) {
        roots.push((name.clone(), destination(name)?));
    }
    let mut paths: Vec<&PathBuf> = roots.iter().map(|(_, path)| path).collect();
    paths.sort_unstable();
    if let Some(pair) = paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        return Err(Error::invalid(format!(
            "the entry cannot be trusted: it contains both {} and {}",
            pair[0].display(),
            pair[1].display()
        )));
    }
    Ok(Roots::new(roots))
}

/// Refuses a root that is a symlink on the disk: replacing it would lose the link, and following it
/// would write elsewhere.
pub(super) fn refuse_linked_roots(
    manifest: &Manifest,
    present: &Tree,
    roots: &Roots,
) -> Result<()> {
    for (_, root) in manifest.tree.dirs_in(Tree::TOP) {
        let leaf = present.find_leaf(Tree::TOP, &root.name);
        if let Some(LeafKind::Symlink(target)) = leaf.map(|leaf| &present[leaf].kind) {
            return Err(Error::invalid(format!(
                "{} is a symlink to {}; cache the directory it points to instead",
                roots.path(&root.name)?.display(),
                String::from_utf8_lossy(target)
            )));
        }
    }
    Ok(())
}
