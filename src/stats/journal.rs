//! The journal: a directory of files of lines, to which many processes append while others read.
//!
//! # Why it is readable at any instant
//!
//! - A line is appended with one write, under the lock of the file. So lines of two processes never
//!   mix, even on filesystems where appending is not atomic (NFS).
//! - A process that is killed while it writes, or a full disk, leaves an incomplete line. The next
//!   process ends that line first, so only one line is lost.
//! - Readers take no lock. They skip and count lines that are no events. An incomplete line at the
//!   end is not counted: a process is writing it.
//! - A full file is renamed under its lock, and a new one is started. A process that waited for the
//!   lock detects that the name refers to another file and opens that one. If all files together
//!   are too large, the oldest are removed.
//!
//! The machine's clock may jump back, so lines are not in the order of their times. Readers sort
//! them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use memchr::{memchr, memchr_iter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::fs::{AppendFile, BaseDir, WrongFile, files, wait_for_lock};
use crate::monitor::Silent;
use crate::stats::event::Event;

/// The file that is appended to.
const CURRENT: &str = "events.jsonl";
const ENDING: &str = ".jsonl";

/// How large files get, and all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Bytes from which a new file is started.
    pub file_bytes: u64,
    /// Bytes beyond which the oldest files are removed.
    pub total_bytes: u64,
}

impl Default for JournalLimits {
    /// Enough for about 150,000 events.
    fn default() -> Self {
        Self {
            file_bytes: 8 << 20,
            total_bytes: 64 << 20,
        }
    }
}

/// The maximum length of a line, in bytes. In a longer one, texts are truncated.
const MAX_LINE: usize = 64 << 10;
/// The maximum length of a file that is read, in bytes. Files are closed long before.
const MAX_FILE: u64 = 256 << 20;
/// The length of truncated texts, in characters.
const MAX_TEXT: usize = 40;
/// How long to wait for another process that is appending.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Appends an event to the journal in `dir`; new files get `mode`.
pub fn append(dir: &BaseDir, event: &Event, mode: u32, limits: JournalLimits) -> Result<()> {
    let line = encode_line(event)?;
    loop {
        let open = || AppendFile::open(dir, dir.path().join(CURRENT), mode);
        let mut file = wait_for_lock(LOCK_TIMEOUT, &Silent, open)?.ok_or_else(|| Error::Busy {
            what: format!("the journal {}", dir.path().display()),
        })?;
        let length = file.length()?;
        if length > 0 && length + line.len() as u64 > limits.file_bytes {
            file.rename(&dir.path().join(next_name(dir)?))?;
            drop(file);
            remove_oldest(dir, limits)?;
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

/// The name of the next full file: a number, because the clock may jump back. No other process uses
/// it, because the caller holds the lock of the current file.
fn next_name(dir: &BaseDir) -> Result<String> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let last: u64 = list_files(dir)?
        .iter()
        .filter_map(number)
        .max()
        .unwrap_or(0);
    Ok(format!("{:012}{ENDING}", last + 1))
}

fn encode_line(event: &Event) -> Result<Vec<u8>> {
    let encode = |event: &Event| {
        serde_json::to_vec(event)
            .map_err(|error| Error::defect(format!("an event cannot be written: {error}")))
    };
    let mut bytes = encode(event)?;
    if bytes.len() >= MAX_LINE {
        bytes = encode(&truncated(event.clone()))?;
    }
    bytes.push(b'\n');
    Ok(bytes)
}

fn truncated(mut event: Event) -> Event {
    event.caches.truncate(100);
    let texts = [
        &mut event.run.workflow,
        &mut event.run.job,
        &mut event.run.step,
        &mut event.run.git_ref,
    ];
    let keys = event.caches.iter_mut().map(|cache| &mut cache.key);
    for text in keys.chain(texts).chain(&mut event.error) {
        *text = text.chars().take(MAX_TEXT).collect();
    }
    event
}

/// The files of a journal, the oldest first.
fn list_files(dir: &BaseDir) -> Result<Vec<PathBuf>> {
    let is_journal = |name: &&OsStr| name.to_str().is_some_and(|name| name.ends_with(ENDING));
    // The names of full files are numbers, which sort before `events`.
    Ok(dir
        .list(dir.path())?
        .iter()
        .map(AsRef::as_ref)
        .filter(is_journal)
        .map(|name| dir.path().join(name))
        .collect())
}

fn remove_oldest(dir: &BaseDir, limits: JournalLimits) -> Result<()> {
    let mut sized = Vec::new();
    for path in list_files(dir)? {
        let size = dir.stat(&path)?.map_or(0, |stat| stat.size);
        sized.push((path, size));
    }
    // Includes the file that is about to be started.
    let mut total: u64 = sized.iter().map(|(_, size)| size).sum::<u64>() + limits.file_bytes;
    for (path, size) in sized {
        if total <= limits.total_bytes {
            break;
        }
        dir.remove(&path)?;
        total -= size;
    }
    Ok(())
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalContents {
    pub events: Vec<Event>,
    /// Number of lines that are no events.
    pub skipped_lines: u64,
}

impl JournalContents {
    fn append(&mut self, mut other: Self) {
        // The first file is often the only one.
        if self.events.is_empty() {
            std::mem::swap(&mut self.events, &mut other.events);
        }
        self.events.append(&mut other.events);
        self.skipped_lines += other.skipped_lines;
    }
}

/// Reads the journal in `dir`.
///
/// Ignores an incomplete line at the end of a file: a process is writing it.
pub fn read(dir: &BaseDir) -> Result<JournalContents> {
    let mut all = JournalContents::default();
    let mut seen = HashSet::new();
    // The current file may be renamed while the others are read. The second listing finds it under
    // its new name.
    for path in list_files(dir)?.into_iter().chain(list_again(dir)) {
        let Some(stat) = dir.stat(&path)? else {
            continue;
        };
        if !seen.insert((stat.device, stat.inode)) {
            continue;
        }
        match dir.read(&path, MAX_FILE) {
            Ok(bytes) => all.append(parse(complete_lines(&bytes))),
            // It was removed meanwhile.
            Err(error) if error.is_not_found() => {}
            // It is no file of the journal.
            Err(error) if WrongFile::of(&error).is_some() => all.skipped_lines += 1,
            Err(error) => return Err(error),
        }
    }
    all.events.sort_by_key(|event| event.time);
    Ok(all)
}

/// The bytes up to the last line end.
fn complete_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    &bytes[..end]
}

/// Reads the last complete lines, at most `bytes` bytes.
pub(crate) fn read_recent(dir: &BaseDir, bytes: u64) -> Result<JournalContents> {
    let path = dir.path().join(CURRENT);
    let end = match dir
        .open_file(&path)
        .and_then(|file| files::read_tail(&file, &path, bytes))
    {
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
    let mut read = parse(complete_lines(&end[from..]));
    read.events.sort_by_key(|event| event.time);
    Ok(read)
}

/// Lists the files when the iterator is first advanced.
fn list_again(dir: &BaseDir) -> impl Iterator<Item = PathBuf> {
    std::iter::once_with(move || list_files(dir).unwrap_or_default()).flatten()
}

/// Parses lines, on all threads.
pub fn parse(bytes: &[u8]) -> JournalContents {
    const CHUNK: usize = 256 << 10;
    let mut chunks = Vec::with_capacity(bytes.len() / CHUNK + 1);
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest
            .get(CHUNK..)
            .and_then(|rest| memchr(b'\n', rest))
            .map_or(rest.len(), |at| CHUNK + at + 1);
        let (chunk, after) = rest.split_at(end);
        chunks.push(chunk);
        rest = after;
    }
    let read: Vec<JournalContents> = chunks.into_par_iter().map(parse_chunk).collect();
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

fn parse_chunk(bytes: &[u8]) -> JournalContents {
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
