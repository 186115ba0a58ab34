//! One job: a checkout, then the steps of a workflow.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::caches::{Caches, Restored};
use super::copy::copy_tree;
use super::environment::{ToolchainSource, cargo_environment, cargo_home, rustup_home};
use super::event::DemoEvent;
use super::offline;
use super::options::DemoOptions;
use super::output::Compiled;
use super::process::CargoCommandLine;
use super::project::has_toolchain_file;
use super::report::{CacheUse, JobKind, JobReport, StoredSize};
use super::scratch::Scratch;
use crate::fs::files;
use crate::monitor::Monitor;

const FETCH_ADVICE: &str = "check the network and the proxy variables, or use --offline to copy \
    crates from your own Cargo home";
const OFFLINE_FETCH_ADVICE: &str =
    "your own Cargo home may lack some of the crates; omit --offline to download them";
const BUILD_ADVICE: &str = "the demo needs a project that builds with `cargo build --locked`";
const TOOLCHAIN_ADVICE: &str = "the demo needs an installed toolchain";

/// Runs jobs one after the other on the runner that [`Scratch`] stands for.
pub(super) struct JobRunner<'a> {
    options: &'a DemoOptions<'a>,
    scratch: &'a Scratch,
    cargo: CargoCommandLine,
    monitor: WithoutProgress<'a>,
}

type OnEvent<'e> = &'e mut dyn FnMut(&DemoEvent<'_>);

impl<'a> JobRunner<'a> {
    /// The project must be in [`Scratch::origin`].
    pub(super) fn new(
        options: &'a DemoOptions<'a>,
        scratch: &'a Scratch,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        let rustup_home = match rustup_home(options.env) {
            Some(path) => files::stat(&path)?.map(|_| path),
            None => None,
        };
        let toolchain = ToolchainSource {
            rustup_home,
            has_file: has_toolchain_file(&scratch.origin())?,
        };
        let cargo = CargoCommandLine {
            variables: cargo_environment(options.env, scratch, &toolchain, options.offline),
            directory: scratch.checkout(),
        };
        Ok(Self {
            options,
            scratch,
            cargo,
            monitor: WithoutProgress(monitor),
        })
    }

    /// The output of `cargo --version` in the project, which may choose another toolchain.
    pub(super) fn cargo_version(&self) -> Result<String> {
        self.check_out()?;
        let output = self
            .cargo
            .run(&["--version"], TOOLCHAIN_ADVICE, &self.monitor)?;
        Ok(output.lines.into_iter().next().unwrap_or_default())
    }

    pub(super) fn run(&self, kind: JobKind, on_event: OnEvent<'_>) -> Result<JobReport> {
        on_event(&DemoEvent::Job(kind));
        self.check_out()?;
        if !kind.uses_cache() {
            return self.build(kind, on_event);
        }
        let caches = Caches::of_job(self.scratch, &self.cargo.variables);
        let Restored {
            caches: mut uses,
            elapsed: restore,
            records,
        } = caches.restore(&self.monitor)?;
        if uses.iter().all(|cache| cache.restored.is_none()) {
            on_event(&DemoEvent::Missed);
        } else {
            on_event(&DemoEvent::Restored(&uses, restore));
        }
        let built = self.build(kind, on_event)?;
        let save = caches.save(records, &mut uses, &self.monitor)?;
        on_event(&DemoEvent::Saved(&uses, save));
        uses.retain(has_files);
        Ok(JobReport {
            restore: Some(restore),
            save: Some(save),
            caches: uses,
            ..built
        })
    }

    /// Fetches crates and builds the project. The report knows nothing of caches.
    fn build(&self, kind: JobKind, on_event: OnEvent<'_>) -> Result<JobReport> {
        on_event(&DemoEvent::Fetching);
        let fetch = self.fetch()?;
        on_event(&DemoEvent::Building);
        let output = self
            .cargo
            .run(&["build", "--locked"], BUILD_ADVICE, &self.monitor)?;
        let lines = output.lines.iter().map(String::as_str);
        let compiled = Compiled::count(lines, &self.scratch.checkout());
        on_event(&DemoEvent::Built(compiled, output.elapsed));
        Ok(JobReport {
            kind,
            restore: None,
            fetch,
            build: output.elapsed,
            save: None,
            compiled,
            caches: Vec::new(),
        })
    }

    /// Resets the runner and checks out the project. The user's configuration of cargo counts as
    /// part of the runner.
    fn check_out(&self) -> Result<()> {
        self.scratch.reset()?;
        copy_tree(&self.scratch.origin(), &self.scratch.checkout())?;
        let Some(from) = cargo_home(self.options.env) else {
            return Ok(());
        };
        for name in ["config.toml", "config"] {
            let source = from.join(name);
            if files::stat(&source)?.is_some() {
                let copy = self.scratch.cargo_home().join(name);
                files::write_new(&copy, 0o600, &files::read(&source)?)?;
            }
        }
        Ok(())
    }

    fn fetch(&self) -> Result<Duration> {
        let start = Instant::now();
        let advice = if self.options.offline {
            let from = cargo_home(self.options.env).unwrap_or_default();
            let lock_file = files::read(&self.scratch.checkout().join("Cargo.lock"))?;
            let lock_file = String::from_utf8_lossy(&lock_file);
            offline::copy_registry(&from, &self.scratch.cargo_home(), &lock_file)?;
            OFFLINE_FETCH_ADVICE
        } else {
            FETCH_ADVICE
        };
        self.cargo
            .run(&["fetch", "--locked"], advice, &self.monitor)?;
        Ok(start.elapsed())
    }
}

/// A cache that the project does not need, such as the registry of a project without dependencies,
/// has an entry without files; the report skips it.
fn has_files(cache: &CacheUse) -> bool {
    let restored = cache.restored.map(|(_, size)| size);
    restored
        .or(cache.saved)
        .is_some_and(|StoredSize { files, .. }| files > 0)
}

/// Passes on warnings and interrupts, but no progress: the lines of the demo show that.
struct WithoutProgress<'a>(&'a dyn Monitor);

impl Monitor for WithoutProgress<'_> {
    fn warn(&self, message: &str) {
        self.0.warn(message);
    }

    fn is_interrupted(&self) -> bool {
        self.0.is_interrupted()
    }
}
