//! Reads the bytes of an index, versions 2, 3 and 4.
//!
//! The bytes are not trusted: nothing is allocated for a length or a count that the bytes cannot
//! have. The hash at the end is not compared: git itself does not do so when it reads an index
//! (it replaces an index by a rename, so nobody sees half of one), and changed metadata only makes
//! a file count as changed.

use super::model::{Index, IndexEntry, IndexTime};
use crate::fs::Timestamp;
use crate::git::blob::{BlobId, ObjectFormat};

/// No path is longer: the kernel takes none with more bytes.
const LONGEST_PATH: usize = 4096;
/// The paths of a larger index would not fit into the offsets of its entries; a version 4 index can
/// have paths that need far more bytes than the file itself.
const MAX_PATH_BYTES: usize = 1 << 30;
/// Ten numbers of four bytes.
const STAT_LEN: usize = 40;

const ASSUME_VALID: u16 = 1 << 15;
const EXTENDED: u16 = 1 << 14;
const STAGE: u16 = 3 << 12;
const NAME_LENGTH: u16 = 0xfff;
const SKIP_WORKTREE: u16 = 1 << 14;
const INTENT_TO_ADD: u16 = 1 << 13;
const DIRECTORY_MODE: u32 = 0o040_000;

/// What was read, or why the index cannot be used.
type Parsed<T> = Result<T, String>;

impl Index {
    /// Reads the bytes of an index whose mtime is `written`.
    ///
    /// Errors, as the end of a message: a format that is not supported (a split or sparse index),
    /// or damage.
    pub fn parse(bytes: &[u8], format: ObjectFormat, written: Timestamp) -> Parsed<Self> {
        let (entries, paths) = parse(bytes, format)?;
        Ok(Self {
            entries,
            paths,
            written,
        })
    }
}

/// The entries and their paths.
fn parse(bytes: &[u8], format: ObjectFormat) -> Parsed<(Vec<IndexEntry>, Vec<u8>)> {
    let end = bytes.len().checked_sub(format.id_len());
    let mut input = IndexBytes {
        bytes: end.and_then(|end| bytes.get(..end)).ok_or_else(broken)?,
        at: 0,
    };
    if input.take(4)? != b"DIRC" {
        return Err(broken());
    }
    let version = input.u32()?;
    if !(2..=4).contains(&version) {
        return Err(unsupported(&format!("version {version}")));
    }
    let count = input.u32()? as usize;
    // An entry has at least its numbers, its flags and two more bytes.
    if count > input.rest().len() / (STAT_LEN + format.id_len() + 4) {
        return Err(broken());
    }
    let mut parser = Parser {
        input,
        version,
        format,
        entries: Vec::with_capacity(count),
        paths: Vec::with_capacity(input.rest().len().min(count * 64)),
        previous: None,
    };
    for _ in 0..count {
        parser.entry()?;
    }
    check_extensions(parser.input)?;
    Ok((parser.entries, parser.paths))
}

struct Parser<'b> {
    input: IndexBytes<'b>,
    version: u32,
    format: ObjectFormat,
    entries: Vec<IndexEntry>,
    paths: Vec<u8>,
    /// Where the path of the previous entry begins, and its stage.
    previous: Option<(usize, u16)>,
}

impl Parser<'_> {
    fn entry(&mut self) -> Parsed<()> {
        let start = self.input.at;
        let ctime = self.input.time()?;
        let mtime = self.input.time()?;
        let _device = self.input.u32()?;
        let inode = self.input.u32()?;
        let mode = self.input.u32()?;
        let _owner_and_group = self.input.take(8)?;
        let size = self.input.u32()?;
        if mode == DIRECTORY_MODE {
            return Err(unsupported("a sparse index"));
        }
        let id = self.input.take(self.format.id_len())?;
        let blob = BlobId::from_bytes(id).ok_or_else(broken)?;
        let flags = self.input.u16()?;
        let more_flags = match flags & EXTENDED {
            0 => 0,
            _ if self.version == 2 => return Err(broken()),
            _ => self.input.u16()?,
        };
        let path_start = self.paths.len();
        if self.version == 4 {
            self.compressed_path()?;
        } else {
            self.padded_path(start, usize::from(flags & NAME_LENGTH))?;
        }
        self.check_order(path_start, flags & STAGE)?;
        let offset = |at: usize| u32::try_from(at).map_err(|_| broken());
        self.entries.push(IndexEntry {
            path: offset(path_start)?..offset(self.paths.len())?,
            blob,
            is_comparable: flags & (ASSUME_VALID | STAGE) == 0
                && more_flags & (SKIP_WORKTREE | INTENT_TO_ADD) == 0,
            mode,
            ctime,
            mtime,
            inode,
            size,
        });
        Ok(())
    }

    /// A path that ends with one to eight NUL bytes, so that the entry's length is a multiple of
    /// eight. A length of 4095 stands for any longer one too.
    fn padded_path(&mut self, entry_start: usize, length: usize) -> Parsed<()> {
        let length = if length == usize::from(NAME_LENGTH) {
            self.input.distance_to_nul()?
        } else {
            length
        };
        let path = self.input.take(length)?;
        check_path(path)?;
        self.paths.extend_from_slice(path);
        let padding = 8 - (self.input.at - entry_start) % 8;
        if self.input.take(padding)?.iter().any(|byte| *byte != 0) {
            return Err(broken());
        }
        Ok(())
    }

    /// How many bytes to remove from the end of the previous path, and what to append to the rest.
    fn compressed_path(&mut self) -> Parsed<()> {
        let removed = self.input.variable_length()?;
        let added_length = self.input.distance_to_nul()?;
        let added = self.input.take(added_length)?;
        let _nul = self.input.take(1)?;
        let start = self.paths.len();
        let previous = self.previous.map_or(start, |(at, _)| at);
        let kept = (start - previous).checked_sub(removed).ok_or_else(broken)?;
        if self.paths.len() + kept + added_length > MAX_PATH_BYTES {
            return Err(unsupported("its size"));
        }
        self.paths.extend_from_within(previous..previous + kept);
        self.paths.extend_from_slice(added);
        check_path(&self.paths[start..])
    }

    /// Lookups rely on the order.
    fn check_order(&mut self, start: usize, stage: u16) -> Parsed<()> {
        if let Some((at, previous_stage)) = self.previous {
            let (previous, path) = (&self.paths[at..start], &self.paths[start..]);
            if (previous, previous_stage) >= (path, stage) {
                return Err(broken());
            }
        }
        self.previous = Some((start, stage));
        Ok(())
    }
}

fn check_path(path: &[u8]) -> Parsed<()> {
    if path.is_empty() {
        // An entry that replaces one of the shared index.
        return Err(unsupported("a split index"));
    }
    if path.len() > LONGEST_PATH || path.contains(&0) {
        Err(broken())
    } else {
        Ok(())
    }
}

/// Optional extensions, whose names begin with a capital letter, change nothing about the entries.
fn check_extensions(mut input: IndexBytes<'_>) -> Parsed<()> {
    while !input.rest().is_empty() {
        let name = input.take(4)?;
        let length = input.u32()? as usize;
        match name {
            b"link" => return Err(unsupported("a split index")),
            b"sdir" => return Err(unsupported("a sparse index")),
            [first, ..] if first.is_ascii_uppercase() => {}
            _ => return Err(unsupported("an unknown extension")),
        }
        let _ = input.take(length)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct IndexBytes<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> IndexBytes<'b> {
    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Parsed<&'b [u8]> {
        let taken = self.rest().get(..length).ok_or_else(broken)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| broken())
    }

    fn u32(&mut self) -> Parsed<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u16(&mut self) -> Parsed<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn time(&mut self) -> Parsed<IndexTime> {
        Ok(IndexTime {
            seconds: self.u32()?,
            nanoseconds: self.u32()?,
        })
    }

    fn distance_to_nul(&self) -> Parsed<usize> {
        memchr::memchr(0, self.rest()).ok_or_else(broken)
    }

    /// A number in groups of seven bits, the highest first; each but the last has bit 7 and counts
    /// one more than its bits.
    fn variable_length(&mut self) -> Parsed<usize> {
        let [mut byte] = self.array()?;
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            [byte] = self.array()?;
            value = (value + 1)
                .checked_mul(128)
                .map(|value| value + usize::from(byte & 0x7f))
                .filter(|value| *value <= LONGEST_PATH)
                .ok_or_else(broken)?;
        }
        Ok(value)
    }
}

fn broken() -> String {
    "it is damaged".to_owned()
}

fn unsupported(what: &str) -> String {
    format!("{what} is not supported")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An index of version 2 with files of these names.
    fn index(names: &[&str]) -> Vec<u8> {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\0".to_vec();
        bytes.push(u8::try_from(names.len()).unwrap());
        for name in names {
            bytes.extend([0; 24]);
            bytes.extend([0, 0, 0x81, 0xa4]);
            bytes.extend([0; 12 + 20]);
            bytes.extend([0, u8::try_from(name.len()).unwrap()]);
            bytes.extend(name.as_bytes());
            let padding = 8 - (62 + name.len()) % 8;
            bytes.extend(vec![0; padding]);
        }
        bytes
    }

    fn with_hash(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend([0; 20]);
        bytes
    }

    fn parse_sha1(bytes: &[u8]) -> Parsed<(Vec<IndexEntry>, Vec<u8>)> {
        parse(bytes, ObjectFormat::Sha1)
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = with_hash(index(&["a", "b/c"]));
        let (entries, paths) = parse_sha1(&bytes).unwrap();
        assert_eq!((entries.len(), &paths[..]), (2, &b"ab/c"[..]));
        for length in 0..bytes.len() {
            // Without its last bytes, the rest is read as the beginning of an extension.
            assert!(parse_sha1(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn paths_out_of_order_are_damage() {
        for names in [["b", "a"], ["a", "a"]] {
            assert!(parse_sha1(&with_hash(index(&names))).is_err(), "{names:?}");
        }
    }

    #[test]
    fn a_count_that_the_bytes_cannot_have_allocates_nothing() {
        let mut bytes = with_hash(index(&["a"]));
        bytes[8..12].copy_from_slice(&[0xff; 4]);
        assert!(parse_sha1(&bytes).is_err());
    }

    #[test]
    fn only_optional_extensions_are_skipped() {
        let with_extension = |name: &[u8; 4]| {
            let mut bytes = index(&["a"]);
            bytes.extend(name);
            bytes.extend(b"\0\0\0\x02xy");
            parse_sha1(&with_hash(bytes)).map(drop)
        };
        assert!(with_extension(b"TREE").is_ok());
        for (name, text) in [
            (b"link", "split index"),
            (b"sdir", "sparse index"),
            (b"next", "unknown extension"),
        ] {
            let error = with_extension(name).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_sha1(&bytes);
        }

        #[test]
        fn garbage_behind_a_header_never_panics(
            version in 2_u8..5,
            count in 0_u8..6,
            bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..600),
        ) {
            let header = [b'D', b'I', b'R', b'C', 0, 0, 0, version, 0, 0, 0, count];
            let _ = parse_sha1(&[&header[..], &bytes].concat());
        }

        #[test]
        fn changed_bytes_never_panic(
            at in 0_usize..200,
            byte in any::<u8>(),
            version in 2_u8..5,
        ) {
            let mut bytes = with_hash(index(&["a", "b/c", "b/d"]));
            bytes[7] = version;
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = parse_sha1(&bytes);
        }
    }
}
