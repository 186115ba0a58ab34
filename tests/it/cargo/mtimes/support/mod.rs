//! Jobs on a small Cargo project: checkouts, builds with the real cargo, saves and restores.

mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use local_cache::cargo::gather::gather;
use local_cache::cargo::mtimes::history::Sources;
use local_cache::cargo::mtimes::replay as sources;
use local_cache::cargo::mtimes::replay::ReplayStats;
use local_cache::cargo::project::facts::{KeyRequest, WorkspaceFacts, WorkspaceRequest};
use local_cache::cargo::target_gc::inspect::inspect;
use local_cache::fs::Local;
use local_cache::monitor::Monitor;
use local_cache::ops::save::SaveOutcome;
use local_cache::ops::{restore, save};
use local_cache::store::{CacheKind, Entry, EntryGroup, Store};
use local_cache::tree::Roots;
use local_cache::tree::plan::Extraneous;
use local_cache::tree::scan::PathFilter;
pub(crate) use projects::{Files, Times, check_out, make_old, package, pair, project};
use tempfile::TempDir;

/// A runner with a store and a `CARGO_HOME`.
pub(crate) struct Runner {
    dir: TempDir,
    pub(crate) env: Vec<(&'static str, OsString)>,
}

#[derive(Default)]
pub(crate) struct Warnings(pub(crate) Mutex<Vec<String>>);

impl Monitor for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// The result of a build.
#[derive(Debug)]
pub(crate) struct Built {
    /// The packages that were compiled; build scripts as `NAME script`.
    pub(crate) compiled: BTreeSet<String>,
    pub(crate) succeeded: bool,
    pub(crate) errors: String,
}

impl Built {
    #[track_caller]
    pub(crate) fn compiled_only(&self, expected: &[&str], what: &str) {
        assert!(self.succeeded, "{what}: {}", self.errors);
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(self.compiled, expected, "{what}");
    }
}

impl Runner {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lc-cargo-")
            .tempdir()
            .unwrap();
        fs::create_dir(dir.path().join("cargo-home")).unwrap();
        Self {
            dir,
            env: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn store(&self) -> Store {
        Store::create(&self.path("cache")).unwrap()
    }

    pub(crate) fn cargo(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(directory).env_clear();
        for name in ["PATH", "RUSTUP_TOOLCHAIN"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let rustup =
            std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
        command
            .env("RUSTUP_HOME", rustup)
            .env("HOME", self.path("home"));
        command
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Builds everything in a directory.
    pub(crate) fn build(&self, directory: &Path) -> Built {
        self.build_as(directory, &["build"], &[])
    }

    /// Builds with a command of cargo and additional variables.
    pub(crate) fn build_as(
        &self,
        directory: &Path,
        command: &[&str],
        env: &[(&str, &Path)],
    ) -> Built {
        let mut command = self.cargo(directory, &[command, &["--message-format=json"]].concat());
        command.envs(env.iter().map(|(name, value)| (*name, value.as_os_str())));
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = String::from_utf8(stdout).unwrap();
        let messages = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let compiled = messages
            .filter(|message| message["reason"] == "compiler-artifact" && message["fresh"] == false)
            .map(|message| {
                let manifest = PathBuf::from(message["manifest_path"].as_str().unwrap());
                let package = manifest
                    .parent()
                    .unwrap()
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let is_script = message["target"]["kind"][0] == "custom-build";
                if is_script {
                    format!("{package} script")
                } else {
                    package
                }
            });
        let compiled = compiled.collect();
        Built {
            compiled,
            succeeded: status.success(),
            errors: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The output of the program `app` after a build from scratch.
    pub(crate) fn clean_app_output(&self, directory: &Path) -> String {
        let clean = TempDir::new_in(self.dir.path()).unwrap();
        let built = self.build_as(directory, &["build"], &[("CARGO_TARGET_DIR", clean.path())]);
        assert!(built.succeeded, "{}", built.errors);
        run(clean.path())
    }

    /// Saves the target directories of workspaces, with a record of sources.
    pub(crate) fn save(&self, step: &Step, key: &str) {
        step.facts()
            .iter()
            .for_each(|workspace| drop(self.save_target(step, workspace, key, None)));
    }

    /// The same for the only workspace of a step, without unused outputs.
    pub(crate) fn save_pruned(&self, step: &Step, key: &str) -> Entry {
        let facts = step.facts();
        let left = inspect(&facts[0].target, &facts, &Local::default()).unwrap();
        self.save_target(step, &facts[0], key, Some(&left.into_filter()))
            .expect("a change")
    }

    fn save_target(
        &self,
        step: &Step,
        workspace: &WorkspaceFacts,
        key: &str,
        filter: Option<PathFilter<'_>>,
    ) -> Option<Entry> {
        let area = step.area(self);
        let sources = Sources {
            area: &area,
            job: &step.job,
        };
        let record_sources = |mtimes: &[_]| {
            let mtimes = mtimes.iter().copied();
            sources::record(&self.store(), &sources, mtimes, &Warnings::default())
        };
        let request = save::SaveRequest {
            group: &group(workspace),
            key,
            roots: &Roots::new([((*b"target").into(), workspace.target.clone())]),
            filter,
            options: save::SaveOptions {
                if_exists: save::IfExists::ReplaceIfChanged,
                ..save::SaveOptions::default()
            },
            record_sources: Some(&record_sources),
            parent: None,
        };
        match save::save(&self.store(), &request, &Warnings::default()).unwrap() {
            SaveOutcome::Saved(saved) => Some(saved.entry),
            SaveOutcome::Unchanged => None,
            other => panic!("{other:?}"),
        }
    }

    /// Restores the target directories of a step and replays modification times.
    pub(crate) fn restore(&self, step: &Step, key: &str) -> ReplayStats {
        let warnings = Warnings::default();
        let given = self.restore_with_warnings(step, key, &warnings);
        assert_eq!(*warnings.0.lock().unwrap(), Vec::<String>::new());
        given
    }

    pub(crate) fn restore_with_warnings(
        &self,
        step: &Step,
        key: &str,
        warnings: &Warnings,
    ) -> ReplayStats {
        let entries: Vec<Entry> = step
            .facts()
            .iter()
            .map(|workspace| self.restore_target(workspace, key))
            .collect();
        let area = step.area(self);
        let entries: Vec<&Entry> = entries.iter().collect();
        let sources = Sources {
            area: &area,
            job: &step.job,
        };
        sources::give_back(&self.store(), &sources, &entries, warnings).unwrap()
    }

    fn restore_target(&self, workspace: &WorkspaceFacts, key: &str) -> Entry {
        let request = restore::RestoreRequest {
            groups: &[group(workspace)],
            key,
            restore_keys: &[],
            destination: &|_| Ok(workspace.target.clone()),
            options: restore::RestoreOptions {
                extraneous: Extraneous::Remove,
                ..restore::RestoreOptions::default()
            },
        };
        restore::restore(&self.store(), &request, &Warnings::default())
            .unwrap()
            .expect("an entry")
            .entry
    }
}

/// The output of the program `app` of a workspace.
pub(crate) fn app_output(workspace: &Path) -> String {
    run(&workspace.join("target"))
}

fn run(target: &Path) -> String {
    let output = Command::new(target.join("debug/app")).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// One group for each workspace, in any directory.
fn group(workspace: &WorkspaceFacts) -> EntryGroup {
    let name = workspace
        .request
        .root
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    EntryGroup {
        scope: String::new(),
        git_ref: String::new(),
        kind: CacheKind::Target,
        paths: vec![name],
    }
}

/// A step of a job that caches target directories.
pub(crate) struct Step {
    pub(crate) checkout: PathBuf,
    pub(crate) workspaces: Vec<PathBuf>,
    pub(crate) named: Roots,
    pub(crate) job: String,
}

impl Step {
    /// A step for the workspace that is a checkout.
    pub(crate) fn of(checkout: &Path) -> Self {
        Self {
            checkout: checkout.to_owned(),
            workspaces: vec![checkout.to_owned()],
            named: Roots::default(),
            job: String::new(),
        }
    }

    /// The same with something in the input `sources`.
    pub(crate) fn naming(mut self, path: PathBuf) -> Self {
        self.named = Roots::new([((*b"./named").into(), path)]);
        self
    }

    pub(crate) fn facts(&self) -> Vec<WorkspaceFacts> {
        let workspaces = self.workspaces.iter();
        let asked = KeyRequest {
            workspaces: workspaces
                .map(|root| WorkspaceRequest {
                    root: root.clone(),
                    target: None,
                })
                .collect(),
            ..KeyRequest::new(BTreeMap::new(), Path::new("/nonexistent"), &self.checkout)
        };
        gather(&asked, &Local::default()).workspaces
    }

    fn area(&self, runner: &Runner) -> local_cache::cargo::mtimes::source_roots::SourceRoots {
        let facts = self.facts();
        let skipped = [runner.path("cache"), runner.path("cargo-home")];
        let request = sources::SourcesRequest {
            checkout: &self.checkout,
            workspaces: &facts,
            namespace: &Local::default(),
            skipped: &skipped,
            named: &self.named,
        };
        sources::look_for(&request, &Warnings::default()).unwrap()
    }
}

/// A pair of packages, built and saved.
pub(crate) fn built(runner: &Runner) -> (Files, Step) {
    let checkout = runner.path("repo");
    let files = pair("lib", ".", "lib");
    check_out(&files, &checkout, Times::Now);
    runner
        .build(&checkout)
        .compiled_only(&["lib", "repo"], "the first build");
    let step = Step::of(&checkout);
    runner.save(&step, "key");
    (files, step)
}
