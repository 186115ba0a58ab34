//! A step: its inputs, its phases, and their results.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use yaml_serde::{Mapping, Value};

use local_cache::fs::BaseDir;
use local_cache::stats::event::Event;
use local_cache::stats::journal;

use super::machine::{Job, Machine, NOBODY};
use crate::action::files::as_the_runner_reads;

/// A step with the state and outputs of its phases so far.
pub(crate) struct Step<'j> {
    job: &'j Job<'j>,
    kind: &'static str,
    inputs: BTreeMap<String, OsString>,
    state: BTreeMap<String, String>,
    variables: BTreeMap<OsString, OsString>,
    /// The directory of the native action, if its scripts run the phases.
    native: Option<PathBuf>,
}

/// What a phase did.
#[derive(Debug)]
pub(crate) struct PhaseResult {
    pub(crate) exit: i32,
    /// Both streams.
    pub(crate) log: String,
    /// The outputs it set.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The state it saved.
    pub(crate) state: BTreeMap<String, String>,
    /// What it added to the summary.
    pub(crate) summary: String,
}

impl PhaseResult {
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
    pub(crate) fn logs(self, text: &str) -> Self {
        assert!(self.log.contains(text), "{text:?} is not in\n{}", self.log);
        self
    }

    #[track_caller]
    pub(crate) fn does_not_log(self, text: &str) -> Self {
        assert!(!self.log.contains(text), "{text:?} is in\n{}", self.log);
        self
    }
}

impl<'j> Step<'j> {
    pub(super) fn new(job: &'j Job<'j>, kind: &'static str) -> Self {
        let inputs = defaults(kind)
            .iter()
            .map(|(name, value)| (name.clone(), value.into()))
            .collect();
        let step = Self {
            job,
            kind,
            inputs,
            state: BTreeMap::new(),
            variables: BTreeMap::new(),
            native: None,
        };
        // The free space of this machine must not decide about a test.
        let step = step
            .with("min-free-space", "none")
            .with("disk-threshold", "none");
        step.with("cache-root", &job.machine.store().display().to_string())
            .with("site", "here")
    }

    /// Sets an input.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_raw(name, value)
    }

    /// Sets an input to any bytes.
    pub(crate) fn with_raw(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inputs
            .insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets inputs from the `with` of a step, with expressions evaluated; `$TMP` is the machine's
    /// directory.
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
        self.variables
            .insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Runs the phases by the scripts of the native action in this directory.
    pub(crate) fn native(mut self, directory: &Path) -> Self {
        self.native = Some(directory.to_owned());
        self
    }

    /// Takes over the state that the phases of another step saved.
    pub(crate) fn with_state_of(mut self, other: &Step<'_>) -> Self {
        self.state.clone_from(&other.state);
        self
    }

    /// Drops the state that main saved, as act does.
    pub(crate) fn drop_state(&mut self, state: &BTreeMap<String, String>) {
        self.state.retain(|name, _| !state.contains_key(name));
    }

    pub(crate) fn pre(&mut self) -> PhaseResult {
        self.phase("pre")
    }

    pub(crate) fn main(&mut self) -> PhaseResult {
        self.phase("main")
    }

    pub(crate) fn post(&mut self) -> PhaseResult {
        self.phase("post")
    }

    fn command(&self, phase: &str) -> Command {
        let Some(directory) = &self.native else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
            command.args(["action", phase, self.kind]);
            return command;
        };
        let mut script = directory.clone();
        if self.kind != "cache" {
            script.push(self.kind);
        }
        let mut command = Command::new("node");
        command.arg(script.join(format!("{phase}.js")));
        command
    }

    /// Runs a phase; the next phase gets the state that it saves.
    fn phase(&mut self, phase: &str) -> PhaseResult {
        let commands = tempfile::tempdir_in(self.job.machine.path("commands")).unwrap();
        let file = |name: &str| {
            let path = commands.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let (output, state) = (file("set_output"), file(&format!("save_state_{GUID}")));
        let mut command = self.command(phase);
        command.stdin(Stdio::null());
        command
            .env_clear()
            .envs(&self.job.variables)
            .envs(&self.variables);
        command
            .env("PATH", "/usr/bin:/bin")
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STATE", &state);
        let summary = file("summary");
        command
            .env("GITHUB_ENV", file("set_env"))
            .env("GITHUB_STEP_SUMMARY", &summary);
        for (name, value) in &self.inputs {
            let status = name == "job-status";
            let value = if status {
                OsStr::new(self.job.status)
            } else {
                value
            };
            command.env(
                format!("INPUT_{}", name.replace(' ', "_").to_uppercase()),
                value,
            );
        }
        command.envs(
            self.state
                .iter()
                .map(|(name, value)| (format!("STATE_{name}"), value)),
        );
        command.current_dir(&self.job.workspace);
        self.job.machine.chown_all();
        if self.job.machine.unprivileged {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran = command.output().unwrap();
        let read = |path: &Path| -> BTreeMap<String, String> {
            as_the_runner_reads(&fs::read_to_string(path).unwrap())
                .unwrap()
                .into_iter()
                .collect()
        };
        let state = read(&state);
        self.state.extend(state.clone());
        let log = [ran.stdout, ran.stderr].concat();
        PhaseResult {
            exit: ran.status.code().unwrap(),
            log: String::from_utf8(log).unwrap(),
            outputs: read(&output),
            state,
            summary: fs::read_to_string(summary).unwrap(),
        }
    }
}

/// The runner ends the names of a stage's files with a GUID.
const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// Every input of an action with its default. The runner passes all of them, empty without a
/// default, and evaluates expressions: here the job has no container and has not failed.
fn defaults(kind: &str) -> &'static [(String, String)] {
    static ALL: OnceLock<BTreeMap<&str, Vec<(String, String)>>> = OnceLock::new();
    let read = |path: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let action: Mapping = yaml_serde::from_str(&text).unwrap();
        let inputs = action["inputs"].as_mapping().unwrap().clone();
        let default = |input: &Value| {
            let text = input
                .get("default")
                .map_or("", |value| value.as_str().unwrap());
            if text.starts_with("${{") {
                String::new()
            } else {
                text.to_owned()
            }
        };
        inputs
            .iter()
            .map(|(name, input)| (name.as_str().unwrap().to_owned(), default(input)))
            .collect()
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

/// The events of a machine's store.
pub(crate) fn events(machine: &Machine) -> Vec<Event> {
    let Some(dir) = BaseDir::open(&machine.store().join("local-cache-v1/events")).unwrap() else {
        return Vec::new();
    };
    let read = journal::read(&dir).unwrap();
    assert_eq!(read.skipped_lines, 0);
    read.events
}

/// A step that caches `data` under a key.
pub(crate) fn data_step<'j>(job: &'j Job<'j>, key: &str) -> Step<'j> {
    job.cache().with("path", "data").with("key", key)
}

/// A job that makes `data` and saves it.
pub(crate) fn save_data(machine: &Machine, key: &str) {
    let job = machine.job();
    job.file("data/file", &format!("contents of {key}"));
    let mut step = data_step(&job, key);
    step.pre().passed();
    step.main().passed();
    step.post().passed().logs("Cache saved with key");
}
