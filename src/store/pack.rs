//! Packs: contents of many small files in one file. They are read sequentially and removed with one
//! call.
//!
//! `docs/format.md` describes the format. A pack is named by the digest of its index, and the index
//! holds the digest of each content, so the name covers the whole file.

use std::fs::File;
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::fs::{files, is_mostly_holes};

const MAGIC: &[u8; 8] = b"lc-pack\n";
const VERSION: u32 = 1;
const HEADER: usize = 16;
const RECORD: usize = Digest::LEN + 4;
const TRAILER: usize = 8 + 4 + 4 + Digest::LEN;

/// The maximum length of a content in a pack. Longer ones are blobs.
pub(crate) const LARGEST_CONTENT: u64 = 256 << 10;

/// One content in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRecord {
    pub digest: Digest,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u32,
}

/// The contents of a pack, in the order of their offsets.
#[derive(Clone, Debug)]
pub struct PackIndex {
    pub records: Vec<PackRecord>,
}

impl PackIndex {
    /// Total length of all contents, in bytes.
    pub fn bytes(&self) -> u64 {
        self.records
            .iter()
            .map(|record| u64::from(record.length))
            .sum()
    }

    /// Reads the index of the pack `id` in the open file `path`.
    pub fn read(file: &File, id: &Digest, path: &Path) -> Result<Self> {
        let length = files::length(file, path)?;
        let too_short = || Error::damaged(path, "it is too short");
        let trailer_at = length.checked_sub(TRAILER as u64).ok_or_else(too_short)?;
        check_header(file, path)?;
        let (index_at, count) = read_trailer(file, id, trailer_at, path)?;
        // Checked before the index is allocated: a damaged count could exceed the memory.
        if index_at.checked_add(u64::from(count) * RECORD as u64) != Some(trailer_at) {
            return Err(Error::damaged(
                path,
                "its index has another length than it should",
            ));
        }
        let length = u64::from(count) * RECORD as u64;
        if is_mostly_holes(file, index_at, length).context("read", || path)? {
            return Err(Error::damaged(path, "most of its index is holes"));
        }
        let mut index = vec![0; count as usize * RECORD];
        read(file, &mut index, index_at, path)?;
        if Digest::of(&index) != *id {
            return Err(Error::damaged(
                path,
                "its index does not have the digest it should",
            ));
        }
        let (records, end) = decode_records(&index);
        if end != index_at {
            return Err(Error::damaged(
                path,
                "its contents have another length than its index says",
            ));
        }
        Ok(Self { records })
    }
}

#[cfg(any(test, fuzzing))]
impl PackIndex {
    /// A pack with any contents and any index, and the header and trailer of these.
    pub(crate) fn forge(contents: &[u8], index: &[u8]) -> (Vec<u8>, Digest) {
        let id = Digest::of(index);
        let index_at = (HEADER + contents.len()) as u64;
        let count = u32::try_from(index.len() / RECORD).unwrap_or(u32::MAX);
        let pack = [
            &MAGIC[..],
            &VERSION.to_le_bytes(),
            &[0; 4],
            contents,
            index,
            &index_at.to_le_bytes(),
            &count.to_le_bytes(),
            &[0; 4],
            id.as_bytes(),
        ];
        (pack.concat(), id)
    }
}

impl PackRecord {
    /// Reads the content into `buffer`. False if it does not have the right digest.
    pub(super) fn read_verified(
        &self,
        file: &File,
        buffer: &mut Vec<u8>,
        path: &Path,
    ) -> Result<bool> {
        buffer.resize(self.length as usize, 0);
        let is_complete =
            files::read_exact_at(file, buffer, self.offset).context("read", || path)?;
        Ok(is_complete && Digest::of(buffer) == self.digest)
    }
}

/// Returns the offset of the index and the number of its records.
fn read_trailer(file: &File, id: &Digest, at: u64, path: &Path) -> Result<(u64, u32)> {
    let mut trailer = [0; TRAILER];
    read(file, &mut trailer, at, path)?;
    let index_at = u64::from_le_bytes(array(&trailer[..8]));
    let count = u32::from_le_bytes(array(&trailer[8..12]));
    if trailer[12..16] != [0; 4] || trailer[16..] != *id.as_bytes() {
        return Err(Error::damaged(
            path,
            "its trailer is not the one of this pack",
        ));
    }
    Ok((index_at, count))
}

/// Returns the records and the offset after the last content.
fn decode_records(index: &[u8]) -> (Vec<PackRecord>, u64) {
    let mut records = Vec::with_capacity(index.len() / RECORD);
    // Offsets are not stored: the contents follow one another without gaps.
    let mut offset = HEADER as u64;
    for record in index.chunks_exact(RECORD) {
        let length = u32::from_le_bytes(array(&record[Digest::LEN..]));
        let digest = Digest::from_bytes(array(&record[..Digest::LEN]));
        records.push(PackRecord {
            digest,
            offset,
            length,
        });
        offset += u64::from(length);
    }
    (records, offset)
}

fn check_header(file: &File, path: &Path) -> Result<()> {
    let mut header = [0; HEADER];
    read(file, &mut header, 0, path)?;
    // A pack with another version number is damaged: it would be in a store of another version.
    if header[..8] != *MAGIC || header[8..12] != VERSION.to_le_bytes() || header[12..] != [0; 4] {
        return Err(Error::damaged(path, "it does not begin like a pack"));
    }
    Ok(())
}

fn read(file: &File, buffer: &mut [u8], at: u64, path: &Path) -> Result<()> {
    if files::read_exact_at(file, buffer, at).context("read", || path)? {
        Ok(())
    } else {
        Err(Error::damaged(path, "it is too short"))
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// Writes a pack. It is readable after [`PackWriter::finish`].
pub struct PackWriter {
    file: File,
    path: PathBuf,
    index: Vec<u8>,
    end: u64,
}

impl PackWriter {
    /// Begins a pack in a new file, whose path is `path`.
    pub(super) fn begin(mut file: File, path: PathBuf) -> Result<Self> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        file.write_all(&header).context("write", || &path)?;
        Ok(Self {
            file,
            path,
            index: Vec::new(),
            end: HEADER as u64,
        })
    }

    pub fn length(&self) -> u64 {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Appends contents, each with its digest.
    pub fn append(&mut self, contents: &[(Digest, &[u8])]) -> Result<()> {
        // If the write below fails, the index names contents that are not in the file. Callers then
        // drop the writer without `finish`, and the pack has no name yet.
        for (digest, data) in contents {
            let length = u32::try_from(data.len()).map_err(|_| {
                Error::defect(format!("{} bytes are too many for a pack", data.len()))
            })?;
            self.index.extend_from_slice(digest.as_bytes());
            self.index.extend_from_slice(&length.to_le_bytes());
            self.end += u64::from(length);
        }
        let mut slices: Vec<IoSlice<'_>> = contents
            .iter()
            .map(|(_, data)| IoSlice::new(data))
            .collect();
        write_all_vectored(&mut self.file, &mut slices).context("write", || &self.path)
    }

    /// Writes the index. Returns the pack's id, and the path from which it is to be renamed.
    pub fn finish(mut self) -> Result<(Digest, PathBuf)> {
        let id = Digest::of(&self.index);
        let count = u32::try_from(self.index.len() / RECORD)
            .map_err(|_| Error::defect("there are too many contents for a pack"))?;
        let mut end = self.index;
        end.extend_from_slice(&self.end.to_le_bytes());
        end.extend_from_slice(&count.to_le_bytes());
        end.extend_from_slice(&[0; 4]);
        end.extend_from_slice(id.as_bytes());
        self.file.write_all(&end).context("write", || &self.path)?;
        Ok((id, self.path))
    }
}

fn write_all_vectored(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> std::io::Result<()> {
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            // Only empty contents remain; writing them is no error.
            Ok(0) if slices.iter().all(|slice| slice.is_empty()) => break,
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_pack(path: PathBuf) -> PackWriter {
        PackWriter::begin(files::create_new(&path, 0o644).unwrap(), path).unwrap()
    }

    #[test]
    fn the_index_holds_offsets_and_digests() {
        let dir = tempfile::tempdir().unwrap();
        let contents: Vec<Vec<u8>> = (0..100).map(|n| vec![n; usize::from(n) * 37 + 1]).collect();
        let mut writer = new_pack(dir.path().join("p"));
        for pair in contents.chunks(3) {
            let with_digests: Vec<_> = pair
                .iter()
                .map(|data| (Digest::of(data), &data[..]))
                .collect();
            writer.append(&with_digests).unwrap();
        }
        let (id, path) = writer.finish().unwrap();
        let file = files::open(&path).unwrap();
        let index = PackIndex::read(&file, &id, &path).unwrap();
        assert_eq!(index.records.len(), contents.len());
        for (record, data) in index.records.iter().zip(&contents) {
            let mut found = vec![0; record.length as usize];
            assert!(files::read_exact_at(&file, &mut found, record.offset).unwrap());
            assert_eq!(&found, data);
            assert_eq!(record.digest, Digest::of(data));
        }
    }

    #[test]
    fn a_truncated_pack_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = new_pack(dir.path().join("p"));
        writer.append(&[(Digest::of(b"abc"), b"abc")]).unwrap();
        let (id, path) = writer.finish().unwrap();
        let whole = files::read(&path).unwrap();
        for length in 0..whole.len() {
            let cut = dir.path().join(format!("cut-{length}"));
            files::write_new(&cut, 0o644, &whole[..length]).unwrap();
            let error = PackIndex::read(&files::open(&cut).unwrap(), &id, &cut).unwrap_err();
            assert!(error.is_damage(), "cut to {length}: {error}");
        }
    }
}
