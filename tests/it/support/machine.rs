//! A simulated runner: it calls the phases of the program as actions/runner calls the entrypoints
//! of a container action, and reads their results.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::step::{PhaseResult, Step};
use tempfile::TempDir;

/// The unprivileged user who runs phases if the tests run as root.
pub(super) const NOBODY: u32 = 65_534;

/// A machine with a runner: a home, a store, and workspaces.
pub(crate) struct Machine {
    directory: TempDir,
    pub(super) unprivileged: bool,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("compat-")
            .tempdir()
            .unwrap();
        for name in ["home", "work", "commands"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            directory,
            unprivileged: false,
        }
    }

    /// A machine whose runner is not root, even if the tests run as root.
    pub(crate) fn unprivileged() -> Self {
        Self {
            unprivileged: nix::unistd::geteuid().is_root(),
            ..Self::new()
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The number of entries in the store.
    pub(crate) fn entries(&self) -> usize {
        let entries = self.store().join("local-cache-v1/entries");
        fs::read_dir(entries).map_or(0, Iterator::count)
    }

    /// A job of a push to the default branch, with an empty workspace of its own.
    pub(crate) fn job(&self) -> Job<'_> {
        let number = fs::read_dir(self.path("work")).unwrap().count();
        let job = Job::new(self, self.path("work").join(number.to_string()));
        fs::create_dir_all(&job.workspace).unwrap();
        job
    }

    /// A job in the workspace that all jobs of a repository have on a runner: always the same path,
    /// emptied by the checkout.
    pub(crate) fn job_in(&self, workspace: &str) -> Job<'_> {
        let path = self.path("work").join(workspace);
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Job::new(self, path)
    }

    pub(super) fn chown_all(&self) {
        if self.unprivileged {
            chown_all(self.directory.path());
        }
    }
}

fn chown_all(path: &Path) {
    if path.is_symlink() {
        return;
    }
    // Files that a test gave to root stay with root.
    let is_kept = path
        .file_name()
        .is_some_and(|name| name.as_bytes().starts_with(b"of-root"));
    if is_kept {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path)
            .unwrap()
            .for_each(|entry| chown_all(&entry.unwrap().path()));
    }
}

/// A job: the variables that the runner sets for all of its steps.
pub(crate) struct Job<'m> {
    pub(super) machine: &'m Machine,
    pub(crate) workspace: PathBuf,
    pub(super) variables: BTreeMap<OsString, OsString>,
    pub(super) status: &'static str,
}

impl<'m> Job<'m> {
    fn new(machine: &'m Machine, workspace: PathBuf) -> Self {
        let mut job = Self {
            machine,
            workspace,
            variables: BTreeMap::new(),
            status: "success",
        };
        let event = format!(
            "event-{}.json",
            machine.path("work").read_dir().unwrap().count()
        );
        job = job
            .var("HOME", machine.home())
            .var("GITHUB_EVENT_PATH", machine.path(&event))
            .on(
                "push",
                "refs/heads/main",
                r#"{"repository": {"default_branch": "main"}}"#,
            );
        let workspace = job.workspace.clone();
        for (name, value) in [
            ("CI", "true"),
            ("GITHUB_ACTION", "__acme_local-cache"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_JOB", "build"),
            ("GITHUB_REPOSITORY", "acme/widget"),
            ("GITHUB_REPOSITORY_OWNER", "acme"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "4711"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567"),
            ("GITHUB_WORKFLOW", "CI"),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_ENVIRONMENT", "self-hosted"),
            ("RUNNER_NAME", "runner-1"),
            ("RUNNER_OS", "Linux"),
        ] {
            job = job.var(name, value);
        }
        job.var("GITHUB_WORKSPACE", workspace)
    }

    pub(crate) fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// A variable that the runner sets.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// The event that the run is for, its ref, and its payload.
    pub(crate) fn on(self, event: &str, git_ref: &str, payload: &str) -> Self {
        self.rewrite_event(payload);
        self.var("GITHUB_EVENT_NAME", event)
            .var("GITHUB_REF", git_ref)
    }

    /// Writes the event file, as the runner does before the job and as every program of the job
    /// can.
    pub(crate) fn rewrite_event(&self, payload: &str) {
        fs::write(&self.variables[OsStr::new("GITHUB_EVENT_PATH")], payload).unwrap();
    }

    /// A push to a branch.
    pub(crate) fn push(self, branch: &str) -> Self {
        self.on(
            "push",
            &format!("refs/heads/{branch}"),
            r#"{"repository": {"default_branch": "main"}}"#,
        )
    }

    /// A pull request from `head` to the branch `base` of acme/widget.
    pub(crate) fn pull_request(self, number: u32, head: &str, base: &str) -> Self {
        let payload = pull_request(number, head, base);
        self.on(
            "pull_request",
            &format!("refs/pull/{number}/merge"),
            &payload,
        )
        .var("GITHUB_BASE_REF", base)
    }

    pub(crate) fn repository(self, repository: &str) -> Self {
        let owner = repository.split('/').next().unwrap();
        self.var("GITHUB_REPOSITORY", repository)
            .var("GITHUB_REPOSITORY_OWNER", owner)
    }

    pub(crate) fn status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    /// Removes the event file, as if the paths of the runner did not exist in this process.
    pub(crate) fn no_event_file(self) -> Self {
        fs::remove_file(&self.variables[OsStr::new("GITHUB_EVENT_PATH")]).unwrap();
        self
    }

    /// Makes a file of the workspace (`a/b`), of home (`~/a`) or of the machine (`$TMP/a`).
    pub(crate) fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.locate(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    pub(crate) fn link(&self, name: &str, target: impl AsRef<Path>) {
        let path = self.locate(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub(crate) fn locate(&self, name: &str) -> PathBuf {
        if let Some(rest) = name.strip_prefix("~/") {
            self.machine.home().join(rest)
        } else if let Some(rest) = name.strip_prefix("$TMP/") {
            self.machine.path(rest)
        } else {
            self.workspace.join(name)
        }
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.locate(name)).ok()
    }

    /// A step that uses the action itself.
    pub(crate) fn cache(&self) -> Step<'_> {
        Step::new(self, "cache")
    }

    /// A step that uses `restore/`.
    pub(crate) fn restore(&self) -> Step<'_> {
        Step::new(self, "restore")
    }

    /// A step that uses `save/`.
    pub(crate) fn save(&self) -> Step<'_> {
        Step::new(self, "save")
    }

    /// Saves the paths under the key; panics if that fails.
    pub(crate) fn saved(&self, path: &str, key: &str) {
        let done = self
            .save()
            .with("path", path)
            .with("key", key)
            .with("keep", "100")
            .main();
        assert!(done.log.contains("Cache saved with key: "), "{}", done.log);
    }

    /// Restores the paths and removes what the entry does not have.
    #[track_caller]
    pub(crate) fn mirrored(&self, path: &str, key: &str) -> PhaseResult {
        let step = self.restore().with("path", path).with("key", key);
        step.with("mirror", "true").main().passed()
    }

    /// The key of the entry that a restore finds.
    pub(crate) fn found(&self, path: &str, key: &str, restore_keys: &str) -> Option<String> {
        let mut step = self
            .restore()
            .with("path", path)
            .with("key", key)
            .with("restore-keys", restore_keys);
        step.main().outputs.get("cache-matched-key").cloned()
    }
}

/// The payload of a pull request's event.
pub(crate) fn pull_request(number: u32, head: &str, base: &str) -> String {
    serde_json::json!({
        "number": number,
        "pull_request": {
            "number": number,
            "head": { "ref": "topic", "repo": { "full_name": head } },
            "base": { "ref": base, "repo": { "full_name": "acme/widget" } },
        },
        "repository": { "full_name": "acme/widget", "default_branch": "main" },
    })
    .to_string()
}

/// Sets the permission bits of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
