//! The last steps: finish and rename new directories, remove names, finish existing directories.

use std::io;
use std::path::PathBuf;

use super::applier::Applier;
use super::metadata::set_attributes;
use super::replace::replace;
use crate::error::{Error, IoContext, Result, without_errno};
use crate::fs::{Dir, TempName, may_stay, remove_child, set_mode, set_mtime};
use crate::tree::cursor::Cursor;
use crate::tree::model::{DirId, os_str};
use crate::tree::plan::DirTask;
use crate::tree::scan::ExtraneousName;
use crate::workers;

/// How many directories a thread finishes at a time.
const DIRS_CHUNK: usize = 64;
/// How many names a thread removes at a time; each may be a whole tree.
const REMOVE_CHUNK: usize = 16;

pub(super) fn finish(applier: &Applier<'_>) -> Result<()> {
    finish_new(applier)?;
    // Renaming and removing change the mtimes of existing directories, which are set last.
    rename_new(applier)?;
    remove(applier, &applier.plan.remove, |path, error| {
        applier.options.monitor.warn(&format!(
            "{} is not in the entry and stays there: {}",
            path.display(),
            without_errno(error)
        ));
    })?;
    // A temporary name does no harm.
    remove(applier, &applier.plan.stale_temps, |_, _| {})?;
    finish_existing(applier)
}

fn dirs_with_task(applier: &Applier<'_>, matches: impl Fn(DirTask) -> bool) -> Vec<DirId> {
    applier
        .tree
        .dir_ids()
        .filter(|dir| matches(applier.task(*dir)))
        .collect()
}

fn finish_new(applier: &Applier<'_>) -> Result<()> {
    let new = dirs_with_task(applier, DirTask::is_missing);
    create_empty(applier, &new)?;
    let chunks: Vec<&[DirId]> = new.chunks(DIRS_CHUNK).collect();
    workers::for_each_in_order(
        &chunks,
        || applier.cursor(),
        |cursor, chunk| {
            chunk.iter().try_for_each(|id| {
                let opened = cursor.enter(*id)?;
                // A thread may still have to enter it, whatever its final mode.
                let mode = applier.tree[*id].mode | 0o700;
                set_metadata(applier, *id, opened, mode, true)
            })
        },
    )?;
    restrict_modes(applier, &new)
}

/// Creates the directories without anything in them; writing files created the others. This comes
/// before any time is set, because creating a directory changes the time of its parent.
fn create_empty(applier: &Applier<'_>, new: &[DirId]) -> Result<()> {
    let mut cursor = applier.cursor();
    for id in new {
        let dir = &applier.tree[*id];
        if dir.leaves.is_empty() && dir.dirs.is_empty() {
            cursor.enter(*id)?;
        }
    }
    Ok(())
}

/// Sets the modes that lock out even the owner, from the bottom up.
fn restrict_modes(applier: &Applier<'_>, new: &[DirId]) -> Result<()> {
    let mut cursor = applier.cursor();
    for id in new.iter().rev() {
        let mode = applier.tree[*id].mode;
        if mode & 0o700 != 0o700 {
            let opened = cursor.enter(*id)?;
            set_mode(opened, mode).context("set the mode of", || applier.dir_path(*id))?;
        }
    }
    Ok(())
}

/// Renames new directories from their temporary to their final names.
fn rename_new(applier: &Applier<'_>) -> Result<()> {
    let mut cursor = applier.cursor();
    // Only the topmost new directories have a temporary name. Those below come along.
    for id in dirs_with_task(applier, |task| task == DirTask::Create) {
        let temp = applier.temp_names.get(&id).map(TempName::as_bytes);
        let temp = temp.ok_or_else(|| Error::defect("a new directory has no temporary name"))?;
        let (parent, name) = cursor.enter_parent_of_dir(id)?;
        replace(parent, temp, name).context("rename to", || applier.dir_path(id))?;
    }
    Ok(())
}

/// Removes names with everything below them. Calls `stays` where something can't be removed:
/// another user's directory, or one that something is mounted at.
fn remove(
    applier: &Applier<'_>,
    names: &[ExtraneousName],
    stays: impl Fn(PathBuf, &io::Error) + Sync,
) -> Result<()> {
    let chunks: Vec<&[ExtraneousName]> = names.chunks(REMOVE_CHUNK).collect();
    workers::for_each_in_order(
        &chunks,
        || applier.cursor(),
        |cursor, chunk| {
            chunk
                .iter()
                .try_for_each(|ExtraneousName { parent, name }| {
                    let dir = cursor.enter(*parent)?;
                    let path = || applier.dir_path(*parent).join(os_str(name));
                    match remove_child(dir, name) {
                        Ok(removed) => applier.counts.removed.add(removed),
                        Err(error) if may_stay(&error) => stays(path(), &error),
                        Err(error) => return Err(error).context("remove", path),
                    }
                    Ok(())
                })
        },
    )
}

/// Sets the metadata of existing directories in which names changed. This goes from the bottom up,
/// because a mode may lock out even the owner.
fn finish_existing(applier: &Applier<'_>) -> Result<()> {
    let mut cursor = Cursor::new(applier.tree, applier.roots);
    for id in applier.tree.dir_ids().rev() {
        if let DirTask::Update { set_mtime } = applier.task(id) {
            let opened = cursor.enter(id)?;
            set_metadata(applier, id, opened, applier.tree[id].mode, set_mtime)?;
        }
    }
    Ok(())
}

fn set_metadata(
    applier: &Applier<'_>,
    id: DirId,
    opened: &Dir,
    mode: u32,
    sets_mtime: bool,
) -> Result<()> {
    let dir = &applier.tree[id];
    let path = || applier.dir_path(id);
    let may_have_attributes = !applier.task(id).is_missing();
    if may_have_attributes || !dir.attributes.is_empty() {
        set_attributes(applier, opened, &dir.attributes).context("set the attributes of", path)?;
    }
    // Only the owner may set the mode, but others may be allowed to write.
    if opened.stat().context("inspect", path)?.mode != mode {
        set_mode(opened, mode).context("set the mode of", path)?;
    }
    if sets_mtime {
        set_mtime(opened, dir.mtime).context("set the time of", path)?;
    }
    Ok(())
}
