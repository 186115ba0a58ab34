//! One job: a checkout, then the steps of a workflow.

use std::time::{Duration, Instant};

use super::caches::{self, Cache};
use super::copy::copy_tree;
use super::process::{Cargo, Ran};
use super::scratch::Scratch;
use super::{
    CacheUse, Compiled, Error, Event, Job, JobKind, Options, cargo_home, environment, offline, project,
};
use crate::fs::files;
use crate::monitor::Monitor;
use crate::store::Store;

const NO_CRATES: &str = "if it can't reach the registry, look at the network and at the proxy variables, or let \
    --offline take the crates from your own Cargo home";
const NO_CRATES_OFFLINE: &str =
    "your own Cargo home may not have all crates that it needs; leave --offline out";
const NO_BUILD: &str = "the demo needs a project that builds with `cargo build --locked`";
const NO_TOOLCHAIN: &str = "the demo needs a toolchain that is installed";

/// Runs jobs, one after the other, on the machine that [`Scratch`] stands for.
pub(super) struct Runner<'a> {
    options: &'a Options<'a>,
    scratch: &'a Scratch,
    store: Store,
    cargo: Cargo,
    monitor: Quiet<'a>,
}

impl<'a> Runner<'a> {
    /// A runner for the project that lies in the scratch directory.
    pub(super) fn new(
        options: &'a Options<'a>,
        scratch: &'a Scratch,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, Error> {
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
        let cargo = Cargo { variables, directory: scratch.checkout() };
        let store = Store::create(&scratch.cache_root())?;
        Ok(Self { options, scratch, store, cargo, monitor: Quiet(monitor) })
    }

    /// What cargo says of itself, in the project.
    pub(super) fn cargo_version(&self) -> Result<String, Error> {
        self.check_out()?;
        let ran = self.cargo.run(&["--version"], NO_TOOLCHAIN, &self.monitor)?;
        Ok(ran.lines.into_iter().next().unwrap_or_default())
    }

    /// Runs a job from its checkout to its end.
    pub(super) fn run(&self, kind: JobKind, tell: &mut dyn FnMut(&Event<'_>)) -> Result<Job, Error> {
        tell(&Event::Job(kind));
        self.check_out()?;
        let caches = if kind.uses_cache() { caches::of_job(&self.store, self.scratch)? } else { Vec::new() };
        let (mut uses, restore) = self.restore(&caches, tell)?;
        tell(&Event::Fetching);
        let fetch = self.fetch()?;
        tell(&Event::Building);
        let Ran { took: build, lines } = self.cargo.run(&["build", "--locked"], NO_BUILD, &self.monitor)?;
        let compiled = Compiled::count(lines.iter().map(String::as_str), &self.scratch.checkout());
        tell(&Event::Built(compiled, build));
        let save = self.save(&caches, &mut uses, tell)?;
        let [restore, save] = [restore, save].map(|took| kind.uses_cache().then_some(took));
        Ok(Job { kind, restore, fetch, build, save, compiled, caches: uses })
    }

    /// A fresh checkout on an emptied machine. The user's configuration of cargo is part of the machine.
    fn check_out(&self) -> Result<(), Error> {
        self.scratch.renew()?;
        copy_tree(&self.scratch.origin(), &self.scratch.checkout())?;
        let Some(theirs) = cargo_home(self.options.env) else { return Ok(()) };
        for name in ["config.toml", "config"] {
            let path = theirs.join(name);
            if files::stat(&path)?.is_some() {
                files::write_new(&self.scratch.cargo_home().join(name), 0o600, &files::read(&path)?)?;
            }
        }
        Ok(())
    }

    fn restore(
        &self,
        caches: &[Cache<'_>],
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<(Vec<CacheUse>, Duration), Error> {
        let mut uses = Vec::new();
        let mut all = Duration::ZERO;
        for cache in caches {
            let (of_it, took) = cache.restore(&self.monitor)?;
            if of_it.restored.is_some() {
                tell(&Event::Restored(&of_it, took));
            }
            all += took;
            uses.push(of_it);
        }
        if !uses.is_empty() && uses.iter().all(|of_it| of_it.restored.is_none()) {
            tell(&Event::Missed);
        }
        Ok((uses, all))
    }

    fn fetch(&self) -> Result<Duration, Error> {
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
        self.cargo.run(&["fetch", "--locked"], advice, &self.monitor)?;
        Ok(begun.elapsed())
    }

    fn save(
        &self,
        caches: &[Cache<'_>],
        uses: &mut [CacheUse],
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Duration, Error> {
        let mut all = Duration::ZERO;
        for (cache, of_it) in caches.iter().zip(uses) {
            let (saved, took) = cache.save(&self.monitor)?;
            of_it.saved = saved;
            if saved.is_some() {
                tell(&Event::Saved(of_it, took));
            }
            all += took;
        }
        Ok(all)
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
