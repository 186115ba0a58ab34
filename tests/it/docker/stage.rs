//! One run of an action's container, started as actions/runner starts it
//! (`DockerCommandManager.DockerRun`).

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::image::Image;
use super::runner::Runner;
use super::support::{docker, unique};

/// The command files of a stage: the variable that names one, and the prefix of its name.
const COMMAND_FILES: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "set_output_"),
    ("GITHUB_STATE", "save_state_"),
    ("GITHUB_ENV", "set_env_"),
    ("GITHUB_PATH", "add_path_"),
    ("GITHUB_STEP_SUMMARY", "step_summary_"),
];

#[derive(Clone)]
pub(crate) struct Stage<'a> {
    runner: &'a Runner,
    image: Arc<Image>,
    options: Vec<OsString>,
    env: Vec<(String, OsString)>,
    without: Vec<&'static str>,
    /// The engine's socket, if it is not the usual one.
    engine: Option<PathBuf>,
    arguments: Vec<String>,
}

/// The results of a stage.
#[derive(Debug)]
pub(crate) struct StageResult {
    /// The probe's line.
    pub(crate) json: Value,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Each line of its standard error with the time since the start of the stage.
    pub(crate) log: Vec<(Duration, String)>,
    pub(crate) status: ExitStatus,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) elapsed: Duration,
    pub(crate) container: String,
}

impl StageResult {
    pub(crate) fn outcome(&self) -> &Value {
        &self.json["outcome"]
    }

    pub(crate) fn reply(&self) -> &Value {
        assert!(
            self.outcome()["reply"].is_array(),
            "no reply: {} {:?}",
            self.json,
            self.log
        );
        &self.outcome()["reply"]
    }

    pub(crate) fn problem(&self) -> &str {
        self.outcome()["problem"]
            .as_str()
            .unwrap_or_else(|| panic!("no problem: {}", self.json))
    }

    pub(crate) fn text(&self) -> &str {
        self.outcome()["text"].as_str().unwrap_or_default()
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(runner: &'a Runner, image: Arc<Image>) -> Self {
        let (options, env, without, arguments) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            runner,
            image,
            options,
            env,
            without,
            engine: None,
            arguments,
        }
    }

    /// Runs the stage with the engine on this socket.
    pub(crate) fn engine(mut self, socket: &Path) -> Self {
        self.engine = Some(socket.to_owned());
        self
    }

    pub(crate) fn input(self, name: &str, value: &str) -> Self {
        self.env(&format!("INPUT_{name}"), value)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Omits one of the usual parts: `socket`, `label`, `output`.
    pub(crate) fn without(mut self, part: &'static str) -> Self {
        self.without.push(part);
        self
    }

    pub(crate) fn run(self) -> StageResult {
        self.start().finish()
    }

    pub(crate) fn start(self) -> Running {
        self.start_as(&unique("stage"))
    }

    /// Starts the stage in a container with this name.
    pub(crate) fn start_as(self, name: &str) -> Running {
        let name = name.to_owned();
        let commands = self.command_files();
        let mut command = self.command(&name, &commands);
        let start = Instant::now();
        let mut child = command.spawn().expect("docker runs");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let log = thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines
                .map(|line| (start.elapsed(), line))
                .collect::<Vec<_>>()
        });
        let mut output = child.stdout.take().expect("is piped");
        let stdout = thread::spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).expect("reads");
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running {
            name,
            child,
            log,
            stdout,
            start,
            commands,
        }
    }

    /// Makes the command files of a stage; returns their paths in the order of [`COMMAND_FILES`].
    fn command_files(&self) -> Vec<PathBuf> {
        let directory = self.runner.temp.join("_runner_file_commands");
        let guid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("reads");
        let files =
            COMMAND_FILES.map(|(_, prefix)| directory.join(format!("{prefix}{}", guid.trim())));
        if !self.without.contains(&"output") {
            for file in &files {
                self.runner.user.file(file, "");
                if let Some(owner) = self.runner.stage_owner {
                    chown(file, Some(owner), Some(owner)).expect("changes its owner");
                }
            }
        }
        files.into()
    }

    /// The runner's user starts the client and passes values in the client's own environment.
    fn command(&self, name: &str, commands: &[PathBuf]) -> Command {
        let Runner {
            work,
            workspace,
            temp,
            label,
            user,
            ..
        } = self.runner;
        let has = |part: &str| !self.without.contains(&part);
        let mut command = Command::new("docker");
        let engine = fs::metadata("/var/run/docker.sock")
            .expect("the engine's socket is there")
            .gid();
        command
            .uid(user.uid)
            .gid(engine)
            .current_dir("/")
            .env("DOCKER_CONFIG", user.home.join(".docker"));
        command.args(["run", "--name", name]);
        if has("label") {
            command.args(["--label", label]);
        }
        command.args(["--workdir", "/github/workspace", "--rm"]);
        let mut set = |variable: &str, value: &OsStr| {
            command.args(["-e", variable]).env(variable, value);
        };
        for ((variable, _), file) in COMMAND_FILES.iter().zip(commands) {
            let file = Path::new("/github/file_commands").join(file.file_name().expect("has one"));
            set(variable, file.as_os_str());
        }
        for (variable, value) in [
            ("HOME", Path::new("/github/home")),
            ("GITHUB_ACTIONS", Path::new("true")),
            ("GITHUB_WORKSPACE", Path::new("/github/workspace")),
            ("RUNNER_TEMP", Path::new("/github/runner_temp")),
            ("RUNNER_WORKSPACE", workspace.parent().expect("has one")),
            ("RUNNER_TOOL_CACHE", &work.join("_tool")),
        ] {
            set(variable, value.as_os_str());
        }
        for (variable, value) in self
            .env
            .iter()
            .filter(|(variable, _)| !variable.starts_with("DOCKER_"))
        {
            set(variable, value);
        }
        // These would affect the client, too.
        for (variable, value) in self
            .env
            .iter()
            .filter(|(variable, _)| variable.starts_with("DOCKER_"))
        {
            command
                .arg("-e")
                .arg([OsStr::new(variable), value].join(OsStr::new("=")));
        }
        let usual = Path::new("/var/run/docker.sock");
        let socket = self.engine.as_deref().unwrap_or(usual).display();
        if has("socket") {
            command.args(["-v", &format!("{socket}:{}", usual.display())]);
        }
        if self.engine.is_some() {
            command.env("DOCKER_HOST", format!("unix://{socket}"));
        }
        for (source, destination) in [
            (temp.as_path(), "/github/runner_temp"),
            (&temp.join("_github_home"), "/github/home"),
            (&temp.join("_github_workflow"), "/github/workflow"),
            (&temp.join("_runner_file_commands"), "/github/file_commands"),
            (workspace, "/github/workspace"),
        ] {
            command
                .arg("-v")
                .arg([source.as_os_str(), OsStr::new(destination)].join(OsStr::new(":")));
        }
        command
            .args(&self.options)
            .arg(&self.image.0)
            .args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A running stage.
pub(crate) struct Running {
    pub(crate) name: String,
    child: Child,
    log: JoinHandle<Vec<(Duration, String)>>,
    stdout: JoinHandle<String>,
    start: Instant,
    commands: Vec<PathBuf>,
}

impl Running {
    pub(crate) fn signal(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.name]);
    }

    /// Waits until the worker has written this file.
    pub(crate) fn wait_for(&self, path: &Path) {
        self.wait_until(&path.display().to_string(), || path.exists());
    }

    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        while !condition() {
            assert!(
                self.start.elapsed() < Duration::from_secs(60),
                "{what} does not appear"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Cancels it as the runner does (actions/runner, `ProcessInvoker`); returns the time until it
    /// ended.
    pub(crate) fn cancel(mut self) -> (StageResult, Duration) {
        let start = Instant::now();
        let client = Pid::from_raw(i32::try_from(self.child.id()).expect("fits"));
        let steps = [
            (Signal::SIGINT, 0),
            (Signal::SIGTERM, 7_500),
            (Signal::SIGKILL, 10_000),
        ];
        for (signal, after) in steps {
            while start.elapsed() < Duration::from_millis(after) {
                if self.child.try_wait().expect("waits").is_some() {
                    let elapsed = start.elapsed();
                    return (self.finish(), elapsed);
                }
                thread::sleep(Duration::from_millis(10));
            }
            kill(client, signal).expect("it is still there");
        }
        (self.finish(), start.elapsed())
    }

    pub(crate) fn finish(mut self) -> StageResult {
        let status = self.child.wait().expect("docker ends");
        let elapsed = self.start.elapsed();
        let stdout = self.stdout.join().expect("reads the output");
        let log = self.log.join().expect("reads the log");
        let json = stdout
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok())
            .unwrap_or(Value::Null);
        let [outputs, state] = [0, 1].map(|number| records(&self.commands[number]));
        self.commands
            .iter()
            .for_each(|file| drop(fs::remove_file(file)));
        StageResult {
            json,
            stdout,
            log,
            status,
            outputs,
            state,
            elapsed,
            container: self.name,
        }
    }
}

/// The records of a command file: `name=value`, and `name<<delimiter` with lines up to the
/// delimiter.
fn records(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let mut records = BTreeMap::new();
    while let Some(line) = lines.next() {
        let (name, value) = match (line.split_once("<<"), line.split_once('=')) {
            (Some((name, delimiter)), other)
                if other.is_none_or(|(before, _)| name.len() < before.len()) =>
            {
                let value: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| *line != delimiter)
                    .collect();
                (name, value.join("\n"))
            }
            (_, Some((name, value))) => (name, value.to_owned()),
            (_, None) => panic!("{}: {line}", path.display()),
        };
        records.insert(name.to_owned(), value);
    }
    records
}
