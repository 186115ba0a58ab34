//! Prepares ready copies of an entry, for jobs that will run at the same time.
//!
//! [`crate::store::prepared`] says why that is correct.

use std::path::Path;

use super::compare::{LockedRoots, RestoredTree};
use super::root_lock::RootLock;
use super::write::{WriteOptions, restore_roots};
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ops::LOCK_TIMEOUT;
use crate::store::lock::SharedLock;
use crate::store::{Entry, Store};
use crate::tree::manifest::Manifest;
use crate::tree::plan::Extraneous;
use crate::tree::{Roots, Tree};

/// Prepares `count` ready copies, if files of the store can share blocks. Otherwise each would take
/// as much space and time as the whole entry.
pub(crate) fn prepare_copies(
    store: &Store,
    _lock: &SharedLock,
    entry: &Entry,
    count: usize,
    monitor: &dyn Monitor,
) -> Result<()> {
    if count == 0 || !store.shares_blocks() {
        return Ok(());
    }
    let manifest = store.read_manifest(&entry.manifest)?;
    for _ in 0..count {
        let aside = store.create_aside()?;
        let prepared = prepare_copy(store, entry, &manifest, &aside, monitor);
        store.remove_aside(&aside)?;
        prepared?;
    }
    Ok(())
}

fn prepare_copy(
    store: &Store,
    entry: &Entry,
    manifest: &Manifest,
    aside: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    let roots = roots_in(aside, &manifest.tree);
    let lock = RootLock::take(&roots, LOCK_TIMEOUT, monitor)?;
    let restored = RestoredTree {
        entry,
        manifest,
        roots: &roots,
    };
    let target = LockedRoots {
        roots: &roots,
        lock: &lock,
        extraneous: Extraneous::Remove,
    };
    let options = WriteOptions {
        steps: None,
        verify: true,
    };
    restore_roots(store, &restored, &target, options, monitor)?;
    store.put_prepared_copy(&entry.manifest, manifest, &roots)
}

/// A place below a directory for each root. Names of roots are no names of files.
fn roots_in(dir: &Path, tree: &Tree) -> Roots {
    let dirs = tree.dirs_in(Tree::TOP).map(|(_, root)| root.name.clone());
    let leaves = tree
        .leaves_in(Tree::TOP)
        .map(|(_, root)| Box::from(&*root.name));
    let places = dirs.chain(leaves).enumerate();
    Roots::new(places.map(|(number, name)| (name, dir.join(number.to_string()))))
}
