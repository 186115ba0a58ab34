//! Where the roots of an entry are restored to, and which ones are refused.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::tree::manifest::Manifest;
use crate::tree::scan::Scan;
use crate::tree::{DirId, LeafKind, RootPlace, Roots, Tree};

/// The path of each root of the entry.
///
/// Errors: `destination` refuses a root, or one root lies below another. Saving makes no such
/// entry, and a root that is a symlink would lead the root below it elsewhere.
pub(super) fn destinations(
    tree: &Tree,
    destination: &dyn Fn(&[u8]) -> Result<RootPlace>,
) -> Result<Roots> {
    let mut roots: Vec<(Box<[u8]>, RootPlace)> = Vec::new();
    for (_, dir) in tree.dirs_in(Tree::TOP) {
        roots.push((dir.name.clone(), destination(&dir.name)?));
    }
    for (_, leaf) in tree.leaves_in(Tree::TOP) {
        roots.push(((*leaf.name).into(), destination(&leaf.name)?.path.into()));
    }
    let mut paths: Vec<&PathBuf> = roots.iter().map(|(_, root)| &root.real).collect();
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

/// Refuses to replace a directory that holds something by a file or symlink of the entry. Only a
/// restore that removes what the entry does not contain may do that.
pub(super) fn refuse_filled_directories(
    manifest: &Manifest,
    present: &Scan,
    roots: &Roots,
) -> Result<()> {
    for name in &present.extraneous {
        let dir = &present.tree[name.parent];
        let known = find_dir(&manifest.tree, &present.tree.dir_names(dir.parent));
        let replaced = known.and_then(|known| manifest.tree.find_leaf(known, &dir.name));
        if replaced.is_some() {
            return Err(Error::invalid(format!(
                "{} is a directory that is not empty, and no directory in the entry; remove it first",
                roots.dir_path(&present.tree, name.parent).display()
            )));
        }
    }
    Ok(())
}

fn find_dir(tree: &Tree, names: &[&[u8]]) -> Option<DirId> {
    let mut names = names.iter();
    names.try_fold(Tree::TOP, |dir, name| tree.find_dir(dir, name))
}

/// Refuses a directory whose place is a symlink that leads to no directory: replacing the link would
/// lose it.
pub(super) fn refuse_broken_links(
    manifest: &Manifest,
    present: &Tree,
    roots: &Roots,
) -> Result<()> {
    for (_, root) in manifest.tree.dirs_in(Tree::TOP) {
        let leaf = present.find_leaf(Tree::TOP, &root.name);
        if let Some(LeafKind::Symlink(target)) = leaf.map(|leaf| &present[leaf].kind) {
            return Err(Error::invalid(format!(
                "{} is a symlink to {}, which is no directory; create it or remove the link",
                roots.path(&root.name)?.display(),
                String::from_utf8_lossy(target)
            )));
        }
    }
    Ok(())
}

/// Refuses to remove anything through a symlink.
pub(super) fn refuse_linked_roots(roots: &Roots) -> Result<()> {
    match roots.iter().find(|(_, root)| root.is_linked()) {
        None => Ok(()),
        Some((_, root)) => Err(Error::invalid(format!(
            "{} is a symlink to {}, where nothing may be removed; name that directory instead",
            root.path.display(),
            root.real.display()
        ))),
    }
}
