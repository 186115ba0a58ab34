//! The last steps: new directories get their modes and times and take their places, names go,
//! existing directories get their modes and times.

use super::files::write_attributes;
use super::{Applier, Cursor, DirTask, add, put_in_place};
use crate::error::{Error, IoContext, Result};
use crate::fs::{Dir, TempName, remove_child, set_mode, set_mtime};
use crate::tree::scan::ExtraneousName;
use crate::tree::{DirId, Directory};
use crate::workers;

pub(super) fn finish(job: &Applier<'_>) -> Result<()> {
    finish_new(job)?;
    place_new(job)?;
    remove(job, &job.plan.remove)?;
    remove(job, &job.plan.stale_temps)?;
    finish_existing(job)
}

fn with_task(job: &Applier<'_>, wanted: impl Fn(DirTask) -> bool) -> Vec<DirId> {
    job.tree
        .dir_ids()
        .filter(|dir| wanted(job.task(*dir)))
        .collect()
}

/// Sets all that is known of new directories but modes that would lock out their owner, in
/// parallel; then those, from the bottom up.
fn finish_new(job: &Applier<'_>) -> Result<()> {
    let new = with_task(job, DirTask::is_missing);
    // Writing files made all directories that have some at any depth. The rest is made before any
    // time is set, as a directory that is made changes the time of the one it stands in.
    let mut cursor = job.cursor();
    for id in &new {
        if job.tree[*id].leaves.is_empty() && job.tree[*id].dirs.is_empty() {
            cursor.enter(*id)?;
        }
    }
    let chunks: Vec<&[DirId]> = new.chunks(64).collect();
    workers::for_each_in_order(
        &chunks,
        || job.cursor(),
        |cursor, chunk| {
            chunk.iter().try_for_each(|id| {
                let opened = cursor.enter(*id)?;
                describe(job, *id, opened, job.tree[*id].mode | 0o700, true)
            })
        },
    )?;
    let mut cursor = job.cursor();
    for id in new
        .iter()
        .rev()
        .filter(|id| job.tree[**id].mode & 0o700 != 0o700)
    {
        let opened = cursor.enter(*id)?;
        set_mode(opened, job.tree[*id].mode)
            .context("set the mode of", || job.places.dir_path(job.tree, *id))?;
    }
    Ok(())
}

fn place_new(job: &Applier<'_>) -> Result<()> {
    let mut cursor = job.cursor();
    for id in with_task(job, |task| task == DirTask::Create) {
        let temp = job.temp_names.get(&id).map(TempName::as_bytes);
        let temp = temp.ok_or_else(|| Error::defect("a new directory has no temporary name"))?;
        let (parent, name) = cursor.enter_parent_of_dir(id)?;
        put_in_place(parent, temp, name)
            .context("rename to", || job.places.dir_path(job.tree, id))?;
    }
    Ok(())
}

fn remove(job: &Applier<'_>, names: &[ExtraneousName]) -> Result<()> {
    let chunks: Vec<&[ExtraneousName]> = names.chunks(16).collect();
    workers::for_each_in_order(
        &chunks,
        || job.cursor(),
        |cursor, chunk| {
            chunk.iter().try_for_each(|extra| {
                let dir = cursor.enter(extra.parent)?;
                let removed = remove_child(dir, &extra.name).context("remove", || {
                    job.places
                        .dir_path(job.tree, extra.parent)
                        .join(crate::tree::os(&extra.name))
                })?;
                add(&job.counts.removed, removed);
                Ok(())
            })
        },
    )
}

/// Existing directories whose names changed, from the bottom up, as a mode may lock out even the
/// owner.
fn finish_existing(job: &Applier<'_>) -> Result<()> {
    let mut cursor = Cursor::new(job.tree, job.places);
    for id in job.tree.dir_ids().rev() {
        if let DirTask::Update { set_mtime } = job.task(id) {
            let opened = cursor.enter(id)?;
            describe(job, id, opened, job.tree[id].mode, set_mtime)?;
        }
    }
    Ok(())
}

fn describe(job: &Applier<'_>, id: DirId, opened: &Dir, mode: u32, with_time: bool) -> Result<()> {
    let Directory {
        attributes,
        mtime: modified,
        ..
    } = &job.tree[id];
    let path = || job.places.dir_path(job.tree, id);
    let has_new_attributes = !attributes.is_empty() || !job.task(id).is_missing();
    if has_new_attributes {
        write_attributes(job, opened, attributes).context("set the attributes of", path)?;
    }
    // Only its owner may set a mode, but others may be allowed to write.
    if opened.stat().context("look at", path)?.mode != mode {
        set_mode(opened, mode).context("set the mode of", path)?;
    }
    if with_time {
        set_mtime(opened, *modified).context("set the time of", path)?;
    }
    Ok(())
}
