//! Reads ranges of segments, checks contents and writes them into the local store, on several
//! threads. Each thread asks for its next range before it works on the last one.

use std::collections::HashMap;
use std::sync::Mutex;

use super::plan::{DownloadUnit, RangeOfFrames, WantedContent, pieces, range_of};
use crate::digest::Digest;
use crate::error::Error;
use crate::monitor::Monitor;
use crate::remote::client::{PendingRange, RANGES_AT_ONCE, RemoteClient};
use crate::remote::error::{RemoteError, RemoteResult};
use crate::remote::manifest::RemoteFrame;
use crate::remote::name::GroupName;
use crate::store::save::{ContentWriter, PackSlot};
use crate::workers::{self, JobQueue};

/// Threads that download. Each holds two ranges of up to 4 MiB and a frame.
const THREADS: usize = RANGES_AT_ONCE / 2;

/// Where contents come from and go to.
#[derive(Clone, Copy)]
pub(super) struct DownloadTarget<'a> {
    pub(super) client: &'a RemoteClient,
    pub(super) group: &'a GroupName,
    pub(super) writer: &'a ContentWriter<'a>,
    pub(super) monitor: &'a dyn Monitor,
}

/// The packs of the contents that went into packs.
pub(super) type PackSlots = HashMap<Digest, PackSlot>;

/// Downloads all units.
pub(super) fn download(
    target: DownloadTarget<'_>,
    units: &[DownloadUnit],
) -> RemoteResult<PackSlots> {
    let slots = Mutex::new(PackSlots::new());
    workers::on_threads(THREADS, units, |queue| target.run(queue, &slots))?;
    Ok(workers::into_inner(slots))
}

impl<'a> DownloadTarget<'a> {
    fn run(
        &self,
        queue: &JobQueue<'_, DownloadUnit, RemoteError>,
        slots: &Mutex<PackSlots>,
    ) -> RemoteResult<()> {
        let mut current = self.start(queue.take())?;
        while let Some((unit, range)) = current {
            if self.monitor.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            let next = self.start(queue.take())?;
            match unit {
                DownloadUnit::Small(unit) => self.store_small(unit, range, slots)?,
                DownloadUnit::Large(wanted) => self.store_large(wanted, range)?,
            }
            current = next;
        }
        Ok(())
    }

    /// Starts the first request of a unit.
    fn start<'u>(
        &self,
        unit: Option<&'u DownloadUnit>,
    ) -> RemoteResult<Option<(&'u DownloadUnit, PendingRange<'a>)>> {
        let Some(unit) = unit else {
            return Ok(None);
        };
        let range = match unit {
            DownloadUnit::Small(range) => {
                let bytes = range.bytes.start.into()..range.bytes.end.into();
                let name = self.group.segment(&range.segment.digest);
                self.client.start_range(&name, bytes)?
            }
            DownloadUnit::Large(wanted) => self.start_piece(pieces(&wanted.content.frames)[0])?,
        };
        Ok(Some((unit, range)))
    }

    fn start_piece(&self, piece: &[RemoteFrame]) -> RemoteResult<PendingRange<'a>> {
        let name = self.segment_name(piece);
        self.client.start_range(&name, range_of(piece))
    }

    fn segment_name(&self, piece: &[RemoteFrame]) -> String {
        self.group.segment(&piece[0].segment.digest)
    }

    fn store_small(
        &self,
        unit: &RangeOfFrames,
        range: PendingRange<'_>,
        slots: &Mutex<PackSlots>,
    ) -> RemoteResult<()> {
        let bytes = range.wait(self.monitor)?;
        for (frame, contents) in &unit.frames {
            let start = (frame.range.offset - unit.bytes.start) as usize;
            let plain = bytes
                .get(start..start + frame.range.packed as usize)
                .and_then(|packed| frame.range.unpack(packed))
                .ok_or_else(|| self.damaged(frame, "a frame cannot be unpacked"))?;
            self.monitor.advance(frame.range.packed.into());
            self.store_contents(frame, contents, &plain, slots)?;
        }
        Ok(())
    }

    /// Stores the contents of one frame.
    fn store_contents(
        &self,
        frame: &RemoteFrame,
        contents: &[WantedContent],
        plain: &[u8],
        slots: &Mutex<PackSlots>,
    ) -> RemoteResult<()> {
        let mut packed: Vec<(Digest, &[u8])> = Vec::new();
        for wanted in contents {
            let start = wanted.content.start as usize;
            let data = usize::try_from(wanted.content.length)
                .ok()
                .and_then(|length| plain.get(start..start.checked_add(length)?))
                .filter(|data| Digest::of(data) == wanted.digest)
                .ok_or_else(|| self.damaged(frame, "contents have another digest"))?;
            if wanted.in_pack {
                packed.push((wanted.digest, data));
            }
            if wanted.as_blob {
                let mut blob = self.writer.begin_blob()?;
                blob.write(data)?;
                blob.publish()?;
            }
        }
        if !packed.is_empty() {
            let found = self.writer.put_in_pack(&packed)?;
            let digests = packed.iter().map(|(digest, _)| *digest);
            workers::lock(slots).extend(digests.zip(found));
        }
        Ok(())
    }

    fn store_large(&self, wanted: &WantedContent, first: PendingRange<'a>) -> RemoteResult<()> {
        let frames = &wanted.content.frames;
        let pieces = pieces(frames);
        let mut blob = self.writer.begin_blob()?;
        let mut pending = Some(first);
        for (number, piece) in pieces.iter().enumerate() {
            let Some(range) = pending.take() else {
                break;
            };
            if self.monitor.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            if let Some(next) = pieces.get(number + 1) {
                pending = Some(self.start_piece(next)?);
            }
            let bytes = range.wait(self.monitor)?;
            let mut at = 0;
            for frame in *piece {
                let end = at + frame.range.packed as usize;
                let plain = bytes
                    .get(at..end)
                    .and_then(|packed| frame.range.unpack(packed))
                    .ok_or_else(|| self.damaged(frame, "a frame cannot be unpacked"))?;
                self.monitor.advance(frame.range.packed.into());
                blob.write(&plain)?;
                at = end;
            }
        }
        if blob.digest() != wanted.digest {
            return Err(self.damaged(&frames[0], "contents have another digest"));
        }
        blob.publish()?;
        Ok(())
    }

    fn damaged(&self, frame: &RemoteFrame, reason: &str) -> RemoteError {
        RemoteError::damaged(&self.segment_name(&[*frame]), reason)
    }
}
