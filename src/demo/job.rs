//! One job: a checkout, then the steps of a workflow.

use std::time::{Duration, Instant};

use super::caches::Caches;
use super::copy::copy_tree;
use super::process::{CargoCommandLine, Ran};
use super::scratch::Scratch;
use super::{
    CacheUse, Compiled, DemoError, DemoEvent, DemoOptions, JobKind, JobReport, StoredSize,
    cargo_home, environment, offline, project,
};
use crate::fs::files;
use crate::job::RestoreRecord;
use crate::monitor::Monitor;

const NO_CRATES: &str = "if it can't reach the registry, look at the network and at the proxy variables, or let \
    --offline take the crates from your own Cargo home";
const NO_CRATES_OFFLINE: &str =
    "your own Cargo home may not have all crates that it needs; leave --offline out";
const NO_BUILD: &str = "the demo needs a project that builds with `cargo build --locked`";
const NO_TOOLCHAIN: &str = "the demo needs a toolchain that is installed";

/// Runs jobs, one after the other, on the machine that [`Scratch`] stands for.
pub(super) struct JobRunner<'a> {
    options: &'a DemoOptions<'a>,
    scratch: &'a Scratch,
    cargo: CargoCommandLine,
    monitor: Quiet<'a>,
}

impl<'a> JobRunner<'a> {
    /// A runner for the project that lies in the scratch directory.
    pub(super) fn new(
        options: &'a DemoOptions<'a>,
        scratch: &'a Scratch,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, DemoError> {
        let rustup_home = match environment::rustup_home(options.env) {
            Some(path) => files::stat(&path)?.map(|_| path),
            None => None,
        };
        let has_toolchain = project::names_toolchain(&scratch.origin())?;
        let variables = environment::for_cargo(
            options.env,
            scratch,
            rustup_home.as_deref(),
            has_toolchain,
            options.offline,
        );
        let cargo = CargoCommandLine {
            variables,
            directory: scratch.checkout(),
        };
        Ok(Self {
            options,
            scratch,
            cargo,
            monitor: Quiet(monitor),
        })
    }

    /// What cargo says of itself, in the project.
    pub(super) fn cargo_version(&self) -> Result<String, DemoError> {
        self.check_out()?;
        let ran = self
            .cargo
            .run(&["--version"], NO_TOOLCHAIN, &self.monitor)?;
        Ok(ran.lines.into_iter().next().unwrap_or_default())
    }

    /// Runs a job from its checkout to its end.
    pub(super) fn run(
        &self,
        kind: JobKind,
        tell: &mut dyn FnMut(&DemoEvent<'_>),
    ) -> Result<JobReport, DemoError> {
        tell(&DemoEvent::Job(kind));
        self.check_out()?;
        let caches = kind
            .uses_cache()
            .then(|| Caches::of_job(self.scratch, &self.cargo.variables));
        let (mut uses, restore, noted) = match &caches {
            Some(caches) => self.restore(caches, tell)?,
            None => Default::default(),
        };
        tell(&DemoEvent::Fetching);
        let fetch = self.fetch()?;
        tell(&DemoEvent::Building);
        let Ran { took: build, lines } =
            self.cargo
                .run(&["build", "--locked"], NO_BUILD, &self.monitor)?;
        let compiled = Compiled::count(lines.iter().map(String::as_str), &self.scratch.checkout());
        tell(&DemoEvent::Built(compiled, build));
        let save = match &caches {
            Some(caches) => Some(self.save(caches, noted, &mut uses, tell)?),
            None => None,
        };
        // What the project does not need has an entry that says so, and is no cache to speak of.
        let is_filled = |of_it: &CacheUse| {
            of_it
                .restored
                .map(|(_, stored)| stored)
                .or(of_it.saved)
                .is_some_and(StoredSize::is_filled)
        };
        uses.retain(is_filled);
        Ok(JobReport {
            kind,
            restore: caches.map(|_| restore),
            fetch,
            build,
            save,
            compiled,
            caches: uses,
        })
    }

    /// A fresh checkout on an emptied machine. The user's configuration of cargo is part of the
    /// machine.
    fn check_out(&self) -> Result<(), DemoError> {
        self.scratch.renew()?;
        copy_tree(&self.scratch.origin(), &self.scratch.checkout())?;
        let Some(theirs) = cargo_home(self.options.env) else {
            return Ok(());
        };
        for name in ["config.toml", "config"] {
            let path = theirs.join(name);
            if files::stat(&path)?.is_some() {
                files::write_new(
                    &self.scratch.cargo_home().join(name),
                    0o600,
                    &files::read(&path)?,
                )?;
            }
        }
        Ok(())
    }

    fn restore(
        &self,
        caches: &Caches,
        tell: &mut dyn FnMut(&DemoEvent<'_>),
    ) -> Result<(Vec<CacheUse>, Duration, Vec<RestoreRecord>), DemoError> {
        let (uses, took, noted) = caches.restore(&self.monitor)?;
        if uses.iter().all(|of_it| of_it.restored.is_none()) {
            tell(&DemoEvent::Missed);
        } else {
            tell(&DemoEvent::Restored(&uses, took));
        }
        Ok((uses, took, noted))
    }

    fn fetch(&self) -> Result<Duration, DemoError> {
        let begun = Instant::now();
        let advice = if self.options.offline {
            let from = cargo_home(self.options.env).unwrap_or_default();
            let lock = self.scratch.checkout().join("Cargo.lock");
            let text = String::from_utf8_lossy(&files::read(&lock)?).into_owned();
            offline::copy_registry(&from, &self.scratch.cargo_home(), &text)?;
            NO_CRATES_OFFLINE
        } else {
            NO_CRATES
        };
        self.cargo
            .run(&["fetch", "--locked"], advice, &self.monitor)?;
        Ok(begun.elapsed())
    }

    fn save(
        &self,
        caches: &Caches,
        noted: Vec<RestoreRecord>,
        uses: &mut [CacheUse],
        tell: &mut dyn FnMut(&DemoEvent<'_>),
    ) -> Result<Duration, DemoError> {
        let took = caches.save(noted, uses, &self.monitor)?;
        tell(&DemoEvent::Saved(uses, took));
        Ok(took)
    }
}

/// Passes on warnings and the wish to stop; lines tell of progress here.
struct Quiet<'a>(&'a dyn Monitor);

impl Monitor for Quiet<'_> {
    fn warn(&self, message: &str) {
        self.0.warn(message);
    }

    fn is_interrupted(&self) -> bool {
        self.0.is_interrupted()
    }
}
