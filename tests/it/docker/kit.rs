//! What the tests with real containers share: a runner, its stages, the engine's command line, the probe.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::machine::{Image, User};

pub(crate) const PREFIX: &str = "local-cache-test-";

/// Tests hold it shared; one that measures holds it alone.
static QUIET: RwLock<()> = RwLock::new(());
static NUMBER: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn shared() -> RwLockReadGuard<'static, ()> {
    QUIET.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    QUIET.write().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a test that needs `what` can run. If not, says so, or fails where the environment requires it.
pub(crate) fn ready(what: &str) -> bool {
    let missing = match what {
        "docker" => docker_missing(),
        _ => docker_missing().or_else(|| act_program().is_none().then(|| "act is not installed".to_owned())),
    };
    let Some(missing) = missing else { return true };
    let required = std::env::var_os("LOCAL_CACHE_TESTS_REQUIRE").unwrap_or_default();
    let required = required.to_string_lossy();
    assert!(
        !required.split(',').any(|name| name.trim() == what || name.trim() == "all"),
        "LOCAL_CACHE_TESTS_REQUIRE asks for {what}, but {missing}"
    );
    // Not through the macro: the harness would swallow the line of a test that passes.
    drop(writeln!(io::stderr(), "SKIPPED: a test that needs {what}: {missing}"));
    false
}

fn docker_missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING
        .get_or_init(|| {
            if !nix::unistd::geteuid().is_root() {
                return Some("it has to be root to make users".to_owned());
            }
            let answer = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
            match answer {
                Ok(answer) if answer.status.success() => None,
                _ => Some("no Docker Engine answers".to_owned()),
            }
        })
        .clone()
}

pub(crate) fn act_program() -> Option<PathBuf> {
    let found =
        Command::new("sh").args(["-c", "pyenv which act 2>/dev/null || command -v act"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    path.is_file().then_some(path)
}

/// Runs the engine's command line; its standard output. Fails the test if it fails.
pub(crate) fn docker<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let arguments: Vec<_> = arguments.iter().map(|it| it.as_ref().to_string_lossy()).collect();
    assert!(output.status.success(), "docker {}: {error}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn unique(what: &str) -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{what}{}-{number}", std::process::id())
}

/// The probe as a static program that runs in an empty image. `LOCAL_CACHE_TEST_PROBE` names one that is built already.
pub(crate) fn probe_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(built) = std::env::var_os("LOCAL_CACHE_TEST_PROBE") {
            return PathBuf::from(built);
        }
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static");
        // With the target named, build scripts and procedural macros stay dynamic, which they have to.
        let status = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "--example",
                "site-probe",
                "--target",
                &target,
            ])
            .env("CARGO_TARGET_DIR", &directory)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the static probe does not build");
        directory.join(target).join("release/examples/site-probe")
    })
}

/// A runner, as far as the containers it starts can tell.
pub(crate) struct Runner {
    pub(crate) user: User,
    pub(crate) image: Image,
    pub(crate) label: String,
    /// Its work directory, on the host.
    pub(crate) work: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) temp: PathBuf,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self::with_repository("repo")
    }

    pub(crate) fn with_repository(repository: &str) -> Self {
        let user = User::new();
        let settings =
            format!("\u{feff}{{\n  \"agentName\": \"{}\",\n  \"workFolder\": \"_work\"\n}}", user.name);
        user.file(&user.home.join(".runner"), &settings);
        let label = local_cache::site::far::identity::runner_label(&settings);
        let work = user.directory("_work");
        let workspace = user.directory(&format!("_work/{repository}/{repository}"));
        let temp = user.directory("_work/_temp");
        for name in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            user.directory(&format!("_work/_temp/{name}"));
        }
        Self { user, image: Image::new(), label, work, workspace, temp }
    }

    /// A stage that does this work: a list as JSON.
    pub(crate) fn stage(&self, work: &Value) -> Stage<'_> {
        Stage {
            runner: self,
            options: Vec::new(),
            env: Vec::new(),
            without: Vec::new(),
            arguments: Vec::new(),
        }
        .input("WORK", &work.to_string())
    }

    /// All containers with the runner's label, running or not.
    pub(crate) fn containers(&self) -> Vec<String> {
        let filter = format!("label={}", self.label);
        let listed = docker(&["ps", "--all", "--format", "{{.Names}} {{.Status}}", "--filter", &filter]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Waits until none of the runner's containers is left; how long that took.
    pub(crate) fn wait_until_clear(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let left = self.containers();
            if left.is_empty() {
                return start.elapsed();
            }
            assert!(start.elapsed() < limit, "still there after {limit:?}: {left:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let filter = format!("label={}", self.label);
        let listed = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &filter]).output();
        let listed =
            listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for id in listed.split_whitespace() {
            drop(Command::new("docker").args(["rm", "--force", "--volumes", id]).output());
        }
    }
}

/// One run of an action's container, started as actions/runner starts it (`DockerCommandManager.DockerRun`).
#[derive(Clone)]
pub(crate) struct Stage<'a> {
    runner: &'a Runner,
    options: Vec<String>,
    env: Vec<(String, String)>,
    without: Vec<&'static str>,
    arguments: Vec<String>,
}

/// What a stage said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The probe's line.
    pub(crate) json: Value,
    /// Its standard error, and when each line came, from the start of the stage.
    pub(crate) log: Vec<(Duration, String)>,
    pub(crate) elapsed: Duration,
    pub(crate) container: String,
}

impl Answer {
    pub(crate) fn outcome(&self) -> &Value {
        &self.json["outcome"]
    }

    pub(crate) fn reply(&self) -> &Value {
        assert!(self.outcome()["reply"].is_array(), "no reply: {} {:?}", self.json, self.log);
        &self.outcome()["reply"]
    }

    pub(crate) fn problem(&self) -> &str {
        self.outcome()["problem"].as_str().unwrap_or_else(|| panic!("no problem: {}", self.json))
    }

    pub(crate) fn text(&self) -> &str {
        self.outcome()["text"].as_str().unwrap_or_default()
    }
}

impl Stage<'_> {
    pub(crate) fn input(self, name: &str, value: &str) -> Self {
        self.env(&format!("INPUT_{name}"), value)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Leaves one of the usual parts out: `socket`, `label`, `output`.
    pub(crate) fn without(mut self, part: &'static str) -> Self {
        self.without.push(part);
        self
    }

    pub(crate) fn run(self) -> Answer {
        self.start().finish()
    }

    pub(crate) fn start(self) -> Running {
        let name = unique("stage");
        let log_start = Instant::now();
        let mut child = self.command(&name).spawn().expect("docker runs");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let log = thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.map(|line| (log_start.elapsed(), line)).collect::<Vec<_>>()
        });
        Running { name, child, log, start: log_start }
    }

    fn command(&self, name: &str) -> Command {
        let Runner { work, workspace, temp, label, image, user, .. } = self.runner;
        let commands = temp.join("_runner_file_commands");
        let guid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("reads");
        let has = |part: &str| !self.without.contains(&part);
        let mut command = Command::new("docker");
        command.args(["run", "--name", name, "--workdir", "/github/workspace", "--rm"]);
        if has("label") {
            command.args(["--label", label]);
        }
        for (variable, file) in [("GITHUB_OUTPUT", "set_output_"), ("GITHUB_STATE", "save_state_")] {
            let file = format!("{file}{}", guid.trim());
            if has("output") {
                user.file(&commands.join(&file), "");
            }
            command.arg("-e").arg(format!("{variable}=/github/file_commands/{file}"));
        }
        for (variable, value) in [
            ("HOME", "/github/home"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_WORKSPACE", "/github/workspace"),
            ("RUNNER_TEMP", "/github/runner_temp"),
            ("RUNNER_WORKSPACE", &workspace.parent().expect("has one").to_string_lossy()),
            ("RUNNER_TOOL_CACHE", &work.join("_tool").to_string_lossy()),
        ] {
            command.arg("-e").arg(format!("{variable}={value}"));
        }
        for (variable, value) in &self.env {
            command.arg("-e").arg(format!("{variable}={value}"));
        }
        if has("socket") {
            command.args(["-v", "/var/run/docker.sock:/var/run/docker.sock"]);
        }
        for (source, destination) in [
            (temp.clone(), "/github/runner_temp"),
            (temp.join("_github_home"), "/github/home"),
            (temp.join("_github_workflow"), "/github/workflow"),
            (commands, "/github/file_commands"),
            (workspace.clone(), "/github/workspace"),
        ] {
            command.arg("-v").arg(format!("{}:{destination}", source.display()));
        }
        command.args(&self.options).arg(&image.0).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A stage under way.
pub(crate) struct Running {
    pub(crate) name: String,
    child: Child,
    log: thread::JoinHandle<Vec<(Duration, String)>>,
    start: Instant,
}

impl Running {
    pub(crate) fn signal(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.name]);
    }

    /// Waits until the work has written this file.
    pub(crate) fn wait_for(&self, path: &Path) {
        while !path.exists() {
            assert!(self.start.elapsed() < Duration::from_secs(30), "{} does not appear", path.display());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn finish(self) -> Answer {
        let output = self.child.wait_with_output().expect("docker ends");
        let elapsed = self.start.elapsed();
        let log = self.log.join().expect("reads the log");
        let text = String::from_utf8_lossy(&output.stdout);
        let json = text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null);
        Answer { json, log, elapsed, container: self.name }
    }
}
