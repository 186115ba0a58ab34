//! Reads contents from the local store, compresses them and writes segments, on several threads.
//!
//! Each thread fills a segment of its own and writes it when it is full, while the others read and
//! compress. So memory is bounded by the number of threads, and the network is used meanwhile.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use super::plan::{LocalContent, UploadUnit};
use crate::digest::Digest;
use crate::error::{Error, IoContext as _};
use crate::fs::files;
use crate::monitor::Monitor;
use crate::remote::client::RemoteClient;
use crate::remote::error::{RemoteError, RemoteResult};
use crate::remote::manifest::{ContentMap, RemoteContent, RemoteFrame};
use crate::remote::name::{GroupName, PushId};
use crate::remote::record::SegmentReference;
use crate::remote::segment::{FrameRange, LARGEST_FRAME, SegmentBuilder};
use crate::store::Store;
use crate::tree::apply::ContentSource as _;
use crate::workers;

/// Threads that upload. Each holds up to a segment of 20 MB and a frame.
const MOST_THREADS: u64 = 3;
/// Another thread starts for each so many bytes. Each ends with a segment that is not full.
const BYTES_PER_THREAD: u64 = 64 << 20;

/// Where the segments of a push go.
#[derive(Clone, Copy)]
pub(super) struct UploadTarget<'a> {
    pub(super) client: &'a RemoteClient,
    pub(super) store: &'a Store,
    pub(super) group: &'a GroupName,
    pub(super) push: &'a PushId,
    pub(super) monitor: &'a dyn Monitor,
}

/// What was uploaded.
#[derive(Default)]
pub(super) struct Uploaded {
    pub(super) contents: ContentMap,
    pub(super) segments: u64,
    pub(super) bytes: u64,
}

/// Uploads all units.
pub(super) fn upload(target: UploadTarget<'_>, units: &[UploadUnit]) -> RemoteResult<Uploaded> {
    let bytes: u64 = units.iter().map(UploadUnit::bytes).sum();
    let threads = (bytes / BYTES_PER_THREAD + 1).min(MOST_THREADS);
    let uploaded = Mutex::new(Uploaded::default());
    workers::on_threads(to_usize(threads), units, |queue| {
        let mut worker = UploadWorker::new(target)?;
        while let Some(unit) = queue.take() {
            worker.upload(unit)?;
        }
        worker.finish(&uploaded)
    })?;
    Ok(workers::into_inner(uploaded))
}

impl UploadUnit {
    fn bytes(&self) -> u64 {
        match self {
            Self::Small(contents) => contents.iter().map(|content| content.length).sum(),
            Self::Large(content) => content.length,
        }
    }
}

struct UploadWorker<'a> {
    target: UploadTarget<'a>,
    builder: SegmentBuilder,
    /// The segments that this thread wrote.
    written: Vec<SegmentReference>,
    contents: Vec<PlacedContent>,
    buffer: Vec<u8>,
}

/// A content and its frames, each with the number of its segment among those of the thread.
struct PlacedContent {
    digest: Digest,
    length: u64,
    start: u32,
    frames: Vec<(usize, FrameRange)>,
}

impl<'a> UploadWorker<'a> {
    fn new(target: UploadTarget<'a>) -> RemoteResult<Self> {
        Ok(Self {
            target,
            builder: SegmentBuilder::new(target.push)?,
            written: Vec::new(),
            contents: Vec::new(),
            buffer: Vec::new(),
        })
    }

    fn upload(&mut self, unit: &UploadUnit) -> RemoteResult<()> {
        if self.target.monitor.is_interrupted() {
            return Err(Error::Interrupted.into());
        }
        match unit {
            UploadUnit::Small(contents) => self.upload_small(contents)?,
            UploadUnit::Large(content) => self.upload_large(content)?,
        }
        self.target.monitor.advance(unit.bytes());
        Ok(())
    }

    fn upload_small(&mut self, contents: &[LocalContent]) -> RemoteResult<()> {
        self.buffer.clear();
        let mut starts = Vec::with_capacity(contents.len());
        let mut opened: Option<(&Path, File)> = None;
        for content in contents {
            let file = match opened.take() {
                Some((path, file)) if path == &*content.path => file,
                _ => self.target.store.open(&content.path)?,
            };
            let start = self.buffer.len();
            starts.push(start);
            self.buffer.resize(start + to_usize(content.length), 0);
            let data = &mut self.buffer[start..];
            read(content, &file, content.offset, data)?;
            if Digest::of(data) != content.digest {
                return Err(other_digest(content));
            }
            opened = Some((&content.path, file));
        }
        let frame = self.builder.append(&self.buffer)?;
        for (content, start) in contents.iter().zip(starts) {
            self.builder.note(content.digest, 0, content.length, start);
            self.contents.push(PlacedContent {
                digest: content.digest,
                length: content.length,
                start: u32::try_from(start).map_err(Error::defect)?,
                frames: vec![(self.written.len(), frame)],
            });
        }
        self.write_if_full()
    }

    fn upload_large(&mut self, content: &LocalContent) -> RemoteResult<()> {
        let file = self.target.store.open(&content.path)?;
        let mut hasher = blake3::Hasher::new();
        let mut frames = Vec::new();
        let mut done = 0;
        while done < content.length {
            let length = (content.length - done).min(LARGEST_FRAME as u64);
            self.buffer.resize(to_usize(length), 0);
            read(content, &file, content.offset + done, &mut self.buffer)?;
            hasher.update(&self.buffer);
            let frame = self.builder.append(&self.buffer)?;
            self.builder.note(content.digest, done, length, 0);
            frames.push((self.written.len(), frame));
            self.write_if_full()?;
            done += length;
        }
        if Digest::from(hasher.finalize()) != content.digest {
            return Err(other_digest(content));
        }
        self.contents.push(PlacedContent {
            digest: content.digest,
            length: content.length,
            start: 0,
            frames,
        });
        Ok(())
    }

    fn write_if_full(&mut self) -> RemoteResult<()> {
        if self.builder.is_full() {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> RemoteResult<()> {
        let UploadTarget {
            client,
            group,
            monitor,
            ..
        } = self.target;
        let segment = self.builder.close()?;
        let reference = SegmentReference {
            digest: segment.digest,
            bytes: segment.bytes.len() as u64,
        };
        client.put(&group.segment(&segment.digest), segment.bytes, monitor)?;
        self.written.push(reference);
        Ok(())
    }

    /// Writes the last segment and adds everything to `uploaded`.
    fn finish(mut self, uploaded: &Mutex<Uploaded>) -> RemoteResult<()> {
        if !self.builder.is_empty() {
            self.write()?;
        }
        let mut uploaded = workers::lock(uploaded);
        uploaded.segments += self.written.len() as u64;
        uploaded.bytes += self.written.iter().map(|it| it.bytes).sum::<u64>();
        for content in self.contents {
            let frames = content.frames.iter().map(|(number, range)| RemoteFrame {
                segment: self.written[*number],
                range: *range,
            });
            let placed = RemoteContent {
                length: content.length,
                start: content.start,
                frames: frames.collect(),
            };
            uploaded.contents.insert(content.digest, placed);
        }
        Ok(())
    }
}

/// Reads a part of a content from its file.
fn read(content: &LocalContent, file: &File, offset: u64, buffer: &mut [u8]) -> RemoteResult<()> {
    let is_whole = files::read_exact_at(file, buffer, offset).context("read", || &*content.path)?;
    if is_whole {
        Ok(())
    } else {
        Err(other_digest(content))
    }
}

fn other_digest(content: &LocalContent) -> RemoteError {
    let reason = format!("the contents {} have another digest", content.digest);
    Error::damaged(&content.path, reason).into()
}

/// A number that fits into memory.
fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
