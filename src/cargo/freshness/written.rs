//! Finds what build scripts wrote into the checkout: everything that changed while one ran.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::project_files::ProjectPlaces;
use crate::error::{IoContext as _, Result};
use crate::fs::{Dir, FileKind, Namespace, Stat, Timestamp};

/// From the start to the end of a run, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeSpan {
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
}

impl TimeSpan {
    fn has_change(&self, stat: &Stat) -> bool {
        let is_within = |time: Timestamp| self.started <= time && time <= self.ended;
        is_within(stat.mtime) || is_within(stat.ctime)
    }
}

/// The files that changed within each of the spans, with the number of the span. They include what
/// git ignores. `.git` and the skipped directories are not read.
pub(crate) fn written_between(
    spans: &[(usize, TimeSpan)],
    places: &ProjectPlaces,
    namespace: &dyn Namespace,
) -> Result<Vec<(usize, PathBuf)>> {
    let mut found = Vec::new();
    if spans.is_empty() {
        return Ok(found);
    }
    let mut waiting = places.roots(namespace)?;
    while let Some(name) = waiting.pop() {
        let path = namespace.locate_parent(&name)?;
        let dir = match Dir::open(&path) {
            Ok(dir) => dir,
            // It was reported when the files were listed.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error).context("open", || &path),
        };
        for entry in dir.list().context("read", || &path)? {
            let child = name.join(OsStr::from_bytes(&entry.name));
            if &*entry.name == b".git" || is_skipped(&child, places) {
                continue;
            }
            if entry.kind == Some(FileKind::Directory) {
                waiting.push(child);
                continue;
            }
            let Ok(stat) = dir.stat_at(&entry.name) else {
                continue;
            };
            if stat.kind == FileKind::Directory {
                waiting.push(child);
                continue;
            }
            let within = spans.iter().filter(|(_, span)| span.has_change(&stat));
            found.extend(within.map(|(number, _)| (*number, child.clone())));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_skipped(name: &Path, places: &ProjectPlaces) -> bool {
    places.skipped.iter().any(|skipped| skipped == name)
}
