//! The journal: a directory of files of lines, to which many processes append while others read.
//!
//! # Why it can be read at any instant
//!
//! - A line is appended by one write to a file that is open for appending, under the file's lock.
//!   So lines of two processes never mix, also where appending alone would not keep them apart
//!   (NFS).
//! - A process that is killed while it writes, or a disk that is full, leaves the beginning of a
//!   line. The next one ends it first, so that it costs one line and no more.
//! - Readers take no lock. What is no event, the beginning of a line among it, is skipped and
//!   counted; but what stands after the last line end is being written just now.
//! - When a file is full, it is renamed under its lock and a new one begun; whoever waited for the
//!   lock sees that the name means another file now, and takes that one. The oldest files are
//!   removed beyond a number of bytes.
//!
//! Times are those of the machine's clock, which may jump back: the order of lines says nothing of
//! times, and readers sort.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::{memchr, memchr_iter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::fs::{AppendFile, FileKind, files, wait_for_lock};
use crate::monitor::Silent;
use crate::stats::event::Event;

/// The file that is appended to.
const CURRENT: &str = "events.jsonl";
const ENDING: &str = ".jsonl";

/// How large files get, and all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Bytes from which a new file is begun.
    pub file_bytes: u64,
    /// Bytes beyond which the oldest files are removed.
    pub total_bytes: u64,
}

impl Default for JournalLimits {
    /// About 150,000 events.
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
            total_bytes: 64 << 20,
        }
    }
}

/// A line is never longer; of one that would be, the keys are cut.
const LONGEST_LINE: usize = 64 << 10;
/// What is left of a key then, in characters.
const CUT_KEY: usize = 40;
/// How long another process may take for its line.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Appends an event to the journal in `dir`, which is made if need be; files get `mode`,
/// directories `dir_mode`.
pub fn append(
    dir: &Path,
    event: &Event,
    (dir_mode, mode): (u32, u32),
    bounds: JournalLimits,
) -> Result<()> {
    files::create_dir(dir, dir_mode)?;
    let line = line(event)?;
    loop {
        let open = || AppendFile::open(&dir.join(CURRENT), mode);
        let mut file = wait_for_lock(LOCK_TIMEOUT, &Silent, open)?.ok_or_else(|| Error::Busy {
            what: format!("the journal {}", dir.display()),
        })?;
        let length = file.length()?;
        if length > 0 && length + line.len() as u64 > bounds.file_bytes {
            file.rename(&dir.join(next_name(dir)?))?;
            drop(file);
            bound(dir, bounds)?;
            continue;
        }
        let torn = length > 0 && file.last_byte()? != Some(b'\n');
        return file.append(&if torn {
            [b"\n", line.as_slice()].concat()
        } else {
            line
        });
    }
}

/// The name of the next file that is finished: a number, as a clock may jump back. The lock of the
/// current file is held, so nobody else takes it.
fn next_name(dir: &Path) -> Result<String> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let last: u64 = all_files(dir)?.iter().filter_map(number).max().unwrap_or(0);
    Ok(format!("{:012}{ENDING}", last + 1))
}

fn line(event: &Event) -> Result<Vec<u8>> {
    let encode = |event: &Event| {
        serde_json::to_vec(event)
            .map_err(|error| Error::defect(format!("an event can't be written: {error}")))
    };
    let mut bytes = encode(event)?;
    if bytes.len() >= LONGEST_LINE {
        let mut event = event.clone();
        event.caches.truncate(100);
        let texts = [
            &mut event.run.workflow,
            &mut event.run.job,
            &mut event.run.step,
            &mut event.run.git_ref,
        ];
        let keys = event.caches.iter_mut().map(|cache| &mut cache.key);
        for text in keys.chain(texts).chain(&mut event.error) {
            *text = text.chars().take(CUT_KEY).collect();
        }
        bytes = encode(&event)?;
    }
    bytes.push(b'\n');
    Ok(bytes)
}

/// The files of a journal, the oldest first.
fn all_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let is_journal = |name: &&OsStr| name.to_str().is_some_and(|name| name.ends_with(ENDING));
    // The names of finished files are numbers, which sort before the current one's.
    Ok(files::list(dir)?
        .iter()
        .map(AsRef::as_ref)
        .filter(is_journal)
        .map(|name| dir.join(name))
        .collect())
}

fn bound(dir: &Path, bounds: JournalLimits) -> Result<()> {
    let mut sized = Vec::new();
    for path in all_files(dir)? {
        let size = files::stat(&path)?.map_or(0, |stat| stat.size);
        sized.push((path, size));
    }
    // Room for the one that is being begun.
    let mut total: u64 = sized.iter().map(|(_, size)| size).sum::<u64>() + bounds.file_bytes;
    for (path, size) in sized {
        if total <= bounds.total_bytes {
            break;
        }
        files::remove(&path)?;
        total -= size;
    }
    Ok(())
}

/// What was read of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalContents {
    /// The events, by time.
    pub events: Vec<Event>,
    /// Lines that are none.
    pub skipped_lines: u64,
}

/// Reads the journal in `dir`; one that does not exist is empty.
///
/// What stands after the last line end is a line that somebody is writing just now.
pub fn read(dir: &Path) -> Result<JournalContents> {
    let mut all = JournalContents::default();
    let mut seen = HashSet::new();
    // A second look finds the file that got another name, while the first one read what was begun
    // after it.
    for path in all_files(dir)?.into_iter().chain(again(dir)) {
        let Some(stat) = files::stat(&path)? else {
            continue;
        };
        if !seen.insert((stat.device, stat.inode)) {
            continue;
        }
        if stat.kind != FileKind::File {
            all.skipped_lines += 1;
            continue;
        }
        match files::read(&path) {
            Ok(bytes) => {
                let whole = bytes
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1);
                let mut read = parse(&bytes[..whole]);
                // The first file is often the only one.
                if all.events.is_empty() {
                    std::mem::swap(&mut all.events, &mut read.events);
                }
                all.events.append(&mut read.events);
                all.skipped_lines += read.skipped_lines;
            }
            // Removed since.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    all.events.sort_by_key(|event| event.time);
    Ok(all)
}

/// Reads the end of what was appended last: whole lines of at most so many bytes.
pub fn read_recent(dir: &Path, bytes: u64) -> Result<JournalContents> {
    let path = dir.join(CURRENT);
    let end = match files::read_tail(&path, bytes) {
        Err(error) if error.is_not_found() => return Ok(JournalContents::default()),
        other => other?,
    };
    let from = if (end.len() as u64) < bytes {
        0
    } else {
        end.iter()
            .position(|byte| *byte == b'\n')
            .map_or(end.len(), |at| at + 1)
    };
    let to = end
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut read = parse(&end[from.min(to)..to]);
    read.events.sort_by_key(|event| event.time);
    Ok(read)
}

/// The files of a journal as they are when the first of them is asked for.
fn again(dir: &Path) -> impl Iterator<Item = PathBuf> {
    std::iter::once_with(move || all_files(dir).unwrap_or_default()).flatten()
}

/// Reads lines; on all threads, as there may be many.
pub fn parse(bytes: &[u8]) -> JournalContents {
    const PART: usize = 256 << 10;
    let mut parts = Vec::with_capacity(bytes.len() / PART + 1);
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest
            .get(PART..)
            .and_then(|rest| memchr(b'\n', rest))
            .map_or(rest.len(), |at| PART + at + 1);
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    let read: Vec<JournalContents> = parts.into_par_iter().map(parse_part).collect();
    let count = read.iter().map(|read| read.events.len()).sum();
    let mut all = JournalContents {
        events: Vec::with_capacity(count),
        skipped_lines: 0,
    };
    for mut read in read {
        all.events.append(&mut read.events);
        all.skipped_lines += read.skipped_lines;
    }
    all
}

fn parse_part(bytes: &[u8]) -> JournalContents {
    let mut read = JournalContents::default();
    let mut from = 0;
    for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = bytes[from..end].trim_ascii();
        from = end + 1;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(event) => read.events.push(event),
            Err(_) => read.skipped_lines += 1,
        }
    }
    read
}
