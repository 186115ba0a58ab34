//! The table of all inputs and outputs: names, defaults and descriptions.
//!
//! `tests/it/docs/inputs.rs` generates the three action.yml files and docs/inputs.md from it. Each
//! input is a constant, so code cannot read an input that is missing in the table.

use crate::action::kind::ActionKind;

/// An input of one or more of the actions.
#[derive(Debug, PartialEq, Eq)]
pub struct InputSpec {
    pub name: &'static str,
    /// The value if a step does not set the input: a text, or an expression that the runner
    /// evaluates.
    pub default: &'static str,
    /// One or two sentences for users.
    pub description: &'static str,
    /// The actions that accept the input.
    pub offered_by: &'static [ActionKind],
    pub required_by: &'static [ActionKind],
}

/// An output of one or more of the actions.
#[derive(Debug, PartialEq, Eq)]
pub struct OutputSpec {
    pub name: &'static str,
    pub description: &'static str,
    /// The actions that set it.
    pub offered_by: &'static [ActionKind],
}

/// An input of an earlier version that has no effect any more.
#[derive(Debug, PartialEq, Eq)]
pub struct RemovedInput {
    pub name: &'static str,
    /// What replaces it, and what to do.
    pub advice: &'static str,
}

/// The inputs of earlier versions. Steps that set one get a warning that names its replacement.
pub(super) const REMOVED: &[RemovedInput] = &[RemovedInput {
    name: "replay-mtimes",
    advice: "`freshness` replaces it; remove it, and set `freshness: off` if it was false",
}];

const ALL_ACTIONS: &[ActionKind] = &[ActionKind::Cache, ActionKind::Restore, ActionKind::Save];
const CACHE: &[ActionKind] = &[ActionKind::Cache];
const RESTORING: &[ActionKind] = &[ActionKind::Cache, ActionKind::Restore];
const SAVING: &[ActionKind] = &[ActionKind::Cache, ActionKind::Save];
const SUB_ACTIONS: &[ActionKind] = &[ActionKind::Restore, ActionKind::Save];

impl InputSpec {
    /// The value of an input that is missing from the environment, as in act's post phase: the
    /// default, or nothing if the default is an expression, which only a runner can evaluate.
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

/// Defines a constant for each input, and the list of all inputs.
macro_rules! inputs {
    ($($constant:ident = $spec:expr;)*) => {
        $(pub(super) const $constant: InputSpec = $spec;)*
        /// All inputs, in the order of action.yml.
        pub const INPUTS: &[InputSpec] = &[$($constant),*];
    };
}

inputs! {
    PATH = InputSpec::new("path", "", ALL_ACTIONS,
        "What to cache, one path per line: files, directories, glob patterns, ~ for the home \
         directory, ! to exclude.").required_by(SUB_ACTIONS);
    KEY = InputSpec::new("key", "", ALL_ACTIONS,
        "The exact key of the entry. Without path: an additional part of the computed key.")
        .required_by(SUB_ACTIONS);
    RESTORE_KEYS = InputSpec::new("restore-keys", "", RESTORING,
        "Key prefixes, one per line, tried in order if no entry has the exact key; the newest \
         matching entry is restored.");
    FAIL_ON_CACHE_MISS = InputSpec::new("fail-on-cache-miss", "false", RESTORING,
        "Fail the step if no entry matches, not even by prefix.");
    LOOKUP_ONLY = InputSpec::new("lookup-only", "false", RESTORING,
        "Only report whether an entry exists; restore nothing.");
    SAVE_ALWAYS = InputSpec::new("save-always", "false", CACHE,
        "Save even if an earlier step failed; the same as save: always.");
    ENABLE_CROSS_OS_ARCHIVE = InputSpec::new("enableCrossOsArchive", "", ALL_ACTIONS,
        "Accepted for compatibility with actions/cache; has no effect.");
    UPLOAD_CHUNK_SIZE = InputSpec::new("upload-chunk-size", "", SAVING,
        "Accepted for compatibility with actions/cache; has no effect.");
    PRESET = InputSpec::new("preset", "auto", CACHE,
        "auto, cargo or none. auto selects cargo if path is empty and the workspace has a \
         Cargo.lock or Cargo.toml.");
    WORKSPACES = InputSpec::new("workspaces", ". -> target", CACHE,
        "Cargo workspaces and their target directories, one per line, as 'root -> target'. A \
         target named 'target' follows CARGO_TARGET_DIR and build.target-dir. A separate \
         build.build-dir is cached with the target directory.");
    PREFIX_KEY = InputSpec::new("prefix-key", "v0-rust", CACHE,
        "First part of the computed key; change it to start with an empty cache.");
    SHARED_KEY = InputSpec::new("shared-key", "", CACHE,
        "Part of the computed key that replaces key and the job id, so that several jobs share \
         a cache.");
    ADD_JOB_ID_KEY = InputSpec::new("add-job-id-key", "true", CACHE,
        "Whether the job id is part of the computed key.");
    ADD_RUST_ENVIRONMENT_HASH_KEY = InputSpec::new("add-rust-environment-hash-key", "true", CACHE,
        "Whether the toolchain, the settings that affect the build, and the lock files are \
         part of the computed key.");
    ENV_VARS = InputSpec::new("env-vars", "", CACHE,
        "Prefixes of additional environment variables for the computed key, separated by \
         whitespace.");
    CACHE_DIRECTORIES = InputSpec::new("cache-directories", "", CACHE,
        "Additional directories to cache with the cargo preset, separated by whitespace.");
    CACHE_TARGETS = InputSpec::new("cache-targets", "true", CACHE,
        "Whether to cache target directories; if false, only the registry and git dependencies \
         are cached.");
    CACHE_ON_FAILURE = InputSpec::new("cache-on-failure", "", CACHE,
        "If save is auto: true also saves after a failed step, false saves only on \
         success; empty leaves the decision to save.");
    CACHE_ALL_CRATES = InputSpec::new("cache-all-crates", "false", CACHE,
        "Whether to keep all downloaded crates of the registry and git dependencies, not only those \
         that a lock file names.");
    CACHE_WORKSPACE_CRATES = InputSpec::new("cache-workspace-crates", "", CACHE,
        "Accepted for compatibility with rust-cache; build outputs of the workspace's own \
         crates are always kept.");
    CACHE_BIN = InputSpec::new("cache-bin", "false", CACHE,
        "Whether to cache programs that cargo installed into CARGO_HOME. They are restored \
         only if cargo has installed none there.");
    SAVE_IF = InputSpec::new("save-if", "true", CACHE,
        "Whether to save at all: true or empty saves, false only restores.");
    CMD_FORMAT = InputSpec::new("cmd-format", "", CACHE,
        "Accepted for compatibility with rust-cache; has no effect.");
    CACHE_PROVIDER = InputSpec::new("cache-provider", "", CACHE,
        "Accepted for compatibility with rust-cache; has no effect.");
    CACHE_ROOT = InputSpec::new("cache-root", "/tmp/runner-cache", ALL_ACTIONS,
        "Directory of the store on the runner: an absolute path or a path that starts with ~/.");
    SCOPE = InputSpec::new("scope", "repository", ALL_ACTIONS,
        "Who shares entries: repository, owner (all repositories of the owner) or runner (all \
         jobs on this machine). Target directories are never shared between repositories.");
    BRANCH_ISOLATION = InputSpec::new("branch-isolation", "true", ALL_ACTIONS,
        "Whether a run reads only entries of its own ref, the base branch and the default \
         branch. Pull requests from forks never write entries that branches read, even if this \
         is false.");
    SAVE = InputSpec::new("save", "auto", CACHE,
        "When to save: auto, always, on-success or never. auto saves path caches on success, \
         and Cargo caches also after a failed step, but not if the job was cancelled.");
    KEEP_REGISTRY = InputSpec::new("keep-registry", "5", CACHE,
        "Number of registry generations to keep.");
    KEEP_GIT = InputSpec::new("keep-git", "5", CACHE,
        "Number of generations of git dependencies to keep.");
    KEEP_TARGET = InputSpec::new("keep-target", "3", CACHE,
        "Number of generations to keep of each target directory.");
    KEEP = InputSpec::new("keep", "5", SAVING, "Number of generations to keep of each path cache.");
    MAX_AGE = InputSpec::new("max-age", "7d", SAVING,
        "When space is needed, entries unused for longer than this are removed first, for \
         example 7d or 36h; none for no preference.");
    MAX_CACHE_SIZE = InputSpec::new("max-cache-size", "", SAVING,
        "Maximum size of the store, for example 50GB; empty or none for no limit.");
    DISK_THRESHOLD = InputSpec::new("disk-threshold", "80", SAVING,
        "Disk usage in percent above which old entries are removed; none to ignore disk usage.");
    MIN_FREE_SPACE = InputSpec::new("min-free-space", "20GB", SAVING,
        "Free disk space below which old entries are removed; if that does not free enough, \
         nothing is saved. none for no minimum.");
    MIRROR = InputSpec::new("mirror", "auto", RESTORING,
        "Whether restoring removes files that are not in the entry: auto, true or false. auto \
         does so for target directories, not for path. Nothing is ever removed from registry \
         and git.");
    REUSE = InputSpec::new("reuse", "move", CACHE,
        "move keeps the target directory itself in the store after saving, and restores it by \
         a rename. copy leaves it in the workspace.");
    READY_COPIES = InputSpec::new("ready-copies", "auto", CACHE,
        "With reuse: move, how many moved copies of a target directory are kept, for jobs that run \
         at the same time: auto (as many as jobs used at once) or a maximum; 0 keeps none and \
         removes those that exist.");
    FRESHNESS = InputSpec::new("freshness", "safe", CACHE,
        "Which crates of the workspace are not compiled again: safe (nothing that a build may \
         read has changed), cargo (nothing that cargo tracks has changed) or off (none).");
    SOURCES = InputSpec::new("sources", "", CACHE,
        "Files, directories or patterns, one per line, that the build reads but cargo does not \
         track; if their contents changed, the crates of the workspace are compiled again.");
    FAIL_ON_STALE = InputSpec::new("fail-on-stale", "false", CACHE,
        "Whether to fail the job if the check at its end finds a crate that may have been built \
         from other sources.");
    KEEP_OUTPUTS = InputSpec::new("keep-outputs", "", CACHE,
        "Files, directories or patterns in the target directory, one per line, that are saved \
         although cargo cannot use them, for example dist or doc.");
    RESTORE_IN_PRE = InputSpec::new("restore-in-pre", "true", CACHE,
        "Whether the pre phase already restores the newest registry and git dependencies, and paths \
         outside of the workspace if an entry of the run's own ref has exactly the key and the key \
         contains no digest of hashFiles.");
    REMOTE = InputSpec::new("remote", "", ALL_ACTIONS,
        "A bucket behind the store, shared with other machines: s3://bucket/prefix with options such \
         as ?endpoint=https://s3.example:9000 (docs/remote.md). none ignores the machine's own \
         setting.");
    VERIFY = InputSpec::new("verify", "true", RESTORING,
        "Whether to check the digests of contents while restoring.");
    TIMEOUT = InputSpec::new("timeout", "10m", ALL_ACTIONS,
        "Time limit of each phase, after which the cache gives up and the job continues, for \
         example 90s or 10m; none for no limit.");
    FAIL_ON_ERROR = InputSpec::new("fail-on-error", "false", ALL_ACTIONS,
        "Whether an error of the cache fails the step.");
    EXPERIMENT = InputSpec::new("experiment", "0", CACHE,
        "Percentage of runs that restore nothing, as a control group to measure what the cache \
         saves.");
    SUMMARY = InputSpec::new("summary", "true", ALL_ACTIONS, "Whether to write a job summary.");
    LOG_LEVEL = InputSpec::new("log-level", "info", ALL_ACTIONS,
        "error, warn, info, debug or trace; trace also prints the worker's request and reply. Runs with \
         debug logging always show debug lines.");
    SITE = InputSpec::new("site", "auto", ALL_ACTIONS,
        "Where the work is done: auto, here (in the action's own container), host or \
         job-container.");
    JOB_STATUS = InputSpec::new("job-status", "${{ job.status }}", CACHE,
        "Set by the action itself; do not change it.");
    JOB_CONTAINER = InputSpec::new("job-container", "${{ job.container.id }}", ALL_ACTIONS,
        "Set by the action itself; do not change it.");
}

/// All outputs, in the order of action.yml.
pub const OUTPUTS: &[OutputSpec] = &[
    OutputSpec::new(
        "cache-hit",
        RESTORING,
        "With path: true for the exact key, false for a prefix match, unset on a miss. Cargo \
         preset: true if every cache matched exactly, otherwise false.",
    ),
    OutputSpec::new(
        "cache-primary-key",
        RESTORING,
        "The requested key. Cargo preset: the key of the first target directory, or of the \
         registry if no target directory is cached.",
    ),
    OutputSpec::new(
        "cache-matched-key",
        RESTORING,
        "The key of the matching entry; unset on a miss.",
    ),
    OutputSpec::new(
        "registry-cache-hit",
        CACHE,
        "Cargo preset: true for the exact key of the registry, false for a prefix match, unset on a \
         miss.",
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
        "Same as cache-primary-key, to pass from a setup job to later jobs. Changes with the \
         compiler, its flags or the dependencies.",
    ),
    OutputSpec::new(
        "restored-bytes",
        RESTORING,
        "Size of the restored entries in bytes, including files that were already in place.",
    ),
    OutputSpec::new(
        "restored-files",
        RESTORING,
        "Number of files in the restored entries, including files that were already in place.",
    ),
    OutputSpec::new(
        "restore-milliseconds",
        RESTORING,
        "Duration of the restore in milliseconds.",
    ),
    OutputSpec::new(
        "disk-used-percent",
        ALL_ACTIONS,
        "Usage of the store's filesystem in percent, after the step.",
    ),
    OutputSpec::new(
        "disk-free-bytes",
        ALL_ACTIONS,
        "Free bytes on the store's filesystem, after the step.",
    ),
    OutputSpec::new(
        "cache-size-bytes",
        ALL_ACTIONS,
        "Size of the store in bytes, after the step.",
    ),
];
