//! The arguments of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::stats::event::Phase;
use crate::store::CacheKind;

/// Keeps directories on this machine's disk and puts them back in milliseconds.
#[derive(Debug, Parser)]
#[command(
    name = "local-cache",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// Directory that the store lives in
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LOCAL_CACHE_ROOT",
        default_value = "/tmp/runner-cache"
    )]
    pub(super) cache_root: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put back what was saved under a key
    #[command(
        after_help = "Example:\n  local-cache restore --key linux-$(sha256sum Cargo.lock | cut -c1-16) \\\n    --restore-key linux- ~/.cargo/registry target"
    )]
    Restore(RestoreArgs),
    /// Save files and directories under a key
    #[command(
        after_help = "Example:\n  local-cache save --key linux-1 target ~/.cargo/registry '!target/**/incremental'"
    )]
    Save(SaveArgs),
    /// List all entries
    #[command(after_help = "Example:\n  local-cache list --json")]
    List,
    /// Show an entry and its files
    #[command(after_help = "Example:\n  local-cache show linux-1")]
    Show(ShowArgs),
    /// Read all of the store and compare it with its digests
    #[command(after_help = "Example:\n  local-cache verify --repair")]
    Verify(VerifyArgs),
    /// Remove entries and give their space back
    #[command(
        after_help = "Without --keep, --max-age and --max-size the usual generations stay: of keys that are alike but for digests, dates and numbers of runs, the 5 of the registry, of git and of listed paths, and the 3 of target directories that were used last. Of the same paths no more than four times as many stay, whatever their keys.\n\nExamples:\n  local-cache prune --dry-run\n  local-cache prune --keep 5 --keep target=3 --max-age 7d --max-size 50GB"
    )]
    Prune(PruneArgs),
    /// Show what path patterns stand for: one path a line, relative to the current directory, in
    /// order
    #[command(after_help = "Example:\n  local-cache paths 'target/*/deps' ~/.cargo/registry")]
    Paths(PathsArgs),
    /// Digest of files, as the expression hashFiles gives it; an empty line when nothing matches
    #[command(
        after_help = "Example:\n  local-cache hash-files '**/Cargo.lock' rust-toolchain.toml"
    )]
    HashFiles(HashFilesArgs),
    /// Show the keys of a Cargo project's caches, with each part and where it came from
    #[command(
        after_help = "Examples:\n  local-cache key\n  local-cache key --workspace app --workspace ../other --json"
    )]
    Key(KeyArgs),
    /// Restore or save the registry, git dependencies and target directories of a Cargo project
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  local-cache cargo restore\n  cargo build\n  local-cache cargo save"
    )]
    Cargo(CargoArgs),
    /// Run two jobs on a real Cargo project, side by side with and without the cache
    #[command(
        after_help = "Everything happens in one temporary directory, below TMPDIR or else /tmp, the store too.\n\nExamples:\n  local-cache demo\n  local-cache demo --project ~/src/my-workspace\n  TMPDIR=/mnt/disk local-cache demo --keep"
    )]
    Demo(DemoArgs),
    /// Show what jobs got out of the cache: hits, time, bytes, by repository, kind and day
    #[command(
        after_help = "Examples:\n  local-cache stats --since 30d\n  local-cache stats --format prometheus > /var/lib/node_exporter/local_cache.prom"
    )]
    Stats(super::stats::StatsArgs),
    /// Write what `stats` counts, and what the store holds, as one page with charts
    #[command(
        after_help = "Example:\n  local-cache report --html /var/www/html/local-cache.html --since 90d"
    )]
    Report(super::report::ReportArgs),
    /// Check all that the cache needs, and say what to do about what is wrong
    #[command(
        after_help = "The exit code is 1 when something keeps the cache from working. Run it as the user who runs jobs.\n\nExamples:\n  local-cache doctor\n  sudo -u runner local-cache doctor --workspace ~runner/actions-runner/_work/repo/repo --json"
    )]
    Doctor(super::doctor::DoctorArgs),
    /// Take over or remove what rsync workflows kept in the cache root (`cargo/<key>`,
    /// `target/<key>`)
    #[command(
        after_help = "What is taken over becomes an entry that a restore falls back to; the directories stay until they are removed.\n\nExamples:\n  local-cache import --dry-run\n  local-cache import --repository acme/widget --workspace ~/src/widget --job build --job test\n  local-cache import --remove"
    )]
    Import(super::import::ImportArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  local-cache completions bash > ~/.local/share/bash-completion/completions/local-cache"
    )]
    Completions(CompletionsArgs),
    /// Print the man page
    #[command(after_help = "Example:\n  local-cache man | man -l -")]
    Man,
    /// Run a phase of the GitHub Action
    Action(ActionArgs),
}

#[derive(Debug, Args)]
pub(super) struct LookupArgs {
    /// Only tell whether there is an entry
    #[arg(long)]
    pub(super) lookup_only: bool,
    /// End with exit code 3 when nothing is found
    #[arg(long)]
    pub(super) fail_on_cache_miss: bool,
    /// Do not compare contents with their digests
    #[arg(long)]
    pub(super) no_verify: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The key that was given to save
    #[arg(long)]
    pub(super) key: String,
    /// Prefix to try when there is no such key; may be given several times
    #[arg(long = "restore-key", value_name = "PREFIX")]
    pub(super) restore_keys: Vec<String>,
    /// Remove what the entry does not have
    #[arg(long)]
    pub(super) mirror: bool,
    #[command(flatten)]
    pub(super) finding: LookupArgs,
    /// Files, directories or patterns, as they were given to save
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SaveArgs {
    /// The key to save under
    #[arg(long)]
    pub(super) key: String,
    /// Replace an entry of the same key
    #[arg(long)]
    pub(super) refresh: bool,
    /// Move the directories into the store afterwards, so that a restore puts them back by a rename
    #[arg(long = "move")]
    pub(super) keep_ready: bool,
    /// Files, directories or patterns; `!` before one leaves it out
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// An entry's id, the beginning of it, or its key
    pub(super) entry: String,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Set damaged entries aside and remove damaged contents
    #[arg(long)]
    pub(super) repair: bool,
}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Only show what would go, and why
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Generations that stay: a number for all, or one for a kind (path, registry, git, target)
    /// such as `target=3`; may be given several times
    #[arg(long, value_name = "[KIND=]COUNT", value_parser = keep)]
    pub(super) keep: Vec<KeepCount>,
    /// Count generations over all keys of the same paths, however much they differ
    #[arg(long)]
    pub(super) any_key: bool,
    /// Entries unused for longer go, such as `7d` or `12h`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) max_age: Option<Duration>,
    /// Entries go, the least recently used first, until the store is at most this large, such as
    /// `50GB`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_size: Option<u64>,
}

/// A number of generations, of one kind or of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepCount {
    pub(super) kind: Option<CacheKind>,
    pub(super) count: usize,
}

fn keep(text: &str) -> Result<KeepCount, String> {
    let (kind, count) = match text.split_once('=') {
        None => (None, text),
        Some((name, count)) => {
            let kind = CacheKind::ALL
                .into_iter()
                .find(|kind| kind.to_string() == name);
            let unknown = || format!("there is no kind {name}; use path, registry, git or target");
            (Some(kind.ok_or_else(unknown)?), count)
        }
    };
    let count = count
        .parse()
        .map_err(|_| format!("{count:?} is not a number of generations, such as 5"))?;
    Ok(KeepCount { kind, count })
}

#[derive(Debug, Args)]
pub(super) struct PathsArgs {
    /// Patterns, as in the input `path`
    #[arg(required = true, value_name = "PATTERN")]
    pub(super) patterns: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct HashFilesArgs {
    /// Treat symlinks as what they lead to
    #[arg(long)]
    pub(super) follow_symbolic_links: bool,
    /// Patterns, as in the expression `hashFiles`
    #[arg(required = true, value_name = "PATTERN")]
    pub(super) patterns: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// Directory of a Cargo workspace; may be given several times; the current directory if not
    /// given
    #[arg(long = "workspace", value_name = "DIR")]
    pub(super) workspaces: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CargoArgs {
    #[command(subcommand)]
    pub(super) command: CargoCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CargoCommand {
    /// Put back what fits the project best, each cache under its computed key
    #[command(
        after_help = "Example:\n  local-cache cargo restore --workspace app --workspace '../other -> ../build'"
    )]
    Restore(CargoRestore),
    /// Save what changed since it was restored
    #[command(after_help = "Example:\n  local-cache cargo save")]
    Save(CargoSave),
}

#[derive(Debug, Args)]
pub(super) struct CargoRestore {
    #[command(flatten)]
    pub(super) workspaces: CargoWorkspaces,
    /// Leave in target directories what the entry does not have
    #[arg(long)]
    pub(super) no_mirror: bool,
    #[command(flatten)]
    pub(super) finding: LookupArgs,
}

#[derive(Debug, Args)]
pub(super) struct CargoSave {
    #[command(flatten)]
    pub(super) workspaces: CargoWorkspaces,
    /// Move the target directories into the store afterwards, so that a restore puts them back by a
    /// rename
    #[arg(long = "move")]
    pub(super) keep_ready: bool,
}

#[derive(Debug, Args)]
pub(super) struct CargoWorkspaces {
    /// Directory of a Cargo workspace, with ` -> TARGET` after it if its target directory is
    /// elsewhere; may be given several times; the current directory if not given
    #[arg(long = "workspace", value_name = "DIR")]
    pub(super) workspaces: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// A Cargo project to use instead of the built-in one; it is copied, not touched
    #[arg(long, value_name = "DIR")]
    pub(super) project: Option<PathBuf>,
    /// Take crates from your own Cargo home, which is only read, in place of the network
    #[arg(long)]
    pub(super) offline: bool,
    /// Leave the temporary directory when all is done
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, Args)]
pub(super) struct ActionArgs {
    /// The phase
    #[arg(value_parser = phases())]
    pub(super) phase: Phase,
    /// Which of the actions: cache, restore or save
    #[arg(default_value = "cache")]
    pub(super) kind: String,
}

fn phases() -> impl TypedValueParser<Value = Phase> {
    PossibleValuesParser::new([
        PossibleValue::new("pre").help("Before the job's steps"),
        PossibleValue::new("main").help("The step itself"),
        PossibleValue::new("post").help("After the job's steps"),
    ])
    .try_map(|name| name.parse::<Phase>())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::action::inputs::duration(text)
        .ok_or_else(|| "not a duration; write it like 7d, 12h or 1h30m".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    crate::action::inputs::size(text)
        .ok_or_else(|| "not a size; write it like 50GB or 20 GiB".to_owned())
}
