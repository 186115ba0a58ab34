//! Manifests of random trees, whole and damaged.

use std::collections::BTreeMap;
use std::path::Path;

use local_cache::digest::Digest;
use local_cache::fs::xattrs::Attribute;
use local_cache::fs::{Extent, Timestamp};
use local_cache::tree::manifest::References;
use local_cache::tree::{Content, ContentLocation, Tree};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{decode, round_trips};
use crate::support::forge::{Body, Dir, Kind, Leaf, dir, seal};

fn times() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanoseconds)| Timestamp {
        seconds,
        nanoseconds,
    })
}

fn names(first: u8) -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| {
        if byte == 0 || byte == b'/' {
            b'_'
        } else {
            byte
        }
    });
    vec(byte, 0..6).prop_map(move |mut name| {
        name.insert(0, first);
        name
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    btree_map(vec(1_u8.., 1..5), vec(any::<u8>(), 0..5), 0..2).prop_map(|attributes| {
        let attribute = |(name, value): (Vec<u8>, Vec<u8>)| Attribute {
            name: name.into(),
            value: value.into(),
        };
        attributes.into_iter().map(attribute).collect()
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let content = (any::<u64>(), proptest::option::of(0..3_u32)).prop_map(|(seed, pack)| Content {
        digest: Digest::of(&seed.to_le_bytes()),
        location: pack.map_or(ContentLocation::Blob, ContentLocation::Pack),
    });
    let runs = vec((0..1000_u64, 1..1000_u64), 1..4).prop_map(|gaps| {
        let mut end = 0;
        let extents: Vec<Extent> = gaps
            .into_iter()
            .map(|(gap, length)| {
                let offset = end + gap;
                end = offset + length;
                Extent { offset, length }
            })
            .collect();
        (extents, end)
    });
    prop_oneof![
        Just(Kind::File {
            size: 0,
            content: None
        }),
        (1..1_u64 << 62, content.clone()).prop_map(|(size, content)| Kind::File {
            size,
            content: Some(content)
        }),
        (runs, content).prop_map(|((extents, size), content)| {
            Kind::Sparse {
                size: size + 5,
                content: Some(content),
                extents,
            }
        }),
        vec(1_u8.., 1..9).prop_map(Kind::Symlink),
    ]
}

/// Directories with leaves; the parent of each is one before it.
fn bodies() -> impl Strategy<Value = Body> {
    let leaves = || {
        btree_map(
            names(b'l'),
            (any::<u32>(), times(), attributes(), kinds()),
            0..4,
        )
    };
    let dirs = vec(
        (
            names(b'd'),
            any::<Index>(),
            any::<u32>(),
            times(),
            attributes(),
            leaves(),
        ),
        0..8,
    );
    (dirs, leaves(), times()).prop_map(|(dirs, top, scanned)| {
        // Children of each directory by name, then breadth first.
        let mut children: Vec<BTreeMap<Vec<u8>, usize>> = vec![BTreeMap::new(); dirs.len() + 1];
        for (number, (name, parent, ..)) in dirs.iter().enumerate() {
            children[parent.index(number + 1)]
                .entry(name.clone())
                .or_insert(number + 1);
        }
        let mut body = Body {
            scanned,
            packs: (0..3_u8).map(|n| Digest::of(&[n])).collect(),
            ..Body::of(vec![], vec![])
        };
        let mut queue = std::collections::VecDeque::from([0]);
        while let Some(number) = queue.pop_front() {
            let found = if number == 0 {
                None
            } else {
                dirs.get(number - 1)
            };
            let leaves = found.map_or(&top, |dir| &dir.5);
            let subdirs = u32::try_from(children[number].len()).unwrap();
            let mut written = dir(b"", subdirs, u32::try_from(leaves.len()).unwrap());
            if let Some((name, _, mode, modified, attributes, _)) = found {
                written = Dir {
                    name: name.clone(),
                    mode: mode & 0o7777,
                    modified: *modified,
                    attributes: attributes.clone(),
                    ..written
                };
            }
            body.dirs.push(written);
            for (name, (mode, modified, attributes, kind)) in leaves {
                body.leaves.push(Leaf {
                    name: name.clone(),
                    mode: mode & 0o7777,
                    modified: *modified,
                    attributes: attributes.clone(),
                    kind: kind.clone(),
                });
            }
            queue.extend(children[number].values().copied());
        }
        body
    })
}

/// Ways to damage some bytes.
#[derive(Clone, Debug)]
enum Spoil {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Remove(Index),
}

impl Spoil {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
        }
    }
}

fn spoils() -> impl Strategy<Value = Spoil> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 1_u8..).prop_map(|(at, bits)| Spoil::Flip(at, bits)),
        1 => at().prop_map(Spoil::Cut),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Spoil::Insert(at, byte)),
        1 => at().prop_map(Spoil::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_read_back_from_its_manifest(body in bodies()) {
        round_trips(&body);
    }

    #[test]
    fn a_damaged_manifest_is_never_read_as_another(body in bodies(), spoils in vec(spoils(), 1..3)) {
        damaged_manifests_are_noticed(&body, &spoils);
    }

    #[test]
    fn any_bytes_with_correct_digests_are_a_tree_or_damage(body in bodies(), spoils in vec(spoils(), 1..4)) {
        made_up_bodies_do_no_harm(&body, &spoils);
    }
}

fn damaged_manifests_are_noticed(body: &Body, spoils: &[Spoil]) {
    let (bytes, id) = body.seal();
    let mut spoiled = bytes.clone();
    spoils.iter().for_each(|spoil| {
        if !spoiled.is_empty() {
            spoil.apply(&mut spoiled);
        }
    });
    if spoiled != bytes {
        let error = decode(&spoiled, &id).expect_err("a spoiled manifest was accepted");
        assert!(error.is_damage(), "{error}");
    }
    if spoiled.get(..88) != Some(&bytes[..88]) {
        References::decode(&spoiled, &id, Path::new("/m")).unwrap_err();
    }
}

fn made_up_bodies_do_no_harm(body: &Body, spoils: &[Spoil]) {
    let mut bytes = body.bytes();
    spoils.iter().for_each(|spoil| {
        if !bytes.is_empty() {
            spoil.apply(&mut bytes);
        }
    });
    let (bytes, id) = seal(&[0, 0], &bytes);
    let Ok(manifest) = decode(&bytes, &id) else {
        return;
    };
    let tree = &manifest.tree;
    for id in tree.dir_ids().filter(|id| tree[*id].parent != Tree::TOP) {
        assert!(is_component(&tree[id].name) && tree[id].parent < id);
    }
    for id in tree.leaf_ids().filter(|id| tree[*id].parent != Tree::TOP) {
        assert!(is_component(&tree[id].name));
    }
    // No operation on a tree may fail because of its contents.
    let _ = (tree.total_bytes(), manifest.references());
    let (again, again_id) = manifest.encode().unwrap();
    assert_eq!(decode(&again, &again_id).unwrap(), manifest);
}

fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}
