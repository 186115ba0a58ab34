//! Manifests that break one rule of the format each.

use local_cache::digest::Digest;
use local_cache::fs::Extent;
use local_cache::tree::{Content, ContentLocation};

use super::decode;
use crate::support::forge::{Body, Kind, dir, empty, leaf};

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
