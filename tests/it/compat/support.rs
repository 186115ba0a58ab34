//! A runner made of directories: it calls the program's phases as actions/runner calls the entrypoints of a container
//! action, and reads what they answer.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use yaml_serde::{Mapping, Value};

use crate::action_files::as_the_runner_reads;

/// The user that phases run as when the tests run as root: one who may not do everything.
const NOBODY: u32 = 65_534;

/// A machine with a runner: a home, a store, and room for workspaces.
pub(crate) struct Machine {
    directory: TempDir,
    unprivileged: bool,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("compat-").tempdir().unwrap();
        for name in ["home", "work", "commands"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory, unprivileged: false }
    }

    /// A machine whose runner is not root, whoever runs the tests.
    pub(crate) fn unprivileged() -> Self {
        Self { unprivileged: nix::unistd::geteuid().is_root(), ..Self::new() }
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

    /// How many entries the store has.
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

    fn give_away(&self) {
        if self.unprivileged {
            give_away(self.directory.path());
        }
    }
}

fn give_away(path: &Path) {
    if path.is_symlink() {
        return;
    }
    // What a test gave to root stays root's.
    let is_kept = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"of-root"));
    if is_kept {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

/// A job: the variables that the runner sets for all of its steps.
pub(crate) struct Job<'m> {
    machine: &'m Machine,
    pub(crate) workspace: PathBuf,
    variables: BTreeMap<OsString, OsString>,
    status: &'static str,
}

impl<'m> Job<'m> {
    fn new(machine: &'m Machine, workspace: PathBuf) -> Self {
        let mut job = Self { machine, workspace, variables: BTreeMap::new(), status: "success" };
        let event = format!("event-{}.json", machine.path("work").read_dir().unwrap().count());
        job = job.var("HOME", machine.home()).var("GITHUB_EVENT_PATH", machine.path(&event)).on(
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

    /// Sets a variable.
    pub(crate) fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// The event that the run is for, its ref, and its payload.
    pub(crate) fn on(self, event: &str, git_ref: &str, payload: &str) -> Self {
        self.rewrite_event(payload);
        self.var("GITHUB_EVENT_NAME", event).var("GITHUB_REF", git_ref)
    }

    /// Writes the event file, as the runner does before the job and as every program of the job can.
    pub(crate) fn rewrite_event(&self, payload: &str) {
        fs::write(&self.variables[OsStr::new("GITHUB_EVENT_PATH")], payload).unwrap();
    }

    /// A push to a branch.
    pub(crate) fn push(self, branch: &str) -> Self {
        self.on("push", &format!("refs/heads/{branch}"), r#"{"repository": {"default_branch": "main"}}"#)
    }

    /// A pull request from `head` to the branch `base` of acme/widget.
    pub(crate) fn pull_request(self, number: u32, head: &str, base: &str) -> Self {
        let payload = pull_request(number, head, base);
        self.on("pull_request", &format!("refs/pull/{number}/merge"), &payload).var("GITHUB_BASE_REF", base)
    }

    pub(crate) fn repository(self, repository: &str) -> Self {
        let owner = repository.split('/').next().unwrap();
        self.var("GITHUB_REPOSITORY", repository).var("GITHUB_REPOSITORY_OWNER", owner)
    }

    pub(crate) fn status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    /// Removes the event file, as where a runner's paths are not this process's.
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

    /// Saves the paths under the key, and says so if that did not work.
    pub(crate) fn saved(&self, path: &str, key: &str) {
        let done = self.save().with("path", path).with("key", key).with("keep", "100").main();
        assert!(done.log.contains("Cache saved with key: "), "{}", done.log);
    }

    /// The key of what a restore finds.
    pub(crate) fn found(&self, path: &str, key: &str, restore_keys: &str) -> Option<String> {
        let mut step = self.restore().with("path", path).with("key", key).with("restore-keys", restore_keys);
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

/// A step and what its phases told the runner so far.
pub(crate) struct Step<'j> {
    job: &'j Job<'j>,
    kind: &'static str,
    inputs: BTreeMap<String, OsString>,
    state: BTreeMap<String, String>,
    variables: BTreeMap<OsString, OsString>,
}

/// What a phase did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) exit: i32,
    /// Both streams.
    pub(crate) log: String,
    /// The outputs it set.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The state it saved.
    pub(crate) state: BTreeMap<String, String>,
}

impl Done {
    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }

    pub(crate) fn hit(&self) -> &str {
        self.output("cache-hit")
    }

    #[track_caller]
    pub(crate) fn passed(self) -> Self {
        assert_eq!(self.exit, 0, "{}", self.log);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.log.contains(text), "{text:?} is not in\n{}", self.log);
        self
    }

    #[track_caller]
    pub(crate) fn is_silent_about(self, text: &str) -> Self {
        assert!(!self.log.contains(text), "{text:?} is in\n{}", self.log);
        self
    }
}

impl<'j> Step<'j> {
    fn new(job: &'j Job<'j>, kind: &'static str) -> Self {
        let inputs = defaults(kind).iter().map(|(name, value)| (name.clone(), value.into())).collect();
        let step = Self { job, kind, inputs, state: BTreeMap::new(), variables: BTreeMap::new() };
        step.with("cache-root", &job.machine.store().display().to_string()).with("site", "here")
    }

    /// Sets an input.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_raw(name, value)
    }

    /// Sets an input to any bytes.
    pub(crate) fn with_raw(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inputs.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets inputs as the `with` of a step says them, its expressions evaluated; `$TMP` is the machine's directory.
    pub(crate) fn with_yaml(mut self, yaml: &str) -> Self {
        let yaml = yaml.replace("$TMP", &self.job.machine.path("").display().to_string());
        let yaml = yaml.replace("$WORKSPACE", &self.job.workspace.display().to_string());
        let with: Mapping = yaml_serde::from_str(&yaml).unwrap();
        for (name, value) in with {
            let value = match value {
                Value::String(text) => text,
                Value::Bool(value) => value.to_string(),
                Value::Number(value) => value.to_string(),
                Value::Null => String::new(),
                other => panic!("{other:?} is no value of an input"),
            };
            self = self.with(name.as_str().unwrap(), &value);
        }
        self
    }

    /// Sets a variable for this step alone.
    pub(crate) fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Forgets what main saved, as act does.
    pub(crate) fn forget(&mut self, state: &BTreeMap<String, String>) {
        self.state.retain(|name, _| !state.contains_key(name));
    }

    pub(crate) fn pre(&mut self) -> Done {
        self.phase("pre")
    }

    pub(crate) fn main(&mut self) -> Done {
        self.phase("main")
    }

    pub(crate) fn post(&mut self) -> Done {
        self.phase("post")
    }

    /// Runs a phase; what it saves as state is there for the next.
    fn phase(&mut self, phase: &str) -> Done {
        let commands = tempfile::tempdir_in(self.job.machine.path("commands")).unwrap();
        let file = |name: &str| {
            let path = commands.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let (output, state) = (file("set_output"), file("save_state"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
        command.args(["action", phase, self.kind]).stdin(Stdio::null());
        command.env_clear().envs(&self.job.variables).envs(&self.variables);
        command.env("PATH", "/usr/bin:/bin").env("GITHUB_OUTPUT", &output).env("GITHUB_STATE", &state);
        command.env("GITHUB_ENV", file("set_env")).env("GITHUB_STEP_SUMMARY", file("summary"));
        for (name, value) in &self.inputs {
            let status = name == "job-status";
            let value = if status { OsStr::new(self.job.status) } else { value };
            command.env(format!("INPUT_{}", name.replace(' ', "_").to_uppercase()), value);
        }
        command.envs(self.state.iter().map(|(name, value)| (format!("STATE_{name}"), value)));
        command.current_dir(&self.job.workspace);
        self.job.machine.give_away();
        if self.job.machine.unprivileged {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran = command.output().unwrap();
        let read = |path: &Path| -> BTreeMap<String, String> {
            as_the_runner_reads(&fs::read_to_string(path).unwrap()).unwrap().into_iter().collect()
        };
        let state = read(&state);
        self.state.extend(state.clone());
        let log = [ran.stdout, ran.stderr].concat();
        Done {
            exit: ran.status.code().unwrap(),
            log: String::from_utf8(log).unwrap(),
            outputs: read(&output),
            state,
        }
    }
}

/// Sets the permission bits of a file.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every input of an action with its default. The runner hands in all of them, empty where there is no default, and
/// evaluates expressions: here the job has no container and has not failed.
fn defaults(kind: &str) -> &'static [(String, String)] {
    static ALL: OnceLock<BTreeMap<&str, Vec<(String, String)>>> = OnceLock::new();
    let read = |path: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let action: Mapping = yaml_serde::from_str(&text).unwrap();
        let inputs = action["inputs"].as_mapping().unwrap().clone();
        let default = |input: &Value| {
            let text = input.get("default").map_or("", |value| value.as_str().unwrap());
            if text.starts_with("${{") { String::new() } else { text.to_owned() }
        };
        inputs.iter().map(|(name, input)| (name.as_str().unwrap().to_owned(), default(input))).collect()
    };
    let all = ALL.get_or_init(|| {
        BTreeMap::from([
            ("cache", read("action.yml")),
            ("restore", read("restore/action.yml")),
            ("save", read("save/action.yml")),
        ])
    });
    &all[kind]
}
