//! The action in a job, phase by phase, as action.yml declares it and actions/runner runs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::image::{Image, source};
use super::runner::Runner;
use super::stage::{Running, Stage, StageResult};
use yaml_serde::Value;

/// An action.yml.
struct Definition {
    defaults: Vec<(String, String)>,
    entrypoints: BTreeMap<&'static str, String>,
    arguments: Vec<String>,
}

impl Definition {
    fn read(file: &str) -> Self {
        let yaml: Value = yaml_serde::from_str(&source(file)).expect("is YAML");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let inputs = yaml["inputs"].as_mapping().expect("is a mapping");
        let entrypoint = |name: &str| yaml["runs"].get(name).map(text);
        let names = [
            ("pre", "pre-entrypoint"),
            ("main", "entrypoint"),
            ("post", "post-entrypoint"),
        ];
        Self {
            defaults: inputs
                .iter()
                .map(|(name, about)| (text(name), about.get("default").map(text)))
                .map(|(name, default)| (name, default.unwrap_or_default()))
                .collect(),
            entrypoints: names
                .into_iter()
                .filter_map(|(phase, key)| Some((phase, entrypoint(key)?)))
                .collect(),
            arguments: yaml["runs"]["args"]
                .as_sequence()
                .expect("is a list")
                .iter()
                .map(text)
                .collect(),
        }
    }
}

/// A step of a job that uses the action.
pub(crate) struct Step<'a> {
    runner: &'a Runner,
    image: Arc<Image>,
    definition: Definition,
    with: BTreeMap<String, String>,
    change: Box<dyn Fn(Stage<'a>) -> Stage<'a> + 'a>,
    state: BTreeMap<String, String>,
    /// `job.status`, at the next phase.
    pub(crate) job_status: &'static str,
    /// `job.container.id`.
    pub(crate) job_container: String,
    /// The outputs of the phases so far.
    pub(crate) outputs: BTreeMap<String, String>,
}

impl<'a> Step<'a> {
    /// `uses: btcdecoded/local-cache@v1` with these inputs and the runner's cache root.
    pub(crate) fn new(runner: &'a Runner, with: &[(&str, &str)]) -> Self {
        Self::of("action.yml", runner, with)
    }

    pub(crate) fn of(file: &str, runner: &'a Runner, with: &[(&str, &str)]) -> Self {
        let root = runner.cache_root.to_string_lossy().into_owned();
        let mut all = BTreeMap::from([("cache-root".to_owned(), root)]);
        // The disks of tests are small, or shared with other programs.
        for input in ["min-free-space", "disk-threshold"]
            .into_iter()
            .filter(|_| !file.starts_with("restore"))
        {
            all.insert(input.to_owned(), "none".to_owned());
        }
        all.extend(
            with.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Self {
            runner,
            image: Image::action(),
            definition: Definition::read(file),
            with: all,
            change: Box::new(|stage| stage),
            state: BTreeMap::new(),
            job_status: "success",
            job_container: String::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Runs this image instead of the one that Docker has.
    pub(crate) fn with_image(mut self, image: Arc<Image>) -> Self {
        self.image = image;
        self
    }

    /// Changes how the runner starts the stages.
    pub(crate) fn changed(mut self, change: impl Fn(Stage<'a>) -> Stage<'a> + 'a) -> Self {
        self.change = Box::new(change);
        self
    }

    /// Starts a phase. Its results count when they are passed to [`Self::take`].
    pub(crate) fn start(&self, phase: &str) -> Running {
        let mut stage = Stage::new(self.runner, Arc::clone(&self.image));
        let entrypoint = self
            .definition
            .entrypoints
            .get(phase)
            .expect("the action has this phase");
        stage = stage.option("--entrypoint").option(entrypoint);
        for argument in &self.definition.arguments {
            stage = stage.argument(argument);
        }
        for (name, default) in &self.definition.defaults {
            let value = self.with.get(name).unwrap_or(default);
            let value = match value.as_str() {
                "${{ job.status }}" => self.job_status,
                "${{ job.container.id }}" => &self.job_container,
                plain => plain,
            };
            stage = stage.input(
                &name.to_uppercase().replace(' ', "_"),
                &self.translated(value),
            );
        }
        for (name, value) in &self.state {
            stage = stage.env(&format!("STATE_{name}"), value);
        }
        for (name, value) in [
            ("GITHUB_REPOSITORY", "acme/repo"),
            ("GITHUB_REPOSITORY_OWNER", "acme"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_SHA", "0000000000000000000000000000000000000000"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
            ("GITHUB_WORKFLOW", "test"),
            ("GITHUB_JOB", "build"),
            ("GITHUB_RUN_ID", "1"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_ACTION", "__local-cache"),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_NAME", "test"),
            ("RUNNER_ENVIRONMENT", "self-hosted"),
            ("CI", "true"),
        ] {
            stage = stage.env(name, value);
        }
        (self.change)(stage).start()
    }

    /// Translates a value that starts with a directory that the runner mounts into the container's
    /// name for it. Later lines are not translated (actions/runner,
    /// `ContainerInfo.TranslateToContainerPath`).
    fn translated(&self, value: &str) -> String {
        let Runner {
            workspace, temp, ..
        } = self.runner;
        let mounts = [
            (workspace.clone(), "/github/workspace"),
            (temp.join("_runner_file_commands"), "/github/file_commands"),
            (temp.join("_github_workflow"), "/github/workflow"),
            (temp.join("_github_home"), "/github/home"),
            (temp.clone(), "/github/runner_temp"),
        ];
        let translate = |(host, inside): (std::path::PathBuf, &str)| {
            let rest = value.strip_prefix(&*host.to_string_lossy())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{inside}{rest}"))
        };
        mounts
            .into_iter()
            .find_map(translate)
            .unwrap_or_else(|| value.to_owned())
    }

    /// Keeps the outputs and the state of a phase, as the runner does.
    pub(crate) fn take(&mut self, answer: &StageResult) {
        self.state.extend(answer.state.clone());
        self.outputs.extend(answer.outputs.clone());
    }

    pub(crate) fn phase(&mut self, phase: &str) -> StageResult {
        let answer = self.start(phase).finish();
        self.take(&answer);
        answer
    }

    /// Runs a phase that must not fail the step; returns its standard output.
    pub(crate) fn passes(&mut self, phase: &str) -> String {
        let answer = self.phase(phase);
        assert!(
            answer.status.success(),
            "{phase} fails: {} {:?}",
            answer.stdout,
            answer.log
        );
        assert_eq!(answer.log, [], "{phase} complains: {}", answer.stdout);
        answer.stdout
    }

    pub(crate) fn begin(&mut self) -> String {
        let pre = self.passes("pre");
        pre + &self.passes("main")
    }

    pub(crate) fn end(&mut self, status: &'static str) -> String {
        self.job_status = status;
        self.passes("post")
    }

    pub(crate) fn output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }
}

/// A whole job, whose `steps` check what was restored or create it. Returns what the action printed
/// before and after them.
pub(crate) fn job(
    runner: &Runner,
    with: &[(&str, &str)],
    steps: impl FnOnce(&Step<'_>),
) -> (String, String) {
    let mut step = Step::new(runner, with);
    let before = step.begin();
    steps(&step);
    (before, step.end("success"))
}

/// A value for `path` or another list: one line each.
pub(crate) fn lines<S: Into<OsString>>(lines: impl IntoIterator<Item = S>) -> String {
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.into().to_string_lossy().into_owned())
        .collect();
    lines.join("\n")
}
