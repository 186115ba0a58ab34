//! Every input and output: the one place that says its name, its default and what it means.
//!
//! The three action.yml files repeat this table for the runner and must agree with it, word for
//! word; a test compares them. Each input is a constant, so nothing reads an input that the table
//! does not have.

use crate::action::kind::ActionKind;

/// An input of one or more of the actions.
#[derive(Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name in a workflow.
    pub name: &'static str,
    /// Its value when a step does not set it: a text, or an expression that the runner evaluates.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub description: &'static str,
    /// The actions that have it.
    pub offered_by: &'static [ActionKind],
    /// The actions that can't do without.
    pub required_by: &'static [ActionKind],
}

/// An output of one or more of the actions.
#[derive(Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Its name in a workflow.
    pub name: &'static str,
    /// What it holds.
    pub description: &'static str,
    /// The actions that set it.
    pub offered_by: &'static [ActionKind],
}

const EVERY: &[ActionKind] = &[ActionKind::Cache, ActionKind::Restore, ActionKind::Save];
const CACHE: &[ActionKind] = &[ActionKind::Cache];
const RESTORING: &[ActionKind] = &[ActionKind::Cache, ActionKind::Restore];
const SAVING: &[ActionKind] = &[ActionKind::Cache, ActionKind::Save];
const SUB_ACTIONS: &[ActionKind] = &[ActionKind::Restore, ActionKind::Save];

impl InputSpec {
    /// The value that stands in for an input that is not there at all, as at act's post phase: the
    /// default, unless that is an expression, which only a runner can evaluate.
    pub fn fallback(&self) -> &'static str {
        if self.default.starts_with("${{") {
            ""
        } else {
            self.default
        }
    }

    const fn new(
        name: &'static str,
        default: &'static str,
        offered_by: &'static [ActionKind],
        description: &'static str,
    ) -> Self {
        Self {
            name,
            default,
            description,
            offered_by,
            required_by: &[],
        }
    }

    const fn required_by(mut self, kinds: &'static [ActionKind]) -> Self {
        self.required_by = kinds;
        self
    }
}

impl OutputSpec {
    const fn new(
        name: &'static str,
        offered_by: &'static [ActionKind],
        description: &'static str,
    ) -> Self {
        Self {
            name,
            description,
            offered_by,
        }
    }
}

/// Makes a constant of each input and the list of all.
macro_rules! inputs {
    ($($constant:ident = $spec:expr;)*) => {
        $(pub(super) const $constant: InputSpec = $spec;)*
        /// Every input, in the order of action.yml.
        pub const INPUTS: &[InputSpec] = &[$($constant),*];
    };
}

inputs! {
    PATH = InputSpec::new("path", "", EVERY,
        "What to cache, one a line: files, directories, wildcard patterns, ~ for home, ! to leave out.").required_by(SUB_ACTIONS);
    KEY = InputSpec::new("key", "", EVERY,
        "The exact key of the entry. Without path: one more part of the computed key.")
        .required_by(SUB_ACTIONS);
    RESTORE_KEYS = InputSpec::new("restore-keys", "", RESTORING,
        "Prefixes of keys, one a line, tried in order when nothing has the exact key; the newest entry wins.");
    FAIL_ON_CACHE_MISS = InputSpec::new("fail-on-cache-miss", "false", RESTORING,
        "Fail the step when nothing was found, not even by a prefix.");
    LOOKUP_ONLY = InputSpec::new("lookup-only", "false", RESTORING,
        "Only say whether there is an entry; restore nothing.");
    SAVE_ALWAYS = InputSpec::new("save-always", "false", CACHE,
        "Save also when an earlier step failed; the same as save: always.");
    ENABLE_CROSS_OS_ARCHIVE = InputSpec::new("enableCrossOsArchive", "", EVERY,
        "Accepted for actions/cache; no effect on a local disk.");
    UPLOAD_CHUNK_SIZE = InputSpec::new("upload-chunk-size", "", SAVING,
        "Accepted for actions/cache; no effect on a local disk.");
    PRESET = InputSpec::new("preset", "auto", CACHE,
        "auto, cargo or none. auto: cargo when path is empty and the workspace has a Cargo.lock or Cargo.toml.");
    WORKSPACES = InputSpec::new("workspaces", ". -> target", CACHE,
        "Cargo workspaces and their target directories, one a line, as 'root -> target'. CARGO_TARGET_DIR and \
         build.target-dir count where no other directory than target is named. What build.build-dir puts elsewhere is \
         kept with it.");
    PREFIX_KEY = InputSpec::new("prefix-key", "v0-rust", CACHE,
        "First part of the computed key; change it to start afresh.");
    SHARED_KEY = InputSpec::new("shared-key", "", CACHE,
        "A part of the computed key in place of key and the job's id, for several jobs to share.");
    ADD_JOB_ID_KEY = InputSpec::new("add-job-id-key", "true", CACHE,
        "Whether the job's id is a part of the computed key.");
    ADD_RUST_ENVIRONMENT_HASH_KEY = InputSpec::new("add-rust-environment-hash-key", "true", CACHE,
        "Whether the toolchain, the settings that change what is built and the lock files are parts of the \
         computed key.");
    ENV_VARS = InputSpec::new("env-vars", "", CACHE,
        "More environment variables for the computed key: words that the names begin with.");
    CACHE_DIRECTORIES = InputSpec::new("cache-directories", "", CACHE,
        "More directories for the cargo preset, separated by white space.");
    CACHE_TARGETS = InputSpec::new("cache-targets", "true", CACHE,
        "Whether target directories are cached; otherwise only the registry and git dependencies.");
    CACHE_ON_FAILURE = InputSpec::new("cache-on-failure", "", CACHE,
        "With save: auto, true saves also when a step failed and anything else only when all succeeded; \
         empty leaves it to save.");
    CACHE_ALL_CRATES = InputSpec::new("cache-all-crates", "false", CACHE,
        "Keep all crates of the registry, not only those that the lock files name.");
    CACHE_WORKSPACE_CRATES = InputSpec::new("cache-workspace-crates", "", CACHE,
        "Accepted for rust-cache; what was built of the workspace's own crates is always kept, as it stays fresh here.");
    CACHE_BIN = InputSpec::new("cache-bin", "false", CACHE,
        "Whether the programs that cargo installed into CARGO_HOME are cached, too. They are put back only where cargo \
         has installed none.");
    SAVE_IF = InputSpec::new("save-if", "true", CACHE,
        "Whether anything is saved at all: true or empty saves, anything else only restores.");
    CMD_FORMAT = InputSpec::new("cmd-format", "", CACHE,
        "Accepted for rust-cache; no effect, as no command is run.");
    CACHE_PROVIDER = InputSpec::new("cache-provider", "", CACHE,
        "Accepted for rust-cache; no effect, as the cache is the local disk.");
    CACHE_ROOT = InputSpec::new("cache-root", "/tmp/runner-cache", EVERY,
        "Where the store lives on the runner: an absolute path or one that begins with ~/.");
    SCOPE = InputSpec::new("scope", "repository", EVERY,
        "Who shares entries: repository, owner (all repositories of the owner) or runner (everything on this \
         host).");
    BRANCH_ISOLATION = InputSpec::new("branch-isolation", "true", EVERY,
        "Read from this ref, then the base ref, then the default branch. A fork's pull request never writes \
         what a branch reads, whatever this says.");
    SAVE = InputSpec::new("save", "auto", CACHE,
        "auto, always, on-success or never. auto: for the cargo preset also when a step failed, but not when the job was \
         cancelled; for path on success.");
    KEEP_REGISTRY = InputSpec::new("keep-registry", "5", CACHE, "Generations of the registry to keep.");
    KEEP_GIT = InputSpec::new("keep-git", "5", CACHE, "Generations of git dependencies to keep.");
    KEEP_TARGET = InputSpec::new("keep-target", "3", CACHE, "Generations of each target directory to keep.");
    KEEP = InputSpec::new("keep", "5", SAVING, "Generations of each path cache to keep.");
    MAX_AGE = InputSpec::new("max-age", "7d", SAVING,
        "Entries unused for longer go first when space is needed, for example 7d or 36h; none for no such \
         preference.");
    MAX_CACHE_SIZE = InputSpec::new("max-cache-size", "", SAVING,
        "The store never grows past this, for example 50GB; empty or none for no limit.");
    DISK_THRESHOLD = InputSpec::new("disk-threshold", "80", SAVING,
        "Percent used of the store's file system at which old entries are cleaned; none to leave it alone.");
    MIN_FREE_SPACE = InputSpec::new("min-free-space", "20GB", SAVING,
        "Free space below which entries are cleaned and, if that is not enough, nothing is saved; none for no \
         minimum.");
    MIRROR = InputSpec::new("mirror", "auto", RESTORING,
        "auto, true or false: whether restoring removes what the entry does not have. auto: yes for target \
         directories, no for path. From registry and git nothing is ever removed.");
    REUSE = InputSpec::new("reuse", "move", CACHE,
        "move: after saving, keep the target directory itself as a ready copy and put it back by a rename. \
         copy: leave it in place.");
    REPLAY_MTIMES = InputSpec::new("replay-mtimes", "true", CACHE,
        "Give unchanged sources the modification times they had when target was saved, so that cargo sees \
         them as fresh.");
    SOURCES = InputSpec::new("sources", "", CACHE,
        "Files and directories, one a line, that a build reads and cargo can't see; when their contents \
         changed, no times are given back.");
    VERIFY = InputSpec::new("verify", "true", RESTORING, "Check the digests of contents while restoring.");
    TIMEOUT = InputSpec::new("timeout", "10m", EVERY,
        "After this long the cache gives up and the job goes on, for example 90s or 10m; none to wait for \
         ever.");
    FAIL_ON_ERROR = InputSpec::new("fail-on-error", "false", EVERY,
        "Whether a failure of the cache fails the step.");
    EXPERIMENT = InputSpec::new("experiment", "0", CACHE,
        "Percent of runs that run without the cache, as a control group that measures what the cache saves.");
    SUMMARY = InputSpec::new("summary", "true", EVERY, "Whether to write the job summary.");
    LOG_LEVEL = InputSpec::new("log-level", "info", EVERY,
        "error, warn, info, debug, or trace for all that the work answered; a run with debug logging on shows debug lines, too.");
    SITE = InputSpec::new("site", "auto", EVERY,
        "Where the work happens: auto, here, host or job-container.");
    JOB_STATUS = InputSpec::new("job-status", "${{ job.status }}", CACHE,
        "Read by the action itself; leave it alone.");
    JOB_CONTAINER = InputSpec::new("job-container", "${{ job.container.id }}", EVERY,
        "Read by the action itself; leave it alone.");
}

/// Every output, in the order of action.yml.
pub const OUTPUTS: &[OutputSpec] = &[
    OutputSpec::new(
        "cache-hit",
        RESTORING,
        "With path: true for the exact key, false for a prefix, not set when nothing was found. \
         Cargo preset: true when every cache was exact, otherwise false.",
    ),
    OutputSpec::new(
        "cache-primary-key",
        RESTORING,
        "The key asked for. Cargo preset: that of the first target directory, or of the registry without one.",
    ),
    OutputSpec::new(
        "cache-matched-key",
        RESTORING,
        "The key found for it; not set when nothing was found.",
    ),
    OutputSpec::new(
        "registry-cache-hit",
        CACHE,
        "Cargo preset: true when the registry was found under its exact key, false under an earlier one, not set when \
         nothing was found.",
    ),
    OutputSpec::new(
        "git-cache-hit",
        CACHE,
        "Cargo preset: the same for git dependencies.",
    ),
    OutputSpec::new(
        "target-cache-hit",
        CACHE,
        "Cargo preset: the same for all target directories together.",
    ),
    OutputSpec::new(
        "cache-key",
        CACHE,
        "The same as cache-primary-key, for a setup job to hand to the jobs after it: it is another one whenever the \
         compiler, its settings or the dependencies are.",
    ),
    OutputSpec::new("restored-bytes", RESTORING, "Bytes put in place."),
    OutputSpec::new("restored-files", RESTORING, "Files put in place."),
    OutputSpec::new(
        "restore-milliseconds",
        RESTORING,
        "How long the restore took.",
    ),
    OutputSpec::new(
        "disk-used-percent",
        EVERY,
        "Percent used of the store's file system, after the phase.",
    ),
    OutputSpec::new(
        "disk-free-bytes",
        EVERY,
        "Bytes free on the store's file system, after the phase.",
    ),
    OutputSpec::new(
        "cache-size-bytes",
        EVERY,
        "Size of the store in bytes, after the phase.",
    ),
];
