//! Manifests: complete round trips, every changed byte is noticed, and forged ones do no harm.

use std::collections::BTreeMap;
use std::path::Path;

use local_cache::digest::Digest;
use local_cache::error::Result;
use local_cache::fs::xattrs::Attribute;
use local_cache::fs::{Extent, Timestamp};
use local_cache::tree::manifest::{Manifest, References};
use local_cache::tree::{Content, ContentLocation, Tree};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::forge::{self, Body, Dir, Kind, Leaf, dir, empty, leaf, seal};

fn decode(bytes: &[u8], id: &Digest) -> Result<Manifest> {
    Manifest::decode(bytes, id, Path::new("/store/manifests/m"))
}

#[track_caller]
fn round_trips(body: &Body) -> Manifest {
    let (bytes, id) = body.seal();
    let manifest = decode(&bytes, &id).unwrap();
    let (again, again_id) = manifest.encode().unwrap();
    assert_eq!(decode(&again, &again_id).unwrap(), manifest);
    assert!(
        again.ends_with(&body.bytes()),
        "the tree is written otherwise than it was read"
    );
    manifest
}

/// A body with every kind of field.
fn example() -> Body {
    let small = Content {
        digest: Digest::of(b"small"),
        location: ContentLocation::Pack(1),
    };
    let large = Content {
        digest: Digest::of(b"large"),
        location: ContentLocation::Blob,
    };
    let attributes = vec![Attribute {
        name: (*b"user.a").into(),
        value: (*b"\0\xff").into(),
    }];
    let sparse = Kind::Sparse {
        size: 100,
        content: Some(small),
        extents: vec![
            Extent {
                offset: 10,
                length: 20,
            },
            Extent {
                offset: 30,
                length: 5,
            },
        ],
    };
    let dirs = vec![
        Dir {
            attributes: attributes.clone(),
            ..dir(b"", 2, 1)
        },
        dir(b"./one", 1, 3),
        dir(b"/two", 0, 1),
        Dir {
            mode: 0o1777,
            ..dir(b"inner", 0, 2)
        },
    ];
    let leaves = vec![
        leaf(
            b"~/root",
            Kind::File {
                size: 5,
                content: Some(small),
            },
        ),
        leaf(b"link", Kind::Symlink(b"../\xfe".to_vec())),
        leaf(b"sparse", sparse),
        Leaf {
            attributes,
            mode: 0o4755,
            ..leaf(
                b"\xff\n",
                Kind::File {
                    size: 9,
                    content: Some(large),
                },
            )
        },
        leaf(b"again", Kind::HardLink(3)),
        leaf(
            b"hole",
            Kind::Sparse {
                size: 1 << 40,
                content: None,
                extents: Vec::new(),
            },
        ),
        empty(b"x"),
    ];
    Body {
        packs: vec![Digest::of(b"pack 0"), Digest::of(b"pack 1")],
        ..Body::of(dirs, leaves)
    }
}

type Change = fn(&mut Body);

#[test]
fn every_field_of_a_manifest_is_kept() {
    let wanted = round_trips(&example());
    let changes: Vec<(&str, Change)> = vec![
        ("when the scan began", |body| body.scanned.nanoseconds = 8),
        ("a pack", |body| body.packs[0] = Digest::of(b"another")),
        ("a directory's name", |body| {
            body.dirs[3].name = b"\xff".to_vec();
        }),
        ("a root's name", |body| body.dirs[2].name = b"/twO".to_vec()),
        ("a directory's mode", |body| body.dirs[3].mode = 0o2777),
        ("a directory's seconds", |body| {
            body.dirs[3].modified.seconds = -1;
        }),
        ("a directory's nanoseconds", |body| {
            body.dirs[3].modified.nanoseconds = 999_999_999;
        }),
        ("a directory's attribute", |body| {
            body.dirs[0].attributes[0].value = Box::default();
        }),
        ("a file's name", |body| {
            body.leaves[3].name = b"\xfe".to_vec();
        }),
        ("a file's mode", |body| body.leaves[3].mode = 0o755),
        ("a file's seconds", |body| {
            body.leaves[3].modified.seconds = -5;
        }),
        ("a file's nanoseconds", |body| {
            body.leaves[3].modified.nanoseconds = 0;
        }),
        ("a file's attribute", |body| {
            body.leaves[3].attributes[0].name = (*b"user.b").into();
        }),
        ("a file's size", |body| {
            let content = Content {
                digest: Digest::of(b"large"),
                location: ContentLocation::Blob,
            };
            body.leaves[3].kind = Kind::File {
                size: 10,
                content: Some(content),
            };
        }),
        ("a file's digest", |body| {
            let content = Content {
                digest: Digest::of(b"Large"),
                location: ContentLocation::Blob,
            };
            body.leaves[3].kind = Kind::File {
                size: 9,
                content: Some(content),
            };
        }),
        ("a file's place", |body| {
            let content = Content {
                digest: Digest::of(b"large"),
                location: ContentLocation::Pack(0),
            };
            body.leaves[3].kind = Kind::File {
                size: 9,
                content: Some(content),
            };
        }),
        ("a hole's size", |body| {
            body.leaves[5].kind = Kind::Sparse {
                size: 1,
                content: None,
                extents: Vec::new(),
            };
        }),
        ("a run of data", |body| {
            let Kind::Sparse { extents, .. } = &mut body.leaves[2].kind else {
                panic!()
            };
            extents[1].offset += 1;
        }),
        ("a symlink's target", |body| {
            body.leaves[1].kind = Kind::Symlink(b"/".to_vec());
        }),
        ("a symlink's time", |body| {
            body.leaves[1].modified.nanoseconds = 1;
        }),
        ("what a link points to", |body| {
            body.leaves[4].kind = Kind::HardLink(0);
        }),
        ("where a leaf stands", |body| {
            body.dirs[1].leaves = 2;
            body.dirs[2].leaves = 2;
            body.leaves[3].name = b"a".to_vec();
        }),
    ];
    for (field, change) in changes {
        let mut body = example();
        change(&mut body);
        assert_ne!(round_trips(&body), wanted, "{field} is not kept");
    }
}

#[test]
fn the_contents_that_a_manifest_needs_can_be_read_without_its_tree() {
    let (bytes, id) = round_trips(&example()).encode().unwrap();
    let needed =
        References::required_len(&bytes[..References::PREFIX], &id, Path::new("/m")).unwrap();
    let references = References::decode(&bytes[..needed], &id, Path::new("/m")).unwrap();
    assert!(needed < bytes.len());
    assert_eq!(references.blobs, [Digest::of(b"large")]);
    assert_eq!(
        references.packs,
        [(Digest::of(b"pack 0"), 0), (Digest::of(b"pack 1"), 30)]
    );
}

#[test]
fn a_manifest_of_a_newer_version_differs_from_a_damaged_one() {
    let (mut bytes, _) = example().seal();
    bytes[8] = 2;
    let newer = decode(&bytes, &Digest::of(&bytes[..88])).unwrap_err();
    assert!(
        !newer.is_damage() && newer.to_string().contains("version 2"),
        "{newer}"
    );
    let damaged = decode(&bytes, &example().seal().1).unwrap_err();
    assert!(damaged.is_damage(), "{damaged}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one case for each rule")]
fn forged_manifests_are_refused() {
    let file = |size, place| Kind::File {
        size,
        content: Some(Content {
            digest: Digest::of(b"x"),
            location: place,
        }),
    };
    let sparse = |size, runs: &[(u64, u64)]| {
        let extents = runs
            .iter()
            .map(|&(offset, length)| Extent { offset, length })
            .collect();
        let content = Some(Content {
            digest: Digest::of(b"x"),
            location: ContentLocation::Blob,
        });
        Body::of(
            vec![dir(b"", 0, 1)],
            vec![leaf(
                b"./a",
                Kind::Sparse {
                    size,
                    content,
                    extents,
                },
            )],
        )
    };
    let one = |kind| Body::of(vec![dir(b"", 0, 1)], vec![leaf(b"./a", kind)]);
    let below = |names: &[&[u8]]| {
        let leaves = names.iter().map(|name| empty(name)).collect::<Vec<_>>();
        Body::of(
            vec![
                dir(b"", 1, 0),
                dir(b"./a", 0, u32::try_from(names.len()).unwrap()),
            ],
            leaves,
        )
    };
    let dirs_below = |names: &[&[u8]]| {
        let mut dirs = vec![
            dir(b"", 1, 0),
            dir(b"./a", u32::try_from(names.len()).unwrap(), 0),
        ];
        dirs.extend(names.iter().map(|name| dir(name, 0, 0)));
        Body::of(dirs, Vec::new())
    };
    let mut cases: Vec<(String, Body)> = Vec::new();
    for name in [&b""[..], b".", b"..", b"a/b", b"/etc", b"a\0b", b"../x"] {
        cases.push((format!("a file called {name:?}"), below(&[name])));
        cases.push((format!("a directory called {name:?}"), dirs_below(&[name])));
    }
    cases.push((
        "a root with NUL".to_owned(),
        Body::of(vec![dir(b"", 1, 0), dir(b"./a\0", 0, 0)], vec![]),
    ));
    cases.push(("names out of order".to_owned(), below(&[b"b", b"a"])));
    cases.push(("a name twice".to_owned(), below(&[b"a", b"a"])));
    cases.push((
        "directories out of order".to_owned(),
        dirs_below(&[b"b", b"a"]),
    ));
    cases.push(("a directory twice".to_owned(), dirs_below(&[b"a", b"a"])));
    let both = Body::of(
        vec![dir(b"", 1, 0), dir(b"./a", 1, 1), dir(b"x", 0, 0)],
        vec![empty(b"x")],
    );
    cases.push(("a file and a directory of one name".to_owned(), both));
    for (what, kind) in [
        ("a link to itself", Kind::HardLink(0)),
        ("a link forward", Kind::HardLink(1)),
        ("a symlink to nothing", Kind::Symlink(Vec::new())),
        ("a symlink with NUL", Kind::Symlink(b"a\0b".to_vec())),
        (
            "a pack that is not in the list",
            file(1, ContentLocation::Pack(0)),
        ),
        ("a far pack", file(1, ContentLocation::Pack(u32::MAX))),
        (
            "an empty file with contents",
            file(0, ContentLocation::Blob),
        ),
        (
            "a file without contents",
            Kind::File {
                size: 1,
                content: None,
            },
        ),
        ("a sparse file without contents", {
            Kind::Sparse {
                size: 9,
                content: None,
                extents: vec![Extent {
                    offset: 0,
                    length: 1,
                }],
            }
        }),
    ] {
        cases.push((what.to_owned(), one(kind)));
    }
    for (what, size, runs) in [
        ("overlapping runs", 100, &[(0, 10), (5, 10)][..]),
        ("runs out of order", 100, &[(50, 10), (0, 10)]),
        ("a run past the end", 100, &[(50, 51)]),
        ("an empty run", 100, &[(50, 0)]),
        ("a run that overflows", 100, &[(u64::MAX, 2)]),
        ("a size that no file can have", u64::MAX, &[(0, 1)]),
    ] {
        cases.push((what.to_owned(), sparse(size, runs)));
    }
    let link_to = |kind| {
        Body::of(
            vec![dir(b"", 0, 2)],
            vec![leaf(b"./a", kind), leaf(b"./b", Kind::HardLink(0))],
        )
    };
    cases.push((
        "a link to a symlink".to_owned(),
        link_to(Kind::Symlink(b"x".to_vec())),
    ));
    let mut chain = link_to(Kind::File {
        size: 0,
        content: None,
    });
    chain.dirs[0].leaves = 3;
    chain.leaves.push(leaf(b"./c", Kind::HardLink(1)));
    cases.push(("a link to a link".to_owned(), chain));
    cases.push(("no directory".to_owned(), Body::of(vec![], vec![])));
    cases.push((
        "a directory too few".to_owned(),
        Body::of(vec![dir(b"", 1, 0)], vec![]),
    ));
    cases.push((
        "a directory too many".to_owned(),
        Body::of(vec![dir(b"", 0, 0), dir(b"./a", 0, 0)], vec![]),
    ));
    cases.push((
        "a leaf too few".to_owned(),
        Body::of(vec![dir(b"", 0, 1)], vec![]),
    ));
    cases.push((
        "numbers that overflow".to_owned(),
        Body::of(vec![dir(b"", u32::MAX, 0)], vec![]),
    ));
    let own_parent = Body::of(vec![dir(b"", 0, 0), dir(b"./a", 1, 0)], vec![]);
    cases.push(("a directory in itself".to_owned(), own_parent));
    let mut times = one(Kind::Symlink(b"x".to_vec()));
    times.leaves[0].modified.nanoseconds = 1_000_000_000;
    cases.push(("an impossible time".to_owned(), times));
    assert!(cases.len() > 40);
    for (what, body) in cases {
        let (bytes, id) = body.seal();
        match decode(&bytes, &id) {
            Err(error) => assert!(error.is_damage(), "{what}: {error}"),
            Ok(_) => panic!("{what} was accepted"),
        }
    }
}

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

#[test]
fn the_format_document_describes_packs() {
    // Written according to the document, read by the program.
    let dir = tempfile::tempdir().unwrap();
    let (bytes, id) = forge::pack(&[b"one", b"", b"three"]);
    let path = dir.path().join("pack");
    std::fs::write(&path, bytes).unwrap();
    let index =
        local_cache::store::pack::PackIndex::read(&std::fs::File::open(&path).unwrap(), &id, &path)
            .unwrap();
    let found: Vec<_> = index
        .records
        .iter()
        .map(|record| (record.offset, record.length))
        .collect();
    assert_eq!(found, [(16, 3), (19, 0), (19, 5)]);
}
