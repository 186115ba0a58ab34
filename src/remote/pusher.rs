//! The process that copies entries to the remote after the job.
//!
//! If it is killed, the next push of the entry finds it missing on the remote and goes on where this
//! one was.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::background::BackgroundRequest;
use super::tier::RemoteTier;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::second_tier::{SecondTier as _, TierReport};
use crate::site::{detached, signals};
use crate::stats::event::{self, Event, RemoteTraffic};
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
    let monitor = PushMonitor::default();
    let _listener = signals::install().map(|signals| {
        let interrupted = Arc::clone(&monitor.interrupted);
        signals.listen(move |_| interrupted.store(true, Ordering::Relaxed))
    });
    match push_entries(request, env, &store, &monitor) {
        Ok(report) => {
            outcome.pushed_entries = report.pushed_entries;
            outcome.present_entries = report.present_entries;
            outcome.sent_bytes = report.sent_bytes;
            record(request, &store, outcome.started, &report)?;
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
    monitor: &dyn Monitor,
) -> Result<TierReport> {
    let remote = &request.remote;
    let mut env = env.clone();
    for (name, value) in &remote.variables {
        env = env.with(name, value);
    }
    let tier = RemoteTier::without_timeout(&remote.config, &env, remote.trust)?;
    for id in request.entries.iter().filter_map(|id| EntryId::parse(id)) {
        match tier.push(store, &id, monitor) {
            Err(Error::Interrupted) => monitor.warn("it was interrupted"),
            pushed => drop(pushed?),
        }
    }
    Ok(tier.report())
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
        ..request.event.clone()
    };
    let journal = store.create_journal()?;
    journal::append(
        &journal,
        &event,
        store.modes().file,
        JournalLimits::default(),
    )
}

/// Keeps the first warning: what follows has the same cause.
#[derive(Default)]
struct PushMonitor {
    failure: Mutex<Option<String>>,
    interrupted: Arc<AtomicBool>,
}

impl Monitor for PushMonitor {
    fn warn(&self, message: &str) {
        workers::lock(&self.failure).get_or_insert_with(|| message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
