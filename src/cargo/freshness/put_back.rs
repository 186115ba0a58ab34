//! Hides the own units of a target directory from cargo, and puts back those that are fresh.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::own_units::own_units;
use super::record::{RecordedFile, RecordedUnit};
use super::unit_fact::BuildDirectory;
use crate::cargo::target_dir::read_target;
use crate::error::{Error, IoContext as _, Result};
use crate::fs::{Dir, Namespace, Timestamp, files, remove_tree};

/// Where the roots of an entry are on this machine, by their names in the entry.
pub(crate) type RootPath<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

/// Removes cargo's records of all own units in a directory, so that cargo takes them for stale. Also
/// removes records that can't be read. `is_kept` says which are in the entry, by their paths from
/// its root.
pub(crate) fn hide_own_units(
    directory: &BuildDirectory,
    is_kept: &dyn Fn(&Path) -> bool,
) -> Result<()> {
    let target = read_target(&directory.path)?;
    let own = own_units(&target, &[], &|_| None);
    let mut downloaded: HashSet<PathBuf> = HashSet::new();
    for profile in &target.profiles {
        let units = profile.units.iter();
        downloaded.extend(units.map(|unit| profile.directory.join(&unit.record_dir)));
    }
    for unit in &own {
        downloaded.remove(&unit.profile.join(unit.record_dir()));
    }
    for profile in &target.profiles {
        for record_dir in &profile.record_dirs {
            let path = profile.directory.join(record_dir);
            let relative = path.strip_prefix(&directory.root).unwrap_or(&path);
            if !is_kept(relative) && !downloaded.contains(&path) {
                remove_keeping_time(&path)?;
            }
        }
    }
    Ok(())
}

/// Removes a directory. The one around it keeps its modification time.
fn remove_keeping_time(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let before = files::mtime(parent)?;
    remove_tree(path)?;
    if let Some(before) = before {
        set_time(parent, before)?;
    }
    Ok(())
}

/// Makes units fresh: their artifacts and records get one time, and the records are written last.
///
/// Returns the time as the filesystem stores it.
pub(crate) fn put_back(
    units: &[&RecordedUnit],
    time: Timestamp,
    root: RootPath<'_>,
) -> Result<Timestamp> {
    let Some(first) = units.first() else {
        return Ok(time);
    };
    let time = stored_time(first, time, root)?;
    for unit in units {
        let root = root_of(unit, root)?;
        for artifact in &unit.artifacts {
            let path = root.join(artifact);
            if files::stat_link(&path)?.is_some() {
                set_time(&path, time)?;
            }
        }
    }
    for unit in units {
        write_records(&root_of(unit, root)?.join(&unit.directory), unit, time)?;
    }
    Ok(time)
}

/// Removes what stale units made. Cargo does not need it, and no other program must find it: a build
/// without the cache would not have it.
pub(crate) fn remove_products(
    stale: &[&RecordedUnit],
    fresh: &[&RecordedUnit],
    root: RootPath<'_>,
) -> Result<()> {
    let kept: HashSet<(&str, &Path)> = fresh
        .iter()
        .flat_map(|unit| unit.artifacts.iter().map(|path| (&*unit.root, &**path)))
        .collect();
    for unit in stale {
        let root = root_of(unit, root)?;
        for artifact in &unit.artifacts {
            if kept.contains(&(&*unit.root, &**artifact)) {
                continue;
            }
            match documented_crate(artifact) {
                Some((doc, name)) => {
                    remove_tree(&root.join(doc).join(name))?;
                    remove_tree(&root.join(doc).join("src").join(name))?;
                }
                None => files::remove(&root.join(artifact))?,
            }
        }
    }
    Ok(())
}

/// The directory of documentation, and the crate that a page of it is about.
fn documented_crate(page: &Path) -> Option<(&Path, &OsStr)> {
    let directory = page.parent().filter(|_| page.ends_with("index.html"))?;
    let doc = directory.parent().filter(|doc| doc.ends_with("doc"))?;
    Some((doc, directory.file_name()?))
}

/// Removes the incremental data of crates whose source is gone.
pub(crate) fn remove_incremental(
    gone: &[&RecordedUnit],
    others: &[&RecordedUnit],
    root: RootPath<'_>,
) -> Result<()> {
    let names = |units: &[&RecordedUnit]| -> HashSet<(String, PathBuf, String)> {
        let units = units.iter();
        let named = units.filter_map(|unit| {
            let (name, _) = unit.crate_root.as_ref()?;
            Some((unit.root.clone(), unit.profile.clone(), name.clone()))
        });
        named.collect()
    };
    for (root_name, profile, name) in names(gone).difference(&names(others)) {
        let Some(root) = root(root_name) else {
            continue;
        };
        let directory = root.join(profile).join("incremental");
        let prefix = format!("{name}-");
        for data in files::list(&directory)? {
            // The hash that follows has no hyphen.
            let hash = data.to_str().and_then(|data| data.strip_prefix(&prefix));
            if hash.is_some_and(|hash| !hash.contains('-')) {
                remove_tree(&directory.join(data))?;
            }
        }
    }
    Ok(())
}

fn root_of(unit: &RecordedUnit, root: RootPath<'_>) -> Result<PathBuf> {
    root(&unit.root)
        .ok_or_else(|| Error::invalid(format!("the entry has no directory {}", unit.root)))
}

/// On a filesystem with whole seconds, the time is that of the next second.
fn stored_time(unit: &RecordedUnit, time: Timestamp, root: RootPath<'_>) -> Result<Timestamp> {
    let root = root_of(unit, root)?;
    files::create_dir_all(&root)?;
    let probe = tempfile::NamedTempFile::new_in(&root).context("create a file in", || &root)?;
    set_time(probe.path(), time)?;
    let stored = files::mtime(probe.path())?.unwrap_or(time);
    if stored == time {
        return Ok(time);
    }
    wait_after(time.seconds);
    Ok(Timestamp {
        seconds: time.seconds + 1,
        nanoseconds: 0,
    })
}

/// Waits until files can only get later times than `seconds`. Only where times are whole seconds.
pub(crate) fn wait_after(seconds: i64) {
    while Timestamp::file_clock_now().seconds <= seconds {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes the records of a unit. Cargo finds a unit by its fingerprint, a file without an
/// extension, so that one is written after all others.
fn write_records(directory: &Path, unit: &RecordedUnit, time: Timestamp) -> Result<()> {
    let parent = directory.parent().unwrap_or(directory);
    files::create_dir_all(parent)?;
    let before = files::mtime(parent)?;
    files::create_dir_all(directory)?;
    let is_fingerprint = |name: &str| {
        let json = format!("{name}.json");
        unit.records.iter().any(|(other, _)| *other == json)
    };
    let (last, first): (Vec<_>, Vec<_>) = unit
        .records
        .iter()
        .partition(|(name, _)| is_fingerprint(name));
    for (name, bytes) in first.into_iter().chain(last) {
        let path = directory.join(name);
        files::write_atomically(&path, bytes)?;
        set_time(&path, time)?;
    }
    if let Some(before) = before {
        set_time(parent, before)?;
    }
    Ok(())
}

/// Gives files of packages the times that cargo compares as text. Returns the files with their
/// ctimes after that, by which a save knows them.
pub(crate) fn give_times(
    times: &[(&RecordedFile, Timestamp)],
    namespace: &dyn Namespace,
) -> Result<Vec<(PathBuf, Timestamp)>> {
    let mut given = Vec::with_capacity(times.len());
    for (file, time) in times {
        let path = namespace.locate_parent(&file.path)?;
        set_time(&path, *time)?;
        if let Some(stat) = files::stat_link(&path)? {
            given.push((file.path.clone(), stat.ctime));
        }
    }
    Ok(given)
}

/// Sets the modification time of a file, of a symlink itself.
fn set_time(path: &Path, time: Timestamp) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let name = path.file_name().unwrap_or_default();
    let dir = Dir::open(parent).context("open", || parent)?;
    dir.set_mtime_at(name.as_bytes(), time)
        .context("set the time of", || path)
}
