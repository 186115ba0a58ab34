//! Unused build outputs and downloads are not saved, and builds lack nothing: real builds with the
//! real cargo.

mod products;
mod registry;
mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use local_cache::cargo::target_gc as prune;
use local_cache::cargo::target_gc::locked_packages::LockedPackages;
use local_cache::tree::Roots;
use local_cache::tree::scan::{PathFilter, ScanOptions, scan};

use crate::support::tools::skip;
use registry::Registry;
use support::{Files, Runner, app_output, check_out, facts, package};

/// How often a dependency is upgraded.
const UPGRADES: u32 = 10;

/// A library of some size, so that outputs dominate and not directories.
fn library(calls: &str, number: u32) -> String {
    use std::fmt::Write as _;
    let mut text = format!("pub fn number() -> u32 {{ {number}{calls} }}\n");
    for n in 0..60 {
        let body = format!("x.iter().map(|y| format!(\"{{}} {n}\", y + {number})).collect()");
        writeln!(text, "pub fn f{n}(x: &[u64]) -> Vec<String> {{ {body} }}").unwrap();
    }
    text
}

/// Three packages, each of which depends on the one before it, and an independent one.
const PACKAGES: [&str; 4] = ["aaaa", "bbbb", "cccc", "only"];

/// Publishes a version of a package; the second has a build script.
fn publish(registry: &Registry, package: usize, number: u32) {
    let (name, version) = (PACKAGES[package], format!("1.0.{number}"));
    let needs = if matches!(package, 1 | 2) {
        &PACKAGES[package - 1..package]
    } else {
        &[]
    };
    let calls = needs
        .first()
        .map_or_else(String::new, |name| format!(" + {name}::number()"));
    let text = library(&calls, number);
    let script = (
        "build.rs",
        "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); }\n",
    );
    let sources = [("src/lib.rs", &*text), script];
    registry.publish(
        name,
        &version,
        needs,
        &sources[..if package == 1 { 2 } else { 1 }],
    );
}

fn publish_all(registry: &Registry, number: u32) {
    (0..PACKAGES.len()).for_each(|package| publish(registry, package, number));
}

/// A workspace of a program and a library with a test, that use them.
fn workspace(registry: &Registry) -> Files {
    let mut files = Files::new();
    package(
        &mut files,
        ".",
        "[workspace]\nmembers = [\"lib\"]\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n\
         [dependencies]\nlib = { path = \"lib\" }\n",
        &[
            (
                "src/main.rs",
                "fn main() { println!(\"{}\", lib::number()) }\n",
            ),
            ("tests/outer.rs", "#[test]\nfn t() {}\n"),
        ],
    );
    let mut files: Files = files
        .into_iter()
        .map(|(path, text)| {
            (
                path[2..].to_owned(),
                text.replace("name = \".\"", "name = \"repo\""),
            )
        })
        .collect();
    package(
        &mut files,
        "lib",
        "[dependencies]\ncccc = \"1\"\n",
        &[("src/lib.rs", "pub fn number() -> u32 { cccc::number() }\n")],
    );
    files.insert(".cargo/config.toml".into(), registry.config());
    files
}

/// Builds programs and tests, and checks them.
fn build_all(runner: &Runner, checkout: &Path) -> BTreeSet<String> {
    let mut compiled = BTreeSet::new();
    for command in [
        &["build", "--all-targets", "--workspace"][..],
        &["check", "--workspace"],
    ] {
        let built = runner.build_as(checkout, command, &[]);
        assert!(built.succeeded, "{}", built.errors);
        compiled.extend(built.compiled);
    }
    compiled
}

/// The layout of cargo's build outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// By kinds of files, until cargo 1.99.
    Kinds,
    /// By units, since cargo 1.100; an option of older ones.
    Units,
}

impl Layout {
    fn env(self) -> Vec<(&'static str, OsString)> {
        let variables: &[(&str, &str)] = match self {
            Self::Kinds => &[("__CARGO_TEMPORARY_BUILD_DIR_NEW_LAYOUT_OPT_OUT", "1")],
            Self::Units => &[
                ("RUSTC_BOOTSTRAP", "1"),
                ("CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT", "true"),
            ],
        };
        variables
            .iter()
            .map(|(name, value)| (*name, value.into()))
            .collect()
    }

    /// Whether a target directory has this layout; reports a skipped test if it has not.
    fn is_there(self, target: &Path) -> bool {
        let found = target.join("debug/.fingerprint").exists();
        if found != (self == Self::Kinds) {
            skip(
                "a cargo with both layouts",
                &format!("outputs are laid out by {self:?}"),
            );
        }
        found == (self == Self::Kinds)
    }
}

/// A checkout of the workspace, built with the first version of each package.
struct Built {
    runner: Runner,
    registry: Registry,
    checkout: PathBuf,
    files: Files,
}

impl Built {
    /// None if this cargo does not support the layout.
    fn new(layout: Layout) -> Option<Self> {
        let built = Self::with(layout.env(), |_| {});
        layout
            .is_there(&built.checkout.join("target"))
            .then_some(built)
    }

    /// With variables for cargo, and with a change to the workspace.
    fn with(env: Vec<(&'static str, OsString)>, change: impl FnOnce(&mut Files)) -> Self {
        let mut runner = Runner::new();
        runner.env = env;
        let registry = Registry::new();
        let checkout = runner.path("repo");
        publish_all(&registry, 0);
        let mut files = workspace(&registry);
        change(&mut files);
        check_out(&files, &checkout);
        build_all(&runner, &checkout);
        Self {
            runner,
            registry,
            checkout,
            files,
        }
    }
}

fn upgrade(runner: &Runner, checkout: &Path) {
    let output = runner
        .cargo(checkout, &["update", "--quiet"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn bytes(directory: &Path, exclude: Option<PathFilter<'_>>) -> u64 {
    let places = Roots::new([((*b"x").into(), directory.to_owned())]);
    scan(
        &places,
        &ScanOptions {
            filter: exclude,
            ..ScanOptions::default()
        },
    )
    .unwrap()
    .tree
    .total_bytes()
}

#[test]
fn after_ten_upgrades_the_target_is_as_small_as_after_one_build() {
    ten_upgrades(Layout::Kinds);
}

#[test]
fn after_ten_upgrades_a_target_laid_out_by_units_is_as_small_as_after_one_build() {
    ten_upgrades(Layout::Units);
}

fn ten_upgrades(layout: Layout) {
    let Some(Built {
        runner,
        registry,
        checkout,
        mut files,
    }) = Built::new(layout)
    else {
        return;
    };
    runner.save(&checkout);
    let mut unpruned = 0;
    for number in 1..=UPGRADES {
        // In turn, so that retained outputs must match their dependencies.
        publish(&registry, number as usize % 3, number);
        check_out(&files, &checkout);
        runner.restore(&checkout);
        upgrade(&runner, &checkout);
        build_all(&runner, &checkout);
        files.insert(
            "Cargo.lock".into(),
            fs::read_to_string(checkout.join("Cargo.lock")).unwrap(),
        );
        let all = bytes(&checkout.join("target"), None);
        unpruned += all - runner.save(&checkout);
    }
    check_out(&files, &checkout);
    runner.restore(&checkout);
    let kept = bytes(&checkout.join("target"), None);
    assert_eq!(
        build_all(&runner, &checkout),
        BTreeSet::new(),
        "nothing changed"
    );
    assert_eq!(app_output(&checkout), "27\n");

    fs::remove_dir_all(checkout.join("target")).unwrap();
    build_all(&runner, &checkout);
    let fresh = bytes(&checkout.join("target"), None);
    assert!(
        kept * 10 <= fresh * 13,
        "{kept} bytes are kept, a fresh build has {fresh}"
    );
    assert!(
        unpruned > 2 * fresh,
        "without leaving anything out it would be {unpruned} bytes more"
    );
}

#[test]
fn a_registry_reduced_to_the_lock_file_builds_offline() {
    let Built {
        runner,
        registry,
        checkout,
        ..
    } = Built::with(Vec::new(), |files| {
        *files.get_mut("lib/Cargo.toml").unwrap() += "only = \"1\"\n";
    });
    publish_all(&registry, 1);
    upgrade(&runner, &checkout);
    build_all(&runner, &checkout);
    fs::write(
        checkout.join("lib/Cargo.toml"),
        &workspace(&registry)["lib/Cargo.toml"],
    )
    .unwrap();
    build_all(&runner, &checkout);

    let home = runner.path("cargo-home");
    let before = names(&home);
    let facts = facts(&checkout);
    let needed = LockedPackages::of_workspaces(&facts).unwrap();
    let exclude = prune::downloads::downloads_filter(home.clone(), needed, BTreeSet::new());
    keep_only(&home, &exclude);
    let gone: BTreeSet<String> = before.difference(&names(&home)).cloned().collect();
    for name in ["aaaa-1.0.0.crate", "only-1.0.1.crate", "cccc-1.0.0", "only"] {
        assert!(
            gone.iter().any(|path| path.ends_with(&format!("/{name}"))),
            "{name}: {gone:#?}"
        );
    }
    assert!(
        !gone
            .iter()
            .any(|path| path.contains("1.0.1") && !path.contains("only")),
        "{gone:#?}"
    );
    fs::remove_dir_all(checkout.join("target")).unwrap();
    let built = runner.build_as(&checkout, &["build", "--offline", "--locked"], &[]);
    assert!(built.succeeded, "{}", built.errors);
    assert_eq!(app_output(&checkout), "3\n");
}

fn names(directory: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    crate::support::trees::walk(directory, &mut |path| {
        names.insert(path.to_str().unwrap().to_owned());
    });
    names
}

/// Removes what a save excludes.
fn keep_only(directory: &Path, exclude: PathFilter<'_>) {
    let places = Roots::new([((*b"x").into(), directory.to_owned())]);
    let kept = scan(
        &places,
        &ScanOptions {
            filter: Some(exclude),
            ..ScanOptions::default()
        },
    )
    .unwrap()
    .tree;
    let dirs = kept.dir_ids().map(|dir| places.dir_path(&kept, dir));
    let leaves = kept.leaf_ids().map(|leaf| places.leaf_path(&kept, leaf));
    let kept: BTreeSet<PathBuf> = dirs.chain(leaves).collect();
    let mut gone = Vec::new();
    crate::support::trees::walk(directory, &mut |path| {
        if !kept.contains(path) {
            gone.push(path.to_owned());
        }
    });
    for path in gone.iter().rev() {
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_removed_test_is_not_saved_and_a_failed_build_loses_no_other_unit() {
    for layout in [Layout::Kinds, Layout::Units] {
        remove_a_test(layout);
    }
}

fn remove_a_test(layout: Layout) {
    let Some(Built {
        runner,
        registry: _registry,
        checkout,
        mut files,
    }) = Built::new(layout)
    else {
        return;
    };
    let has_outer = |checkout: &Path| {
        let names = names(&checkout.join("target/debug"));
        names
            .iter()
            .filter(|path| path.rsplit('/').next().unwrap().starts_with("outer-"))
            .count()
    };
    assert!(has_outer(&checkout) > 0);
    files.insert(
        "Cargo.lock".into(),
        fs::read_to_string(checkout.join("Cargo.lock")).unwrap(),
    );
    files.remove("tests/outer.rs");
    let main = files
        .insert("src/main.rs".into(), "fn main() {".into())
        .unwrap();
    for name in ["src/main.rs", "tests/outer.rs"] {
        fs::remove_file(checkout.join(name)).unwrap();
    }
    fs::write(checkout.join("src/main.rs"), &files["src/main.rs"]).unwrap();
    assert!(!runner.build_as(&checkout, &["build"], &[]).succeeded);
    runner.save(&checkout);

    files.insert("src/main.rs".into(), main);
    check_out(&files, &checkout);
    runner.restore(&checkout);
    assert_eq!(has_outer(&checkout), 0);
    assert_eq!(
        build_all(&runner, &checkout),
        BTreeSet::from(["repo".to_owned()])
    );
    assert_eq!(app_output(&checkout), "0\n");
}
