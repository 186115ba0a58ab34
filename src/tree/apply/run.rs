//! The steps of a restore, in order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Mutex;

use super::applier::{Applier, ApplyOptions};
use super::batch::shares;
use super::counts::Applied;
use super::dirs;
use super::writer::FileWriter;
use crate::error::{IoContext, Result};
use crate::fs::{files, remove_child};
use crate::tree::cursor::Cursor;
use crate::tree::manifest::Manifest;
use crate::tree::model::{LeafId, LeafKind, Tree};
use crate::tree::plan::Plan;
use crate::tree::roots::Roots;
use crate::tree::stamp::InodeState;
use crate::workers;

/// How many leaves a thread takes at a time.
const CHUNK: usize = 64;

/// What was done, and by what the files that were written or read can be recognised later.
pub struct ApplyOutcome {
    pub applied: Applied,
    pub states: Vec<(LeafId, InodeState)>,
}

/// Brings the directories at `roots` into the state of `manifest` by carrying out `plan`.
///
/// On an error, such as a damaged store, whatever was built under temporary names is removed.
pub fn apply(
    manifest: &Manifest,
    plan: &Plan,
    roots: &Roots,
    options: ApplyOptions<'_>,
) -> Result<ApplyOutcome> {
    let mut applier = Applier::new(manifest, plan, roots, options);
    let result = check(&mut applier).and_then(|()| run(&applier));
    if result.is_err() {
        remove_unfinished(&applier);
    }
    result.map(|()| ApplyOutcome {
        applied: applier.counts.total(),
        states: applier.into_states(),
    })
}

/// Reads the files whose contents may be right. Those that differ are added to the files to write.
fn check(applier: &mut Applier<'_>) -> Result<()> {
    let differing = Mutex::<Vec<LeafId>>::default();
    for_each_leaf(applier, &applier.plan.check, |writer, leaf| {
        if writer.is_up_to_date(leaf)? {
            applier.counts.confirmed.add(1);
            let size = file_size(applier.tree, leaf);
            applier.counts.confirmed_bytes.add(size);
        } else {
            workers::lock(&differing).push(leaf);
        }
        Ok(())
    })?;
    let differing = workers::into_inner(differing);
    if !differing.is_empty() {
        applier.plan = Cow::Owned(applier.plan.with_differing(applier.tree, differing));
    }
    Ok(())
}

fn run(applier: &Applier<'_>) -> Result<()> {
    create_parents_of_roots(applier)?;
    let plan = &*applier.plan;
    let batches = applier.locate(&plan.write)?;
    workers::for_each_in_order(
        &shares(&batches, rayon::current_num_threads() as u64),
        || FileWriter::new(applier),
        |writer, share| share.iter().try_for_each(|batch| writer.write_batch(batch)),
    )?;
    for_each_leaf(applier, &plan.create, |writer, leaf| writer.create(leaf))?;
    for_each_leaf(applier, &plan.set_metadata, |writer, leaf| {
        writer.set_metadata(leaf)
    })?;
    // Links come after all files, because both ends must exist. There are few of them.
    let mut writer = FileWriter::new(applier);
    plan.link
        .iter()
        .try_for_each(|leaf| writer.create_hard_link(*leaf))?;
    follow_links(applier)?;
    dirs::finish(applier)
}

/// Takes the new states of the files that got links: each link changes the ctime of its file.
fn follow_links(applier: &Applier<'_>) -> Result<()> {
    let first_name = |leaf: &LeafId| match applier.tree[*leaf].kind {
        LeafKind::HardLink(first) => Some(first),
        LeafKind::File(_) | LeafKind::Symlink(_) => None,
    };
    let linked: HashSet<LeafId> = applier.plan.link.iter().filter_map(first_name).collect();
    let mut cursor = applier.cursor();
    applier.update_states(&linked, |leaf, state| {
        let (dir, name) = cursor.enter_parent(leaf)?;
        let stat = dir.stat_at(name);
        let stat = stat.context("inspect", || applier.leaf_path(leaf))?;
        Ok(state.after_change(&stat))
    })
}

fn for_each_leaf<'j, 'a>(
    applier: &'j Applier<'a>,
    leaves: &[LeafId],
    act: impl Fn(&mut FileWriter<'j, 'a>, LeafId) -> Result<()> + Sync,
) -> Result<()> {
    let chunks: Vec<&[LeafId]> = leaves.chunks(CHUNK).collect();
    workers::for_each_in_order(
        &chunks,
        || FileWriter::new(applier),
        |writer, chunk| {
            applier.check_interrupted()?;
            chunk.iter().try_for_each(|leaf| act(writer, *leaf))
        },
    )
}

fn create_parents_of_roots(applier: &Applier<'_>) -> Result<()> {
    let dirs = applier.tree.dirs_in(Tree::TOP).map(|(_, dir)| &*dir.name);
    let leaves = applier.tree.leaves_in(Tree::TOP);
    for root in dirs.chain(leaves.map(|(_, leaf)| &*leaf.name)) {
        if let Some(parent) = applier.roots.get(root)?.real.parent() {
            files::create_dir_all(parent)?;
        }
    }
    Ok(())
}

fn remove_unfinished(applier: &Applier<'_>) {
    let mut cursor = Cursor::new(applier.tree, applier.roots);
    for (dir, temp) in &applier.temp_names {
        if let Ok((parent, _)) = cursor.enter_parent_of_dir(*dir) {
            // If this fails, a later restore removes it.
            drop(remove_child(parent, temp.as_bytes()));
        }
    }
}

fn file_size(tree: &Tree, leaf: LeafId) -> u64 {
    match &tree[leaf].kind {
        LeafKind::File(file) => file.size,
        LeafKind::Symlink(_) | LeafKind::HardLink(_) => 0,
    }
}
