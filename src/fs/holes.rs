//! Finds the data of sparse files.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use serde::{Deserialize, Serialize};

/// A range of data in a sparse file, in bytes. The holes between extents read as zeros and take no
/// space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
}

/// The extents of a file of `size` bytes, in order.
///
/// Filesystems without support for holes report one extent.
pub(crate) fn data_extents(file: &File, size: u64) -> io::Result<Vec<Extent>> {
    let mut extents = Vec::new();
    let mut position = 0;
    while position < size {
        let Some(start) = seek(file, position, Whence::SeekData)? else {
            break;
        };
        if start >= size {
            break;
        }
        let end = seek(file, start, Whence::SeekHole)?
            .unwrap_or(size)
            .min(size);
        extents.push(Extent {
            offset: start,
            length: end - start,
        });
        position = end;
    }
    Ok(extents)
}

/// Up to this length a range counts as data in any case.
const SMALL_RANGE: u64 = 1 << 20;

/// Whether most of a large range of a file is holes. A file whose bytes are digests and names has
/// no holes, so a length that is mostly holes is not believed and no memory is reserved for it.
///
/// Filesystems without support for holes have none.
pub(crate) fn is_mostly_holes(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    if length <= SMALL_RANGE {
        return Ok(false);
    }
    let position = lseek(file, 0, Whence::SeekCur)?;
    let result = has_less_data(file, offset, length, length / 2);
    // The caller may read on from where it was.
    lseek(file, position, Whence::SeekSet)?;
    match result {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        other => other,
    }
}

/// Whether a range has less than `limit` bytes of data.
fn has_less_data(file: &File, offset: u64, length: u64, limit: u64) -> io::Result<bool> {
    let end = offset.saturating_add(length);
    let mut data = 0;
    let mut position = offset;
    while let Some(start) = seek(file, position, Whence::SeekData)?
        && start < end
    {
        let hole = seek(file, start, Whence::SeekHole)?.unwrap_or(end).min(end);
        data += hole - start;
        if data >= limit {
            return Ok(false);
        }
        position = hole;
    }
    Ok(true)
}

/// The next position of data or a hole. None if there is none before the end of the file.
fn seek(file: &File, from: u64, whence: Whence) -> io::Result<Option<u64>> {
    let from = i64::try_from(from).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    match lseek(file, from, whence) {
        Ok(position) => Ok(u64::try_from(position).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_is_found_between_and_after_holes() {
        let file = tempfile::tempfile().unwrap();
        let size = 3 << 20;
        file.set_len(size).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[2; 4096], 2 << 20).unwrap();
        let extents = data_extents(&file, size).unwrap();
        let covered = |at: u64| {
            extents
                .iter()
                .any(|run| run.offset <= at && at < run.offset + run.length)
        };
        assert!(covered(1 << 20) && covered((2 << 20) + 4095));
        assert!(
            extents.iter().map(|run| run.length).sum::<u64>() < size,
            "no hole was found: {extents:?}"
        );
    }

    #[test]
    fn only_a_range_with_little_data_is_mostly_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        file.write_all_at(&vec![1; 3 << 20], 4096).unwrap();
        assert!(is_mostly_holes(&file, 0, 1 << 40).unwrap());
        assert!(!is_mostly_holes(&file, 0, 5 << 20).unwrap());
        assert!(is_mostly_holes(&file, 4 << 20, 5 << 20).unwrap());
        assert!(!is_mostly_holes(&file, 8 << 20, SMALL_RANGE).unwrap());
        assert_eq!(lseek(&file, 0, Whence::SeekCur).unwrap(), 0);
    }

    #[test]
    fn a_file_without_holes_is_one_extent() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 10_000], 0).unwrap();
        assert_eq!(
            data_extents(&file, 10_000).unwrap(),
            [Extent {
                offset: 0,
                length: 10_000
            }]
        );
    }
}
