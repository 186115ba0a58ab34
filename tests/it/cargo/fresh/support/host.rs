//! A host with a store, on which jobs run at the same place again and again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use super::built::{Built, products};
use super::files::{Files, set_times};
use super::place;
use crate::support::RunResult;

pub(crate) const BUILD: &[&str] = &["build"];
/// Builds tests, which are run when the build is compared.
pub(crate) const TESTS: &[&str] = &["test", "--no-run"];

/// A store, a `CARGO_HOME` and a place for checkouts.
pub(crate) struct Host {
    dir: TempDir,
    pub(crate) env: BTreeMap<String, OsString>,
}

/// How a restore found the target directory of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    Exact,
    Prefix,
    Miss,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// A host whose directories are on the filesystem of a directory.
    pub(crate) fn below(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lc-fresh-")
            .tempdir_in(parent)
            .unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["home", "cargo-home", "place"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let home = std::env::var_os("HOME").map_or_else(PathBuf::new, PathBuf::from);
        let rustup = std::env::var_os("RUSTUP_HOME").unwrap_or_else(|| home.join(".rustup").into());
        let mut env = BTreeMap::new();
        for (name, value) in [
            ("RUSTUP_HOME", rustup),
            ("HOME", root.join("home").into()),
            ("CARGO_HOME", root.join("cargo-home").into()),
            ("CARGO_NET_OFFLINE", "true".into()),
            ("CARGO_PROFILE_DEV_DEBUG", "0".into()),
            ("CARGO_INCREMENTAL", "0".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_AUTHOR_NAME", "a".into()),
            ("GIT_AUTHOR_EMAIL", "a@example.org".into()),
            ("GIT_AUTHOR_DATE", "2020-01-01T00:00:00Z".into()),
            ("GIT_COMMITTER_NAME", "a".into()),
            ("GIT_COMMITTER_EMAIL", "a@example.org".into()),
            ("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z".into()),
        ] {
            env.insert(name.to_owned(), value);
        }
        for name in ["PATH", "RUSTUP_TOOLCHAIN"] {
            env.extend(std::env::var_os(name).map(|value| (name.to_owned(), value)));
        }
        Self { dir, env }
    }

    /// Keeps the directories after the test; returns where they are.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// The directory that holds all that jobs work in.
    pub(crate) fn place(&self) -> PathBuf {
        self.path("place")
    }

    /// The checkout of jobs.
    pub(crate) fn checkout(&self) -> PathBuf {
        self.path("place/repo/repo")
    }

    /// Runs jobs with a variable.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.insert(name.to_owned(), value.into());
    }

    pub(crate) fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(directory)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn cargo_command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new("cargo"), directory);
        command.args(arguments).arg("--message-format=json");
        command
    }

    /// Runs a command of cargo, and then the programs that it made.
    pub(crate) fn cargo(&self, directory: &Path, arguments: &[&str]) -> Built {
        let ran = self.cargo_command(directory, arguments).output().unwrap();
        let mut built = Built::of(&ran, &|program, directory| self.command(program, directory));
        let target = self.env.get("CARGO_TARGET_DIR");
        built.products =
            products(&target.map_or_else(|| directory.join("target"), |it| directory.join(it)));
        built
    }

    /// The same, with the sources that it leaves.
    pub(crate) fn cargo_with_sources(&self, directory: &Path, arguments: &[&str]) -> Built {
        let mut built = self.cargo(directory, arguments);
        built.sources = place::sources(&self.place());
        built
    }

    /// Exchanges the place of jobs with another directory.
    pub(crate) fn swap_place(&self, other: &Path) {
        let (place, aside) = (self.place(), self.path("aside"));
        fs::rename(&place, &aside).unwrap();
        fs::rename(other, &place).unwrap();
        fs::rename(&aside, other).unwrap();
    }

    /// Runs something with another directory at the place of jobs.
    pub(crate) fn with_place<T>(&self, other: &Path, run: impl FnOnce() -> T) -> T {
        self.swap_place(other);
        let done = run();
        self.swap_place(other);
        done
    }

    /// Runs the same command with the cache and, in a copy of the place, from an empty target
    /// directory. The copy is at the same path while it is built.
    pub(crate) fn build_twice(&self, directory: &Path, arguments: &[&str]) -> (Built, Built) {
        let copy = self.path("clean");
        place::copy(&self.place(), &copy, false);
        let cached = self.cargo_with_sources(directory, arguments);
        let clean = self.with_place(&copy, || self.cargo_with_sources(directory, arguments));
        fs::remove_dir_all(&copy).unwrap();
        (clean, cached)
    }

    /// Demands that a command ends as from an empty target directory.
    #[track_caller]
    pub(crate) fn builds_like_clean(&self, directory: &Path, arguments: &[&str]) -> Built {
        let (clean, cached) = self.build_twice(directory, arguments);
        let found = clean.differences(&cached);
        assert!(found.is_empty(), "{arguments:?}: {}", found.join("\n"));
        cached
    }

    pub(crate) fn local_cache(&self, directory: &Path, arguments: &[&str]) -> RunResult {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_local-cache")), directory);
        command
            .args(arguments)
            .arg("--cache-root")
            .arg(self.path("store"));
        RunResult::of(&mut command)
    }

    /// `local-cache cargo restore` with options: how the target directory was found.
    #[track_caller]
    pub(crate) fn restore(&self, directory: &Path, options: &[&str]) -> Hit {
        let arguments = [&["cargo", "restore", "--json"], options].concat();
        let ran = self.local_cache(directory, &arguments).exited(0);
        let caches = ran.json()["caches"].as_array().unwrap().clone();
        let targets = caches
            .iter()
            .filter(|cache| cache["name"].as_str().unwrap().starts_with("target"));
        let mut words = targets.map(|cache| match cache["cache-hit"].as_str().unwrap() {
            "exact" => Hit::Exact,
            "miss" => Hit::Miss,
            _ => Hit::Prefix,
        });
        words.next().unwrap()
    }

    #[track_caller]
    pub(crate) fn save(&self, directory: &Path, options: &[&str]) -> RunResult {
        let arguments = [&["cargo", "save"], options].concat();
        self.local_cache(directory, &arguments).exited(0)
    }

    /// Adds the lock file that cargo makes for the project.
    pub(crate) fn locked(&self, files: Files) -> Files {
        self.locked_in(files, &["."])
    }

    /// Adds the lock files of workspaces.
    pub(crate) fn locked_in(&self, files: Files, workspaces: &[&str]) -> Files {
        let directory = self.path("maintainer");
        files.write(&directory);
        let mut files = files;
        for workspace in workspaces {
            let root = directory.join(workspace);
            let mut command = self.command(Path::new("cargo"), &root);
            let ran = RunResult::of(command.arg("generate-lockfile"));
            assert_eq!(ran.code, Some(0), "{ran:#?}");
            let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
            files.set(&super::files::join(workspace, "Cargo.lock"), lock);
        }
        fs::remove_dir_all(&directory).unwrap();
        files
    }

    /// A job on a new checkout of files.
    pub(crate) fn job(&self, files: &Files) -> Job<'_> {
        self.job_at(&self.checkout(), files)
    }

    pub(crate) fn job_at(&self, checkout: &Path, files: &Files) -> Job<'_> {
        if checkout.symlink_metadata().is_ok() {
            fs::remove_dir_all(checkout).unwrap();
        }
        files.write(checkout);
        Job {
            host: self,
            directory: checkout.to_owned(),
        }
    }

    /// A job on what is in the place already.
    pub(crate) fn job_in(&self, directory: &Path) -> Job<'_> {
        Job {
            host: self,
            directory: directory.to_owned(),
        }
    }

    /// The first job of a project: restores nothing, builds, saves with `--move`.
    #[track_caller]
    pub(crate) fn first_job(&self, files: &Files, arguments: &[&str]) -> Built {
        let job = self.job(files);
        assert_eq!(job.restore(), Hit::Miss, "the first job");
        let built = job.build(arguments);
        assert!(built.succeeded, "{}", built.errors);
        job.save(&["--move"]);
        built
    }

    /// A job that finds an entry and must end like a clean build. Saves without `--move`.
    #[track_caller]
    pub(crate) fn next_job(&self, files: &Files, arguments: &[&str]) -> Built {
        let job = self.job(files);
        assert_ne!(job.restore(), Hit::Miss, "a later job");
        let built = job.builds_like_clean(arguments);
        job.save(&[]);
        built
    }

    /// Runs git, which must succeed; returns what it printed.
    #[track_caller]
    pub(crate) fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let mut command = self.command(Path::new("git"), directory);
        let ran = RunResult::of(
            command
                .args(["-c", "init.defaultBranch=main"])
                .args(arguments),
        );
        assert_eq!(ran.code, Some(0), "git {arguments:?}: {ran:#?}");
        ran.stdout.trim().to_owned()
    }

    /// Commits files as all that is in a repository, which is made if it is missing.
    pub(crate) fn commit(&self, repository: &Path, files: &Files) -> String {
        fs::create_dir_all(repository).unwrap();
        if repository.join(".git").exists() {
            self.git(repository, &["rm", "-rqf", "--ignore-unmatch", "."]);
        } else {
            self.git(repository, &["init", "-q"]);
        }
        files.write(repository);
        self.git(repository, &["add", "-A"]);
        self.git(
            repository,
            &["commit", "-q", "--allow-empty", "-m", "commit"],
        );
        self.git(repository, &["rev-parse", "HEAD"])
    }

    /// A job on a new clone of a repository.
    pub(crate) fn clone_job(&self, repository: &Path) -> Job<'_> {
        let checkout = self.checkout();
        if checkout.exists() {
            fs::remove_dir_all(&checkout).unwrap();
        }
        let names = [repository, &checkout].map(|path| path.to_str().unwrap().to_owned());
        self.git(&self.path(""), &["clone", "-q", &names[0], &names[1]]);
        self.job_in(&checkout)
    }
}

/// A job in a directory.
pub(crate) struct Job<'h> {
    pub(crate) host: &'h Host,
    pub(crate) directory: PathBuf,
}

impl Job<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file as a step does, with the time of now.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        Files::default().with(name, text).write(&self.directory);
        self
    }

    /// Sets the times of all sources.
    pub(crate) fn set_times(&self, time: SystemTime) -> &Self {
        set_times(&self.directory, time);
        self
    }

    #[track_caller]
    pub(crate) fn restore(&self) -> Hit {
        self.host.restore(&self.directory, &[])
    }

    pub(crate) fn build(&self, arguments: &[&str]) -> Built {
        self.host.cargo(&self.directory, arguments)
    }

    #[track_caller]
    pub(crate) fn builds_like_clean(&self, arguments: &[&str]) -> Built {
        self.host.builds_like_clean(&self.directory, arguments)
    }

    #[track_caller]
    pub(crate) fn save(&self, options: &[&str]) -> RunResult {
        self.host.save(&self.directory, options)
    }
}
