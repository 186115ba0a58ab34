//! Cargo's lock on `CARGO_HOME`, held while the caches in it are worked on.

use std::path::Path;
use std::time::Duration;

use crate::cargo::package_cache::PackageCache;
use crate::error::{Error, Result};
use crate::job::cargo::caches::CachePlan;
use crate::job::cargo::project::CargoProject;
use crate::job::cargo_target::CargoTarget;
use crate::monitor::Monitor;

/// Acquired when the first cache needs it, and released before the first that does not.
pub(super) struct PackageCacheLock<'a> {
    cargo_home: &'a Path,
    timeout: Duration,
    monitor: &'a dyn Monitor,
    state: LockState,
}

enum LockState {
    Free,
    Held {
        _lock: PackageCache,
    },
    /// Other programs held it until the timeout. The caches that need it fail without waiting
    /// again.
    TimedOut,
}

impl<'a> PackageCacheLock<'a> {
    pub(super) fn new(
        target: &'a CargoTarget,
        project: &'a CargoProject,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            cargo_home: &project.cargo_home,
            timeout: target.lock_timeout,
            monitor,
            state: LockState::Free,
        }
    }

    /// Whether other programs held it until the timeout.
    pub(super) fn is_held_by_others(&self) -> bool {
        matches!(self.state, LockState::TimedOut)
    }

    /// Acquires the lock if the cache needs it, and releases it otherwise.
    pub(super) fn hold_for(&mut self, plan: &CachePlan) -> Result<()> {
        if !plan.is_shared() {
            if matches!(self.state, LockState::Held { .. }) {
                self.state = LockState::Free;
            }
            return Ok(());
        }
        if matches!(self.state, LockState::Free) {
            let lock = PackageCache::lock(self.cargo_home, self.timeout, self.monitor)?;
            self.state = lock.map_or(LockState::TimedOut, |lock| LockState::Held { _lock: lock });
        }
        if matches!(self.state, LockState::TimedOut) {
            return Err(Error::invalid(format!(
                "another program has been using cargo's package cache in {} for more than {}",
                self.cargo_home.display(),
                humantime::format_duration(self.timeout)
            )));
        }
        Ok(())
    }
}
