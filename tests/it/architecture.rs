//! The layers of `lib.rs`, held against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rooms in the order of the map in `lib.rs`, the uppermost first.
fn map() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! - `")?.split_once('`'));
    lines.map(|(name, _)| name.to_owned()).collect()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The room that a source file belongs to: the first name below `src`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a file names as `crate::room`, its tests apart.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut rooms = BTreeSet::new();
    for line in lines {
        for rest in line.split("crate::").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.insert(name);
        }
    }
    rooms
}

#[test]
fn the_map_in_lib_names_every_room_and_no_other() {
    let on_disk: BTreeSet<String> = sources(&root().join("src"))
        .iter()
        .map(|path| room(path))
        .filter(|room| room != "lib" && room != "main")
        .collect();
    assert_eq!(map().into_iter().collect::<BTreeSet<_>>(), on_disk);
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let map = map();
    let level = |room: &str| map.iter().position(|name| name == room);
    for path in sources(&root().join("src")) {
        let own = room(&path);
        let Some(own_level) = level(&own) else {
            continue;
        };
        for other in used(&fs::read_to_string(&path).unwrap()) {
            let Some(other_level) = level(&other) else {
                panic!("{}: unknown room {other}", path.display())
            };
            assert!(
                other_level >= own_level,
                "{} ({own}) looks up to {other}",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_is_much_longer_than_400_lines() {
    let long: Vec<String> = sources(&root().join("src"))
        .into_iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            (lines > 450).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Rooms other than `fs` that call the filesystem themselves, each with its reason.
const OWN_CALLS: [(&str, &str); 6] = [
    (
        "action/files.rs",
        "the runner's own files: appended to, never made",
    ),
    ("action/phase/", "whether a path of the runner's is there"),
    (
        "action/dispatcher.rs",
        "whether a path of the runner's is there",
    ),
    (
        "glob/hash_files.rs",
        "reads what GitHub's program reads, in its way",
    ),
    (
        "glob/disk.rs",
        "looks at paths as GitHub's glob library does",
    ),
    ("site/", "looks at /proc, sockets and mounts, not at trees"),
];

#[test]
fn only_the_room_for_it_calls_the_filesystem() {
    let calls = ["std::fs", ".exists()", ".canonicalize()", ".read_dir()"];
    for path in sources(&root().join("src")) {
        let below = path
            .strip_prefix(root().join("src"))
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let allowed = room(&path) == "fs"
            || room(&path) == "demo"
            || OWN_CALLS.iter().any(|(own, _)| below.starts_with(own));
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let found = code.lines().find(|line| {
            let is_comment = line.trim_start().starts_with("//");
            // Types alone call nothing.
            let is_type = ["std::fs::File;", "std::fs::FileType;"]
                .iter()
                .any(|name| line.contains(name));
            !is_comment && !is_type && calls.iter().any(|call| line.contains(call))
        });
        assert!(
            allowed || found.is_none(),
            "{below}: {}",
            found.unwrap_or_default()
        );
    }
}
