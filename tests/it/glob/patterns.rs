//! Patterns on real trees, compared with recorded results of GitHub's own programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use local_cache::fs::FileKind;
use local_cache::glob::{Base, Filter, PatternError, Patterns, ResolveError};
use serde_json::Value;
use tempfile::TempDir;

/// A tree in a temporary directory: the workspace `ws` with the home directory beside it.
struct Tree {
    directory: TempDir,
}

impl Tree {
    fn new(files: &[&str], symlinks: &[(&str, &str)]) -> Self {
        let tree = Self {
            directory: TempDir::new().expect("temporary directory"),
        };
        fs::create_dir(tree.workspace()).expect("workspace");
        for file in files {
            tree.write(file);
        }
        for (link, target) in symlinks {
            symlink(target, tree.workspace().join(link)).expect("symlink");
        }
        tree
    }

    /// The tree of a file with recorded outputs.
    fn from_layout(layout: &Value) -> Self {
        let files: Vec<&str> = strings(&layout["files"])
            .chain(strings(&layout["outside"]))
            .collect();
        let tree = Self::new(&files, &[]);
        for directory in strings(&layout["directories"]) {
            fs::create_dir(tree.workspace().join(directory)).expect("directory");
        }
        for (link, target) in layout["symlinks"].as_object().expect("symlinks") {
            symlink(
                target.as_str().expect("target"),
                tree.workspace().join(link),
            )
            .expect("symlink");
        }
        tree
    }

    fn workspace(&self) -> PathBuf {
        self.directory.path().join("ws")
    }

    fn base(&self) -> Base {
        Base::new(self.workspace(), self.directory.path().join("home"))
    }

    fn write(&self, file: &str) {
        let path = match file.strip_prefix("../") {
            Some(outside) => self.directory.path().join(outside),
            None => self.workspace().join(file),
        };
        fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        fs::write(path, file).expect("file");
    }

    /// What a list resolves to, relative to the workspace.
    fn resolve(&self, lines: &[&str], follow: bool) -> Vec<String> {
        let patterns = Patterns::parse(lines, &self.base()).expect("patterns");
        self.shown(&patterns, follow).expect("resolve")
    }

    fn shown(&self, patterns: &Patterns, follow: bool) -> Result<Vec<String>, ResolveError> {
        let found = patterns.resolve(follow)?;
        Ok(found
            .iter()
            .map(|found| self.base().relative(&found.path).display().to_string())
            .collect())
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|item| item.as_str().expect("string"))
}

/// Runs every recorded case on one tree and reports all differences.
fn compare(
    tree: &Tree,
    cases: &Value,
    run: impl Fn(&Patterns, &Value) -> Result<Vec<String>, ResolveError>,
) -> usize {
    let cases = cases.as_array().expect("cases");
    let mut differences = Vec::new();
    for case in cases {
        let lines: Vec<&str> = strings(&case["patterns"]).collect();
        let got = match Patterns::parse(&lines, &tree.base()) {
            Ok(patterns) => Some(run(&patterns, case).expect("resolve")),
            Err(_) => None,
        };
        let want: Option<Vec<String>> = case
            .get("error")
            .is_none()
            .then(|| strings(&case["paths"]).map(str::to_owned).collect());
        if got != want {
            differences.push(format!("{case}\n   got {got:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
    cases.len()
}

#[test]
fn path_lists_resolve_as_the_cache_action_resolves_them() {
    let oracle: Value = serde_json::from_str(include_str!("../../data/glob-oracle.json")).unwrap();
    let tree = Tree::from_layout(&oracle["layout"]);
    tree.write("../home/.cargo/registry/x");
    fs::create_dir(tree.directory.path().join("out")).unwrap();
    let compared = compare(&tree, &oracle["cases"], |patterns, _| {
        tree.shown(patterns, true)
    });
    assert_eq!(compared, 31);
}

#[test]
fn path_lists_resolve_as_the_glob_library_resolves_them() {
    let table: Value = serde_json::from_str(include_str!("../../data/glob-table.json")).unwrap();
    let tree = Tree::from_layout(&table["layout"]);
    let compared = compare(&tree, &table["cases"], |patterns, case| {
        let follow = case["follow"] == true;
        if case["descendants"] == true {
            tree.shown(&patterns.with_descendants(), follow)
        } else {
            tree.shown(patterns, follow)
        }
    });
    assert!(compared > 200);
}

#[test]
fn paths_that_lead_out_by_dots_are_refused_with_the_pattern_named() {
    let base = Base::new("/ws", "/h");
    for pattern in ["../out", "a/../b", "./..", "a/./b", "[.][.]/x", r"\.\./x"] {
        let error = Patterns::parse([pattern], &base).unwrap_err();
        assert_eq!(
            error,
            PatternError::RelativeSegment {
                pattern: pattern.to_owned()
            }
        );
        assert!(error.to_string().contains(pattern));
    }
    let error = Patterns::parse(["!../out"], &base).unwrap_err();
    assert_eq!(
        error,
        PatternError::RelativeSegment {
            pattern: "../out".to_owned()
        }
    );
}

#[test]
fn an_unknown_home_is_an_error_only_for_patterns_that_use_it() {
    let base = Base::new("/ws", "");
    assert!(Patterns::parse(["a", "~user"], &base).is_ok());
    assert_eq!(
        Patterns::parse(["~/a"], &base).unwrap_err(),
        PatternError::NoHome {
            pattern: "~/a".to_owned()
        }
    );
    let nowhere = Base::new("ws", "/h");
    assert!(Patterns::parse(["/a", "~/a"], &nowhere).is_ok());
    assert!(matches!(
        Patterns::parse(["a"], &nowhere),
        Err(PatternError::NoWorkingDirectory { .. })
    ));
}

#[test]
fn wildcards_in_the_names_of_workspace_and_home_are_plain_characters() {
    let tree = Tree::new(&["a"], &[]);
    let odd = tree.directory.path().join("[w]*?\\");
    fs::create_dir_all(odd.join("home")).unwrap();
    fs::write(odd.join("f"), "").unwrap();
    fs::write(odd.join("home/f"), "").unwrap();
    let base = Base::new(&odd, odd.join("home"));
    let found = Patterns::parse(["f*", "~/f*"], &base)
        .unwrap()
        .resolve(true)
        .unwrap();
    let paths: Vec<&Path> = found.iter().map(|found| found.path.as_path()).collect();
    assert_eq!(paths, [odd.join("f"), odd.join("home/f")]);
}

#[test]
fn names_of_any_bytes_are_matched_and_listed_in_bytewise_order() {
    let tree = Tree::new(&["d/z"], &[]);
    let names: [&[u8]; 4] = [b"a\n b", b"a\x80", b"a\xc3\xa9", b"a\xff\xfe"];
    for name in names {
        fs::write(tree.workspace().join("d").join(OsStr::from_bytes(name)), "").unwrap();
    }
    let found = Patterns::parse(["d/a*"], &tree.base())
        .unwrap()
        .resolve(true)
        .unwrap();
    let found: Vec<&[u8]> = found
        .iter()
        .map(|found| found.path.file_name().unwrap().as_bytes())
        .collect();
    assert_eq!(found, names);
}

#[test]
fn the_contents_of_a_directory_come_before_a_name_that_continues_its_own() {
    let tree = Tree::new(&["d/x", "d.x", "d-x", "D/x"], &[]);
    assert_eq!(
        tree.resolve(&["**/*x", "d"], true),
        ["D/x", "d", "d/x", "d-x", "d.x"]
    );
}

#[test]
fn a_link_back_to_a_directory_above_is_not_entered() {
    let tree = Tree::new(&["a/b/f"], &[("a/b/up", "../.."), ("a/here", ".")]);
    assert_eq!(tree.resolve(&["**/f"], true), ["a/b/f"]);
    assert_eq!(
        tree.resolve(&["a/**"], true),
        ["a", "a/b", "a/b/f", "a/b/up"]
    );
    assert_eq!(
        tree.resolve(&["a/**"], false),
        ["a", "a/b", "a/b/f", "a/b/up", "a/here"]
    );
}

#[test]
fn a_link_to_itself_is_an_error_that_names_it_where_links_are_followed() {
    let tree = Tree::new(&["f"], &[("self", "self")]);
    let patterns = Patterns::parse(["*"], &tree.base()).unwrap();
    let error = patterns.resolve(true).unwrap_err();
    assert!(
        matches!(&error, ResolveError::Inspect { path, .. } if *path == tree.workspace().join("self"))
    );
    assert_eq!(tree.resolve(&["*"], false), ["f", "self"]);
    assert_eq!(tree.resolve(&["*", "!self"], true), ["f"]);
}

#[test]
fn a_match_has_its_kind() {
    use FileKind::{Directory, File, Symlink};
    let tree = Tree::new(&["d/f"], &[("ld", "d"), ("lf", "d/f"), ("lb", "none")]);
    let kinds = |follow| -> Vec<(String, FileKind)> {
        let found = Patterns::parse(["**"], &tree.base())
            .unwrap()
            .resolve(follow)
            .unwrap();
        found
            .into_iter()
            .map(|found| {
                (
                    tree.base().relative(&found.path).display().to_string(),
                    found.kind,
                )
            })
            .collect()
    };
    let list = |list: &[(&str, FileKind)]| -> Vec<(String, FileKind)> {
        list.iter()
            .map(|(path, kind)| ((*path).to_owned(), *kind))
            .collect()
    };
    assert_eq!(
        kinds(true),
        list(&[
            (".", Directory),
            ("d", Directory),
            ("d/f", File),
            ("ld", Directory),
            ("ld/f", File),
            ("lf", File)
        ])
    );
    assert_eq!(
        kinds(false),
        list(&[
            (".", Directory),
            ("d", Directory),
            ("d/f", File),
            ("lb", Symlink),
            ("ld", Symlink),
            ("lf", Symlink)
        ])
    );
}

/// The one deliberate difference to actions/cache, which archives the whole listed directory.
#[test]
fn an_exclusion_inside_a_listed_directory_excludes_what_github_keeps() {
    let tree = Tree::new(
        &["target/a.rlib", "target/x/b.zip", "target/x/keep.zip"],
        &[],
    );
    let lines = ["./target", "!./target/**/*.zip", "target/x/keep.zip"];
    assert_eq!(tree.resolve(&lines, true), ["target", "target/x/keep.zip"]);
    let exclusions = Patterns::parse(lines, &tree.base())
        .unwrap()
        .exclusions_below(&tree.workspace().join("target"));
    let verdict = |path: &str| exclusions.verdict(Path::new(path), false);
    assert_eq!(verdict("a.rlib"), Filter::Include);
    assert_eq!(verdict("x/b.zip"), Filter::Exclude);
    assert_eq!(verdict("x/keep.zip"), Filter::Include);
}
