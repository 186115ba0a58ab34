//! Rules about the structure of the code, checked against the syntax trees of `src`.

mod circles;
mod imports;
mod paths;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use circles::circles;
use imports::IMPORTS;
use source::{FILES, room};

use crate::support::repository::below_recursively;

const MAX_LINES: usize = 450;
const MAX_PARAMETERS: usize = 5;
/// Percent of the doc comments that may be short.
const SHORT_DOCS_PERCENT: f64 = 3.0;
/// A doc comment of so many words or fewer says little more than the name below it.
const SHORT_DOC_WORDS: usize = 4;

/// Files outside of `fs` and `demo` that call the filesystem themselves, each with its reason.
const OWN_FILESYSTEM_CALLS: [(&str, &str); 6] = [
    ("action/files.rs", "appends to the runner's own files"),
    ("action/phase/", "asks whether a path of the runner exists"),
    (
        "action/dispatcher.rs",
        "asks whether a path of the runner exists",
    ),
    (
        "glob/hash_files.rs",
        "reads files in the way of GitHub's program",
    ),
    (
        "glob/disk.rs",
        "looks up paths in the way of GitHub's library",
    ),
    ("site/", "reads /proc, sockets and mounts, no trees"),
];

/// Fails if something breaks a rule; `found` maps what breaks it to how.
fn check(rule: &str, found: &BTreeMap<String, String>) {
    let found: Vec<String> = found
        .iter()
        .map(|(name, detail)| format!("{name}: {detail}"))
        .collect();
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// The rooms in the order of the map in `lib.rs`, the uppermost first.
fn map() -> Vec<&'static str> {
    let lib = FILES.iter().find(|file| file.path == "lib.rs").unwrap();
    let lines = lib
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("//! - `")?.split_once('`'));
    lines.map(|(name, _)| name).collect()
}

#[test]
fn the_map_in_lib_names_every_room_and_no_other() {
    let rooms: BTreeSet<&str> = FILES
        .iter()
        .map(|file| file.room())
        .filter(|room| *room != "lib")
        .collect();
    assert_eq!(map().into_iter().collect::<BTreeSet<_>>(), rooms);
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let map = map();
    let level = |file: &str| map.iter().position(|name| *name == room(file));
    for (file, used) in IMPORTS.iter().filter(|(file, _)| **file != "lib.rs") {
        for (other, path) in used {
            assert!(
                level(other) >= level(file),
                "src/{file} uses src/{other} ({path}), which is in a room above it"
            );
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let edges = IMPORTS
        .iter()
        .map(|(file, used)| (*file, used.keys().copied().collect()))
        .collect();
    let mut found = BTreeMap::new();
    for circle in circles(&edges) {
        for file in &circle {
            let used: Vec<String> = IMPORTS[file]
                .iter()
                .filter(|(other, _)| circle.contains(*other))
                .map(|(other, path)| format!("{other} ({path})"))
                .collect();
            found.insert((*file).to_owned(), format!("uses {}", used.join(", ")));
        }
    }
    check("circle of files", &found);
}

/// The folder that two files have in common, and the name of each in it.
fn siblings<'f>(file: &'f str, other: &'f str) -> (&'f str, &'f str, &'f str) {
    let mut shared = 0;
    for (end, _) in file.match_indices('/') {
        if other.get(..=end) == Some(&file[..=end]) {
            shared = end + 1;
        }
    }
    let name = |path: &'f str| {
        let rest = &path[shared..];
        rest.split_once('/').map_or(rest, |(folder, _)| folder)
    };
    (&file[..shared], name(file), name(other))
}

#[test]
fn the_files_and_folders_of_a_folder_have_an_order() {
    let mut folders: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let mut examples = BTreeMap::new();
    for (file, used) in IMPORTS.iter().filter(|(file, _)| **file != "lib.rs") {
        for (other, path) in used {
            let (folder, name, target) = siblings(file, other);
            if name != target {
                let edges = folders.entry(folder).or_default();
                edges.entry(name).or_default().insert(target);
                let example = format!("{file} uses {other} ({path})");
                examples.entry((folder, name, target)).or_insert(example);
            }
        }
    }
    let mut found = BTreeMap::new();
    for (folder, edges) in &folders {
        for circle in circles(edges) {
            for name in &circle {
                let used: Vec<&str> = examples
                    .iter()
                    .filter(|((within, from, to), _)| {
                        within == folder && from == name && circle.contains(to)
                    })
                    .map(|(_, example)| example.as_str())
                    .collect();
                found.insert(format!("{folder}{name}"), used.join("; "));
            }
        }
    }
    check("circle in a folder", &found);
}

#[test]
fn a_type_name_is_defined_once() {
    let mut defined: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in FILES.iter() {
        for name in &file.types {
            defined.entry(name).or_default().push(&file.path);
        }
    }
    let twice = defined
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| (name.to_owned(), files.join(", ")))
        .collect();
    check("type defined twice", &twice);
}

#[test]
fn a_function_has_at_most_five_parameters() {
    let mut found = BTreeMap::new();
    for file in FILES.iter() {
        for (name, parameters) in &file.functions {
            if *parameters > MAX_PARAMETERS {
                let name = format!("{}: {name}", file.path);
                found.insert(name, format!("{parameters} parameters"));
            }
        }
    }
    check("too many parameters", &found);
}

#[test]
fn a_file_has_at_most_450_lines() {
    let files = ["src", "tests"].map(|folder| below_recursively(folder, "rs"));
    let long = files
        .into_iter()
        .flatten()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| (path.display().to_string(), format!("{lines} lines")))
        .collect();
    check("long file", &long);
}

/// The doc comments of a text: consecutive lines that begin with the same marker.
fn doc_comments(code: &str) -> Vec<String> {
    let mut comments: Vec<String> = Vec::new();
    let mut previous = None;
    for line in code.lines() {
        let line = line.trim_start();
        let marker = ["///", "//!"].into_iter().find(|it| line.starts_with(it));
        if let Some(marker) = marker {
            if previous != Some(marker) {
                comments.push(String::new());
            }
            comments.last_mut().unwrap().push_str(&line[marker.len()..]);
        }
        previous = marker;
    }
    comments
}

#[test]
fn doc_comments_say_more_than_the_name_below_them() {
    let mut comments = 0_u32;
    let mut short = Vec::new();
    for file in FILES.iter() {
        for comment in doc_comments(file.code()) {
            comments += 1;
            if comment.split_whitespace().count() <= SHORT_DOC_WORDS {
                short.push(format!("{}:{comment}", file.path));
            }
        }
    }
    let percent = 100.0 * f64::from(u32::try_from(short.len()).unwrap()) / f64::from(comments);
    assert!(
        percent < SHORT_DOCS_PERCENT,
        "{percent:.1} % of {comments} doc comments have {SHORT_DOC_WORDS} words or fewer:\n{}",
        short[..short.len().min(50)].join("\n")
    );
}

#[test]
fn only_the_room_fs_calls_the_filesystem() {
    let calls = ["std::fs", ".exists()", ".canonicalize()", ".read_dir()"];
    // Types alone call nothing.
    let calls_in = |line: &str| {
        let line = line
            .replace("std::fs::FileType", "")
            .replace("std::fs::File::", "std::fs::")
            .replace("std::fs::File", "");
        calls.iter().any(|call| line.contains(call))
    };
    for file in FILES.iter() {
        let is_allowed = ["fs", "demo"].contains(&file.room())
            || OWN_FILESYSTEM_CALLS
                .iter()
                .any(|(own, _)| file.path.starts_with(own));
        let call = file
            .code()
            .lines()
            .find(|line| !line.trim_start().starts_with("//") && calls_in(line));
        assert!(
            is_allowed || call.is_none(),
            "src/{}: {}",
            file.path,
            call.unwrap_or_default()
        );
    }
}
