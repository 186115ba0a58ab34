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
