//! Encodes and decodes stamps.
//!
//! The devices, inodes and ctimes of neighbours differ little, so each is encoded as the difference
//! to the one before, which takes a few bytes.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{InodeState, Stamp};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::tree::model::Tree;

/// The version of the encoding; a stamp of another one is ignored.
const VERSION: u32 = 2;
const NANOSECONDS: i64 = 1_000_000_000;

/// The order of fields is part of the format.
#[derive(Serialize, Deserialize)]
struct WireStamp<S> {
    version: u32,
    manifest: Digest,
    /// The boot in which the stamp is valid.
    boot: String,
    restamped: Option<Timestamp>,
    leaves: S,
    dirs: S,
}

/// The differences of device, inode and ctime (in nanoseconds since the epoch) to the state before.
#[derive(Serialize, Deserialize)]
struct WireState(i64, i64, i64);

impl Stamp {
    /// The encoded stamp of a manifest, valid in the boot `boot`.
    pub(crate) fn encode(&self, manifest: &Digest, boot: &str) -> Result<Vec<u8>> {
        let wire = WireStamp {
            version: VERSION,
            manifest: *manifest,
            boot: boot.to_owned(),
            restamped: self.restamped,
            leaves: Differences(&self.leaves),
            dirs: Differences(&self.dirs),
        };
        postcard::to_stdvec(&wire).map_err(Error::defect)
    }

    /// The stamp of a manifest with the given tree. None for bytes that are not a stamp of it, or
    /// that come from another boot.
    pub(crate) fn decode(bytes: &[u8], manifest: &Digest, tree: &Tree, boot: &str) -> Option<Self> {
        let wire: WireStamp<States> = postcard::from_bytes(bytes).ok()?;
        let is_valid = wire.version == VERSION
            && wire.manifest == *manifest
            && wire.boot == boot
            && wire.leaves.0.len() == tree.leaves().len()
            && wire.dirs.0.len() == tree.dirs().len();
        is_valid.then_some(Self {
            leaves: wire.leaves.0,
            dirs: wire.dirs.0,
            restamped: wire.restamped,
        })
    }
}

/// States, encoded one after another as differences.
struct Differences<'s>(&'s [Option<InodeState>]);

impl Serialize for Differences<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut last = [0_i64; 3];
        serializer.collect_seq(self.0.iter().map(|state| {
            let next = numbers(&(*state)?)?;
            let [device, inode, ctime] = std::array::from_fn(|at| next[at].wrapping_sub(last[at]));
            last = next;
            Some(WireState(device, inode, ctime))
        }))
    }
}

/// The most states for which room is made before they are decoded.
const RESERVED: usize = 1 << 20;

/// States, decoded one after another from differences.
struct States(Vec<Option<InodeState>>);

impl<'de> Deserialize<'de> for States {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(StatesVisitor)
    }
}

struct StatesVisitor;

impl<'de> Visitor<'de> for StatesVisitor {
    type Value = States;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of states")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<States, A::Error> {
        let mut last = [0_i64; 3];
        // The count may be wrong: anybody who may write to the store can change it.
        let mut states = Vec::with_capacity(list.size_hint().unwrap_or(0).min(RESERVED));
        while let Some(wire) = list.next_element::<Option<WireState>>()? {
            states.push(wire.and_then(|WireState(device, inode, ctime)| {
                let differences = [device, inode, ctime];
                last = std::array::from_fn(|at| last[at].wrapping_add(differences[at]));
                state(last)
            }));
        }
        Ok(States(states))
    }
}

fn state([device, inode, ctime]: [i64; 3]) -> Option<InodeState> {
    let nanoseconds = u32::try_from(ctime.rem_euclid(NANOSECONDS)).ok()?;
    Some(InodeState {
        device: device.cast_unsigned(),
        inode: inode.cast_unsigned(),
        seconds: ctime.div_euclid(NANOSECONDS),
        nanoseconds: NonZeroU32::new(nanoseconds)?,
    })
}

/// None for a time that nanoseconds since the epoch can't express; it is not before the year 2262.
fn numbers(state: &InodeState) -> Option<[i64; 3]> {
    let InodeState {
        device,
        inode,
        seconds,
        nanoseconds,
    } = state;
    let ctime = seconds
        .checked_mul(NANOSECONDS)?
        .checked_add(nanoseconds.get().into())?;
    Some([device.cast_signed(), inode.cast_signed(), ctime])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(device: u64, inode: u64, seconds: i64, nanoseconds: u32) -> InodeState {
        InodeState {
            device,
            inode,
            seconds,
            nanoseconds: NonZeroU32::new(nanoseconds).unwrap(),
        }
    }

    /// A tree with this many leaves and directories.
    fn tree(leaves: usize, dirs: usize) -> Tree {
        let dir = || crate::tree::model::Directory {
            name: Box::default(),
            parent: Tree::TOP,
            mode: 0,
            mtime: Timestamp::default(),
            attributes: Box::default(),
            dirs: 0..0,
            leaves: 0..0,
        };
        let leaf = || crate::tree::model::Leaf {
            name: crate::tree::LeafName::default(),
            parent: Tree::TOP,
            mode: 0,
            mtime: Timestamp::default(),
            attributes: crate::tree::RareList::default(),
            kind: crate::tree::model::LeafKind::Symlink(Box::default()),
        };
        Tree {
            dirs: std::iter::repeat_with(dir).take(dirs).collect(),
            leaves: std::iter::repeat_with(leaf).take(leaves).collect(),
        }
    }

    #[test]
    fn every_state_is_decoded_as_it_was_encoded() {
        let stamp = Stamp {
            leaves: vec![
                Some(state(64_512, 7, 1_700_000_000, 1)),
                None,
                Some(state(64_512, 8, 1_700_000_000, 5)),
                Some(state(u64::MAX, u64::MAX, -3, 999_999_999)),
                Some(state(0, 0, 0, 1)),
            ],
            dirs: vec![None, Some(state(1, 2, 3, 4))],
            restamped: Some(Timestamp::now()),
        };
        let id = Digest::of(b"manifest");
        let bytes = stamp.encode(&id, "boot").unwrap();
        let decode = |id: &Digest, tree: &Tree, boot| Stamp::decode(&bytes, id, tree, boot);
        assert_eq!(decode(&id, &tree(5, 2), "boot"), Some(stamp));
        assert_eq!(decode(&Digest::of(b"other"), &tree(5, 2), "boot"), None);
        assert_eq!(decode(&id, &tree(4, 2), "boot"), None);
        assert_eq!(decode(&id, &tree(5, 3), "boot"), None);
        assert_eq!(decode(&id, &tree(5, 2), "later boot"), None);
        assert_eq!(Stamp::decode(&bytes[1..], &id, &tree(5, 2), "boot"), None);
    }

    #[test]
    fn a_time_that_cannot_be_encoded_is_left_out() {
        let stamp = Stamp {
            leaves: vec![Some(state(1, 2, i64::MAX, 3)), Some(state(1, 2, 3, 4))],
            dirs: vec![None],
            restamped: None,
        };
        let id = Digest::of(b"manifest");
        let bytes = stamp.encode(&id, "boot").unwrap();
        let decoded = Stamp::decode(&bytes, &id, &tree(2, 1), "boot").unwrap();
        assert_eq!(decoded.leaves, [None, Some(state(1, 2, 3, 4))]);
    }
}
