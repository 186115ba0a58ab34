//! What a command of cargo did: the units it compiled, what its programs print, what it warns of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::files::Node;

/// The result of one command of cargo.
#[derive(Clone, Debug, Default)]
pub(crate) struct Built {
    pub(crate) succeeded: bool,
    /// The packages that were compiled; build scripts as `NAME script`.
    pub(crate) compiled: BTreeSet<String>,
    /// What each program, example and test printed, by target.
    pub(crate) printed: BTreeMap<String, String>,
    /// Warnings of the compiler and of build scripts.
    pub(crate) warnings: BTreeSet<String>,
    /// The sources after the build: build scripts write into them.
    pub(crate) sources: BTreeMap<String, Node>,
    /// Names at the places where users look for outputs.
    pub(crate) products: BTreeSet<String>,
    pub(crate) errors: String,
}

impl Built {
    /// Reads the messages of `cargo --message-format=json` and runs what it made. `command` makes a
    /// command from a program and a directory.
    pub(crate) fn of(cargo: &Output, command: &dyn Fn(&Path, &Path) -> Command) -> Self {
        let errors = String::from_utf8_lossy(&cargo.stderr).into_owned();
        let mut built = Self {
            succeeded: cargo.status.success(),
            warnings: errors
                .lines()
                .filter(|line| line.starts_with("warning: ") && line.contains("@0."))
                .map(str::to_owned)
                .collect(),
            errors,
            ..Self::default()
        };
        let text = String::from_utf8_lossy(&cargo.stdout).into_owned();
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let messages = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        for message in messages {
            match message["reason"].as_str() {
                Some("compiler-artifact") => built.add_artifact(&message, command),
                Some("compiler-message") => built.add_message(&message),
                _ => {}
            }
        }
        built
    }

    fn add_message(&mut self, message: &Value) {
        let rendered = message["message"]["rendered"].as_str().unwrap_or_default();
        if message["message"]["level"] == "error" {
            self.errors.push_str(rendered);
        }
        let target = message["target"]["name"].as_str().unwrap();
        self.warnings.insert(format!("{target}: {rendered}"));
    }

    fn add_artifact(&mut self, message: &Value, command: &dyn Fn(&Path, &Path) -> Command) {
        let target = &message["target"];
        let (name, kind) = (target["name"].as_str().unwrap(), &target["kind"][0]);
        let package = package_name(message["package_id"].as_str().unwrap());
        if message["fresh"] == false {
            self.compiled.insert(if kind == "custom-build" {
                format!("{package} script")
            } else {
                package.clone()
            });
        }
        let Some(program) = message["executable"].as_str() else {
            return;
        };
        let manifest = PathBuf::from(message["manifest_path"].as_str().unwrap());
        let is_test = message["profile"]["test"] == true;
        let mut run = command(Path::new(program), manifest.parent().unwrap());
        if is_test {
            run.args(["--nocapture", "--test-threads=1"]);
        }
        let printed = run.output().map_or_else(
            |error| error.to_string(),
            |ran| {
                let text = [ran.stdout, ran.stderr].concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                format!("{}{}", without_durations(&text), ran.status)
            },
        );
        let suffix = if is_test { " as test" } else { "" };
        self.printed.insert(
            format!("{package} {} {name}{suffix}", kind.as_str().unwrap()),
            printed,
        );
    }

    /// How another build ended differently; `self` is the one from an empty target directory.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        if self.succeeded != other.succeeded {
            let (clean, cached) = (self.succeeded, other.succeeded);
            return vec![format!(
                "success: a clean build {clean}, with the cache {cached}\n{}{}",
                self.errors, other.errors
            )];
        }
        if !self.succeeded {
            // Which messages a failed build prints depends on the order in which jobs end.
            return Vec::new();
        }
        let mut found = map_differences("output of", &self.printed, &other.printed);
        found.extend(map_differences("source", &self.sources, &other.sources));
        if self.warnings != other.warnings {
            found.push(format!(
                "warnings: a clean build {:#?}, with the cache {:#?}",
                self.warnings, other.warnings
            ));
        }
        found
    }

    #[track_caller]
    pub(crate) fn compiled_only(&self, expected: &[&str]) -> &Self {
        assert!(self.succeeded, "{}", self.errors);
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(self.compiled, expected, "compiled packages");
        self
    }

    /// The output of the only program with a name.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> &str {
        let suffix = format!(" bin {name}");
        let mut found = self.printed.iter().filter(|(it, _)| it.ends_with(&suffix));
        let (_, text) = found.next().unwrap_or_else(|| panic!("{self:#?}"));
        text.lines().next().unwrap_or_default()
    }
}

/// The differences between two maps, with the values of both sides.
fn map_differences<V: PartialEq + std::fmt::Debug>(
    what: &str,
    clean: &BTreeMap<String, V>,
    cached: &BTreeMap<String, V>,
) -> Vec<String> {
    let names: BTreeSet<&String> = clean.keys().chain(cached.keys()).collect();
    names
        .into_iter()
        .filter(|name| clean.get(*name) != cached.get(*name))
        .map(|name| {
            format!(
                "{what} {name}: a clean build {:?}, with the cache {:?}",
                clean.get(name),
                cached.get(name)
            )
        })
        .collect()
}

/// The name of a package from its id: `path+file:///dir/NAME#0.1.0` or `...#NAME@0.1.0`.
fn package_name(id: &str) -> String {
    let (path, version) = id.rsplit_once('#').unwrap();
    let name = version
        .split_once('@')
        .map_or_else(|| path.rsplit('/').next().unwrap(), |(name, _)| name);
    name.to_owned()
}

/// Output of a test program without the durations in it.
fn without_durations(text: &str) -> String {
    text.lines()
        .map(|line| line.split("; finished in ").next().unwrap())
        .fold(String::new(), |all, line| all + line + "\n")
}

/// The names in a target directory that users see: programs and libraries at the top of each
/// profile, examples, documentation, and whatever other tools put there.
pub(crate) fn products(target: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names(target) {
        let path = target.join(&name);
        let is_profile = path.join("deps").is_dir();
        for below in names(&path) {
            let skipped = ["deps", "build", "incremental"].contains(&below.as_str());
            if is_profile && below == "examples" {
                let shown = names(&path.join(&below)).into_iter();
                found.extend(
                    shown
                        .filter(|it| !has_hash(it))
                        .map(|it| format!("{name}/examples/{it}")),
                );
            } else if !(is_profile && skipped) {
                found.insert(format!("{name}/{below}"));
            }
        }
        if !path.is_dir() && name != "CACHEDIR.TAG" {
            found.insert(name);
        }
    }
    found
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// Whether a name ends with cargo's hash of a unit.
pub(crate) fn has_hash(name: &str) -> bool {
    let stem = name.split('.').next().unwrap();
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
