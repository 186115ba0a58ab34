//! `hash_files`, compared with recorded values of the runner's own program and with `sha256sum`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use local_cache::glob::hash_files::{FilesDigest, HashFilesError, hash_files};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Values that the toolkit publishes: `hashFiles` of one file with the text `test file content`,
/// and of two such files.
const ONE_FILE: &str = "d8a411e8f8643821bed189e627ff57151918aa554c00c10b31c693ab2dded273";
const TWO_FILES: &str = "4e911ea5824830b6a3ec096c7833d5af8381c189ffaa825c3503a5333a73eadc";
const CONTENT: &str = "test file content";

struct Workspace {
    directory: TempDir,
}

impl Workspace {
    fn new(files: &[(&str, &str)]) -> Self {
        let workspace = Self {
            directory: TempDir::new().expect("temporary directory"),
        };
        fs::create_dir(workspace.path()).expect("workspace");
        for (file, content) in files {
            workspace.write(file, content);
        }
        workspace
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ws")
    }

    fn write(&self, file: &str, content: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        fs::write(path, content).expect("file");
    }

    fn link(&self, link: &str, target: &str) {
        symlink(target, self.path().join(link)).expect("symlink");
    }

    fn hash(&self, patterns: &[&str], follow: bool) -> Result<Option<FilesDigest>, HashFilesError> {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        hash_files(
            &self.path(),
            &patterns,
            follow,
            &self.directory.path().join("home"),
        )
    }

    /// The value of the expression: empty if nothing matches.
    fn value(&self, patterns: &[&str], follow: bool) -> String {
        self.hash(patterns, follow)
            .expect("hash")
            .map_or_else(String::new, |digest| digest.to_string())
    }
}

#[test]
fn values_are_those_of_the_runners_own_program() {
    let oracle: Value =
        serde_json::from_str(include_str!("../../data/hash-files-oracle.json")).unwrap();
    let workspace = Workspace::new(&[]);
    for (name, content) in oracle["layout"].as_object().unwrap() {
        match (name.strip_suffix('/'), content.as_str()) {
            (Some(directory), _) => fs::create_dir(workspace.path().join(directory)).unwrap(),
            (None, Some(content)) => workspace.write(name, content),
            (None, None) => {
                workspace.link("lnk.txt", content["lnk.txt"].as_str().unwrap());
                workspace.link("lnkdir", content["lnkdir"].as_str().unwrap());
            }
        }
    }
    let cases = oracle["cases"].as_array().unwrap();
    for case in cases {
        let patterns: Vec<&str> = case["patterns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_str().unwrap())
            .collect();
        assert_eq!(
            workspace.value(&patterns, case["follow"] == true),
            case["hash"].as_str().unwrap(),
            "{case}"
        );
    }
    assert_eq!(cases.len(), 26);
}

#[test]
fn published_values_are_reproduced_with_the_number_of_files() {
    let workspace = Workspace::new(&[("a.txt", CONTENT), ("b/c.txt", CONTENT)]);
    let one = workspace.hash(&["a.txt"], false).unwrap().unwrap();
    assert_eq!((one.to_string().as_str(), one.files()), (ONE_FILE, 1));
    let two = workspace.hash(&["**"], false).unwrap().unwrap();
    assert_eq!((two.to_string().as_str(), two.files()), (TWO_FILES, 2));
    assert_eq!(
        workspace.value(&["a.txt\nb"], false),
        TWO_FILES,
        "one argument may hold several lines"
    );
}

#[test]
fn no_match_gives_no_value() {
    let workspace = Workspace::new(&[("dir/sub/f", "x")]);
    fs::create_dir(workspace.path().join("empty")).unwrap();
    for patterns in [
        &["nope"][..],
        &["empty"],
        &["empty/**"],
        &["dir", "!dir"],
        &["!dir"],
        &["# dir"],
        &[],
    ] {
        assert_eq!(
            workspace.hash(patterns, false).unwrap(),
            None,
            "{patterns:?}"
        );
    }
}

#[test]
fn order_and_contents_count_and_names_do_not() {
    let workspace = Workspace::new(&[("a", "1"), ("b", "2"), ("c", "2"), ("d", "1")]);
    assert_eq!(
        workspace.value(&["a", "b"], false),
        workspace.value(&["d", "c"], false)
    );
    assert_ne!(
        workspace.value(&["a", "b"], false),
        workspace.value(&["b", "a"], false)
    );
    assert_ne!(
        workspace.value(&["a"], false),
        workspace.value(&["b"], false)
    );
}

#[test]
fn files_outside_the_workspace_are_ignored() {
    let workspace = Workspace::new(&[("a.txt", CONTENT)]);
    fs::create_dir(workspace.directory.path().join("home")).unwrap();
    fs::create_dir(workspace.directory.path().join("ws2")).unwrap();
    for outside in ["home/f", "ws2/f"] {
        fs::write(workspace.directory.path().join(outside), "x").unwrap();
    }
    let beside = format!("{}2/**", workspace.path().display());
    assert_eq!(workspace.hash(&["~/**", &beside], true).unwrap(), None);
    assert_eq!(workspace.value(&["~/**", "a.txt", &beside], true), ONE_FILE);
}

#[test]
fn links_to_directories_are_followed_on_request_and_links_to_files_always() {
    let workspace = Workspace::new(&[("dir/a.txt", CONTENT), ("b.txt", CONTENT)]);
    workspace.link("dirlink", "dir");
    workspace.link("filelink", "b.txt");
    for (pattern, follow, value) in [
        ("filelink", false, ONE_FILE),
        ("filelink", true, ONE_FILE),
        ("dirlink", false, ""),
        ("dirlink/**", false, ""),
        ("dirlink/a.txt", false, ONE_FILE),
        ("dirlink", true, ONE_FILE),
    ] {
        assert_eq!(
            workspace.value(&[pattern], follow),
            value,
            "{pattern} {follow}"
        );
    }
}

#[test]
fn a_broken_link_fails_if_links_are_not_followed_and_is_ignored_if_they_are() {
    let workspace = Workspace::new(&[("a.txt", CONTENT)]);
    workspace.link("broken", "nowhere");
    let error = workspace.hash(&["**"], false).unwrap_err();
    assert!(
        matches!(&error, HashFilesError::Read { path, .. } if *path == workspace.path().join("broken"))
    );
    assert!(error.to_string().contains("broken"));
    assert_eq!(workspace.value(&["**", "!broken"], false), ONE_FILE);
    assert_eq!(workspace.value(&["**"], true), ONE_FILE);
}

#[test]
fn of_several_files_that_fail_the_first_in_order_is_named() {
    let workspace = Workspace::new(&[]);
    for link in 0..50 {
        workspace.link(&format!("broken{link:02}"), "nowhere");
    }
    let error = workspace.hash(&["**"], false).unwrap_err();
    assert!(
        matches!(&error, HashFilesError::Read { path, .. } if *path == workspace.path().join("broken00"))
    );
}

#[test]
fn a_cycle_of_links_is_hashed_once() {
    let workspace = Workspace::new(&[("dir/a.txt", CONTENT)]);
    workspace.link("dir/again", "../dir");
    assert_eq!(workspace.value(&["**"], true), ONE_FILE);
}

#[test]
fn endless_files_are_refused_and_the_null_device_is_an_empty_file() {
    let workspace = Workspace::new(&[("empty", "")]);
    workspace.link("null", "/dev/null");
    for follow in [true, false] {
        assert_eq!(
            workspace.value(&["null"], follow),
            workspace.value(&["empty"], follow)
        );
    }
    let _listener = UnixListener::bind(workspace.path().join("socket")).unwrap();
    workspace.link("zero", "/dev/zero");
    for name in ["socket", "zero"] {
        for follow in [true, false] {
            let error = workspace.hash(&[name], follow).unwrap_err();
            assert!(
                matches!(&error, HashFilesError::NotAFile { path } if *path == workspace.path().join(name))
            );
        }
    }
}

#[test]
fn patterns_that_are_refused_are_errors() {
    let workspace = Workspace::new(&[]);
    assert!(matches!(
        workspace.hash(&["../x"], false),
        Err(HashFilesError::Pattern(_))
    ));
}

#[test]
fn a_file_larger_than_the_read_buffer_is_hashed_whole() {
    let content = "0123456789abcdef".repeat(40_000);
    let workspace = Workspace::new(&[("large", &content)]);
    let expected: [u8; 32] = Sha256::digest(Sha256::digest(&content)).into();
    assert_eq!(
        workspace.hash(&["large"], false).unwrap().unwrap().digest(),
        &expected
    );
}

const FILES: u32 = 5_000;
const SAMPLE: u32 = 250;

/// Runs `sha256sum` for each file of the sample; returns the value of `hashFiles` made of its
/// outputs, and the elapsed time.
fn hash_by_processes(sample: &Path) -> ([u8; 32], Duration) {
    let started = Instant::now();
    let mut outer = Sha256::new();
    for file in 0..SAMPLE {
        let output = Command::new("sha256sum")
            .arg(sample.join(format!("{file:04}")))
            .output()
            .expect("sha256sum");
        let line = String::from_utf8(output.stdout).expect("text");
        let digest: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect();
        outer.update(digest);
    }
    (outer.finalize().into(), started.elapsed())
}

#[test]
fn hashing_5000_files_is_three_times_faster_than_a_process_for_each() {
    let workspace = Workspace::new(&[]);
    for file in 0..FILES {
        let content = format!("{file}").repeat(300);
        workspace.write(
            &format!("{:02}/{:04}", file / SAMPLE, file % SAMPLE),
            &content,
        );
    }
    let (expected, by_processes) = hash_by_processes(&workspace.path().join("00"));
    assert_eq!(
        workspace.hash(&["00/**"], false).unwrap().unwrap().digest(),
        &expected
    );

    let started = Instant::now();
    let all = workspace.hash(&["**"], false).unwrap().unwrap();
    let ours = started.elapsed();
    assert_eq!(all.files(), usize::try_from(FILES).unwrap());
    let theirs = by_processes * (FILES / SAMPLE);
    println!("{FILES} files: {ours:?}, by processes {theirs:?} (from a sample of {SAMPLE})");
    assert!(
        theirs >= ours * 3,
        "{ours:?} is not three times faster than {theirs:?}"
    );
}
