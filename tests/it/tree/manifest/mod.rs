//! Manifests: complete round trips, every changed byte is noticed, and forged ones do no harm.

mod any_tree;
mod forged;

use std::path::Path;

use local_cache::digest::Digest;
use local_cache::error::Result;
use local_cache::fs::Extent;
use local_cache::fs::xattrs::Attribute;
use local_cache::tree::manifest::{Manifest, References};
use local_cache::tree::{Content, ContentLocation};

use crate::support::forge::{self, Body, Dir, Kind, Leaf, dir, empty, leaf};

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
