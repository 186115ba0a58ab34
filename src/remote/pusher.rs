//! The process that copies entries to the remote after the job: one of its own, or that of a container.
//!
//! If it is killed, the next push of the entry finds it missing on the remote and goes on where this
//! one was.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::background::{BackgroundRemote, BackgroundRequest};
use super::config::RemoteConfig;
use super::name::Trust;
use super::tier::RemoteTier;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::second_tier::{LaterCopy, SecondTier as _, TierReport};
use crate::site::{detached, signals};
use crate::stats::event::{self, Event, Phase, RemoteTraffic};
use crate::stats::journal::{self, JournalLimits};
use crate::store::background_push::BackgroundPush;
use crate::store::{EntryId, Store};
use crate::workers;

/// Takes a request from the standard input and carries it out. `env` is the environment of this
/// process.
pub fn push_in_background(env: &Env) -> ExitCode {
    let Ok(request) = accept() else {
        return ExitCode::FAILURE;
    };
    match carry_out(&request, env) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::debug!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Copies the entries of a store below `cache_root` in this process, which nobody waits for.
/// `config` and `env` are as for [`RemoteTier::new`].
///
/// Errors: the result cannot be written into the store. A failure of the copy is there.
pub(crate) fn copy_after_job(
    cache_root: &Path,
    (config, env, trust): (&RemoteConfig, &Env, Trust),
    copy: LaterCopy,
) -> Result<()> {
    let request = BackgroundRequest {
        cache_root: cache_root.to_owned(),
        remote: BackgroundRemote::new(config, env, trust),
        copy,
    };
    carry_out(&request, env)
}

fn accept() -> std::io::Result<BackgroundRequest> {
    let request = serde_json::from_slice(&detached::accept()?)?;
    detached::confirm()?;
    Ok(request)
}

fn carry_out(request: &BackgroundRequest, env: &Env) -> Result<()> {
    let Some(store) = Store::open(&request.cache_root)? else {
        return Ok(());
    };
    let mut outcome = BackgroundPush {
        place: request.remote.config.place(),
        started: event::now(),
        ..BackgroundPush::default()
    };
    // It only tells people, so the copy goes on without it.
    drop(store.put_background_push(&outcome));
    let monitor = PushMonitor {
        store: &store,
        failure: Mutex::default(),
        interrupted: Arc::default(),
        gave_way: AtomicBool::new(false),
    };
    let _listener = signals::install().map(|signals| {
        let interrupted = Arc::clone(&monitor.interrupted);
        signals.listen(move |_| interrupted.store(true, Ordering::Relaxed))
    });
    match push_entries(request, env, &store, &monitor) {
        Ok(report) => {
            outcome.pushed_entries = report.pushed_entries;
            outcome.present_entries = report.present_entries;
            outcome.sent_bytes = report.sent_bytes;
            // Only statistics are lost.
            drop(record(request, &store, outcome.started, &report));
        }
        Err(error) => monitor.warn(&error.with_advice()),
    }
    outcome.ended = Some(event::now());
    outcome.failure = workers::lock(&monitor.failure).take();
    store.put_background_push(&outcome)
}

fn push_entries(
    request: &BackgroundRequest,
    env: &Env,
    store: &Store,
    monitor: &PushMonitor<'_>,
) -> Result<TierReport> {
    let remote = &request.remote;
    let mut env = env.clone();
    for (name, value) in &remote.variables {
        env = env.with(name, value);
    }
    let tier = RemoteTier::without_timeout(&remote.config, &env, remote.trust)?;
    for id in request.ids() {
        match push_patiently(&tier, store, &id, monitor) {
            Err(Error::Interrupted) => monitor.warn("it was interrupted"),
            pushed => pushed?,
        }
    }
    Ok(tier.report())
}

/// Pushes an entry, and begins again after each garbage collection that waited for the store. What
/// was uploaded before is on the remote already.
fn push_patiently(
    tier: &RemoteTier,
    store: &Store,
    id: &EntryId,
    monitor: &PushMonitor<'_>,
) -> Result<()> {
    loop {
        match tier.push(store, id, monitor) {
            Err(Error::Interrupted) if monitor.gave_way.swap(false, Ordering::Relaxed) => {}
            pushed => return pushed.map(drop),
        }
    }
}

/// Nobody waited, so the time counts for itself.
fn record(
    request: &BackgroundRequest,
    store: &Store,
    started: i64,
    report: &TierReport,
) -> Result<()> {
    let Some(traffic) = report.traffic() else {
        return Ok(());
    };
    let now = event::now();
    let took = now.saturating_sub(started).max(0).unsigned_abs();
    let event = Event {
        time: now,
        milliseconds: took,
        remote: Some(RemoteTraffic {
            milliseconds: 0,
            background_milliseconds: took,
            ..traffic
        }),
        ..Event::now(Phase::Post, request.copy.run.clone())
    };
    let journal = store.create_journal()?;
    journal::append(
        &journal,
        &event,
        store.modes().file,
        JournalLimits::default(),
    )
}

/// Keeps the first warning: what follows has the same cause. Interrupts a push while a garbage
/// collection waits, which would give up otherwise.
struct PushMonitor<'s> {
    store: &'s Store,
    failure: Mutex<Option<String>>,
    /// Whether the process should end.
    interrupted: Arc<AtomicBool>,
    /// Whether the push was interrupted only for a garbage collection.
    gave_way: AtomicBool,
}

impl Monitor for PushMonitor<'_> {
    fn warn(&self, message: &str) {
        workers::lock(&self.failure).get_or_insert_with(|| message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        if self.interrupted.load(Ordering::Relaxed) {
            return true;
        }
        if self.store.is_gc_waiting() {
            self.gave_way.store(true, Ordering::Relaxed);
        }
        self.gave_way.load(Ordering::Relaxed)
    }
}
