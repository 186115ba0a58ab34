//! The remote as the second tier of restores and saves.
//!
//! A failure of the remote never fails a restore or a save: it is one warning, and the local store
//! goes on alone. After an outage, this machine leaves the remote alone for [`OFF_TIME`], so that
//! the next jobs do not wait for it too.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::background::{BackgroundRemote, BackgroundRequest, LaterCopier, later_copy};
use super::client::RemoteClient;
use super::config::{PushMode, RemoteConfig};
use super::error::{RemoteError, RemoteResult};
use super::lookup::{GroupListing, newest_records};
use super::memory::{LookupMemory, Turn};
use super::name::{GroupName, PushId, Trust, key_id};
use super::pull::{PullRequest, pull};
use super::push::{PushOutcome, PushRequest, push};
use super::record::RemoteRecord;
use crate::digest::Digest;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fmt::whole_milliseconds;
use crate::fs::Timestamp;
use crate::monitor::Monitor;
use crate::ops::LOCK_TIMEOUT;
use crate::ops::second_tier::{LaterCopy, LocalTier, SavedEntries, SecondTier, TierReport};
use crate::site::detached;
use crate::store::{Entry, EntryGroup, EntryId, Store};
use crate::workers;

/// How long an outage keeps the jobs of this machine from using the remote.
const OFF_TIME: Duration = Duration::from_secs(60);

/// The remote for the restores and saves of one command.
pub struct RemoteTier {
    client: RemoteClient,
    mode: PushMode,
    trust: Trust,
    /// The records that a look-up of each entry found in its group.
    known: Mutex<HashMap<EntryId, Vec<(Trust, RemoteRecord)>>>,
    /// Pushes whose entries could not be pulled.
    broken: Mutex<Vec<PushId>>,
    pulled: AtomicU64,
    pushed: AtomicU64,
    present: AtomicU64,
    copier: LaterCopier,
    later: Mutex<Vec<BackgroundRequest>>,
    for_caller: Mutex<Option<LaterCopy>>,
    in_background: AtomicU64,
    /// Why there is no such process.
    not_in_background: Mutex<Option<String>>,
    /// Whether a failure was reported. There is one warning, whatever follows from it.
    has_failed: AtomicBool,
    /// Whether a refused record was reported.
    has_refused: AtomicBool,
}

impl RemoteTier {
    /// `trust` says what the run may read and where it writes.
    pub fn new(config: &RemoteConfig, env: &Env, trust: Trust) -> Result<Self> {
        let client = RemoteClient::new(config, env, true)?;
        let mut tier = Self::with_client(client, config.push, trust);
        if config.push == PushMode::Background && detached::is_possible(env) {
            let remote = BackgroundRemote::new(config, env, trust);
            tier.copier = LaterCopier::Process(Box::new((remote, env.clone())));
        }
        Ok(tier)
    }

    /// Leaves the entries that are copied after the job to the process that asked for it.
    pub(crate) fn leave_to_caller(&mut self) {
        self.copier = LaterCopier::Caller;
    }

    /// For a process that nobody waits for.
    pub(super) fn without_timeout(config: &RemoteConfig, env: &Env, trust: Trust) -> Result<Self> {
        let client = RemoteClient::new(config, env, false)?;
        Ok(Self::with_client(client, PushMode::Wait, trust))
    }

    pub(super) fn with_client(client: RemoteClient, mode: PushMode, trust: Trust) -> Self {
        Self {
            client,
            mode,
            trust,
            known: Mutex::default(),
            broken: Mutex::default(),
            pulled: AtomicU64::new(0),
            pushed: AtomicU64::new(0),
            present: AtomicU64::new(0),
            copier: LaterCopier::Nobody,
            later: Mutex::default(),
            for_caller: Mutex::default(),
            in_background: AtomicU64::new(0),
            not_in_background: Mutex::default(),
            has_failed: AtomicBool::new(false),
            has_refused: AtomicBool::new(false),
        }
    }

    /// Keeps entries for the process that copies them. False if there cannot be one.
    fn keep_for_later(&self, saved: SavedEntries<'_>) -> bool {
        match &self.copier {
            LaterCopier::Nobody => {
                let reason = "this container can end before the copy does";
                *workers::lock(&self.not_in_background) = Some(reason.to_owned());
                return false;
            }
            LaterCopier::Process(process) => {
                workers::lock(&self.later).push(process.0.request(saved));
            }
            LaterCopier::Caller => {
                let copy = later_copy(saved);
                let mut all = workers::lock(&self.for_caller);
                match &mut *all {
                    Some(all) => all.entries.extend(copy.entries),
                    None => *all = Some(copy),
                }
            }
        }
        let entries = saved.ids.len() as u64;
        self.in_background.fetch_add(entries, Ordering::Relaxed);
        true
    }

    /// Pushes entries that should be copied later, because that is not possible.
    fn push_at_once(&self, request: &BackgroundRequest, monitor: &dyn Monitor) -> Result<()> {
        self.in_background.store(0, Ordering::Relaxed);
        if let Some(store) = Store::open(&request.cache_root)? {
            for id in request.ids() {
                self.push(&store, &id, monitor)?;
            }
        }
        Ok(())
    }

    /// Pushes an entry that was saved, unless the remote is only read.
    ///
    /// Errors: [`Error::Interrupted`]. Other failures are a warning, and none is returned.
    pub fn push(
        &self,
        store: &Store,
        id: &EntryId,
        monitor: &dyn Monitor,
    ) -> Result<Option<PushOutcome>> {
        if self.mode == PushMode::Never || !self.may_use(store, monitor) {
            return Ok(None);
        }
        let pushed = self.push_entry(store, id, monitor);
        let outcome = self.or_warning(pushed, store, monitor)?.flatten();
        match outcome {
            Some(PushOutcome::Pushed(_)) => self.pushed.fetch_add(1, Ordering::Relaxed),
            Some(PushOutcome::Exists) => self.present.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        Ok(outcome)
    }

    fn push_entry(
        &self,
        store: &Store,
        id: &EntryId,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Option<PushOutcome>> {
        let lock = store.lock_shared(LOCK_TIMEOUT)?;
        let Some(entry) = store.read_entry(id)? else {
            return Ok(None);
        };
        let _use = self.client.start_use();
        let request = PushRequest {
            client: &self.client,
            store,
            entry: &entry,
            trust: self.trust,
            monitor,
        };
        push(request, &lock).map(Some)
    }

    /// Whether there was no failure in this command, and no outage on this machine lately.
    fn may_use(&self, store: &Store, monitor: &dyn Monitor) -> bool {
        if self.has_failed.load(Ordering::Relaxed) {
            return false;
        }
        let now = Timestamp::now().seconds;
        let limit = i64::try_from(OFF_TIME.as_secs()).unwrap_or(i64::MAX);
        let since = store
            .job_state(&self.outage_name())
            .ok()
            .flatten()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<i64>().ok());
        let is_off = since.is_some_and(|since| (0..limit).contains(&now.saturating_sub(since)));
        if is_off && !self.has_failed.swap(true, Ordering::Relaxed) {
            monitor.warn(&format!(
                "the remote {} failed less than {} seconds ago, so it is not used",
                self.client.place(),
                OFF_TIME.as_secs()
            ));
        }
        !is_off
    }

    /// The name under which the store remembers an outage.
    fn outage_name(&self) -> String {
        let remote = Digest::of(self.client.identity().as_bytes()).to_string();
        format!("remote-outage-{}", &remote[..16])
    }

    /// Turns a failure into the warning of this command.
    fn or_warning<T>(
        &self,
        result: RemoteResult<T>,
        store: &Store,
        monitor: &dyn Monitor,
    ) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(RemoteError::Local(Error::Interrupted)) => Err(Error::Interrupted),
            Err(error) => {
                // A failure of the local store says nothing about the next entry either.
                let is_of_one = error.is_of_object() || matches!(error, RemoteError::Local(_));
                if self.client.is_off() {
                    let now = Timestamp::now().seconds.to_string();
                    // Without the note, the next job finds out itself.
                    drop(store.put_job_state(&self.outage_name(), now.as_bytes()));
                }
                if is_of_one || !self.has_failed.swap(true, Ordering::Relaxed) {
                    monitor.warn(&Error::from(error).with_advice());
                }
                Ok(None)
            }
        }
    }

    /// The records of a group; only those of the key if it has any that were not broken so far,
    /// because nothing else would be chosen then.
    fn look_up(
        &self,
        group: &EntryGroup,
        key: &str,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Vec<(Trust, RemoteRecord)>> {
        let key_id = key_id(group, key);
        let (mut found, mut refusals) = (Vec::new(), Vec::new());
        for trust in self.trust.readable(group) {
            let name = GroupName::new(*trust, group);
            let listing = GroupListing::read_records(&self.client, &name, monitor)?;
            let of_key = listing.of_key(&key_id, &workers::lock(&self.broken));
            let mut records = self.usable_records(&of_key, &mut refusals, monitor)?;
            if records.is_empty() {
                let others = listing.without(&of_key);
                records = self.usable_records(&others, &mut refusals, monitor)?;
            }
            let of_group = records.into_iter().filter(|record| record.is_of(group));
            found.extend(of_group.map(|record| (*trust, record)));
        }
        self.report_refusals(refusals, monitor);
        Ok(found)
    }

    /// The newest records that this machine may use. Where there are none, but others, `refusals` gets
    /// an error about each of these.
    fn usable_records(
        &self,
        listing: &GroupListing,
        refusals: &mut Vec<RemoteError>,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Vec<RemoteRecord>> {
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for (object, read) in newest_records(&self.client, listing, monitor)? {
            match read.accepted(&self.client.keys, &object.name) {
                Ok(record) => records.push(record),
                Err(error) => refused.push(error),
            }
        }
        if records.is_empty() {
            refusals.append(&mut refused);
        }
        Ok(records)
    }

    /// One warning for a command: the others have the same cause.
    fn report_refusals(&self, refusals: Vec<RemoteError>, monitor: &dyn Monitor) {
        for error in refusals {
            if self.has_refused.swap(true, Ordering::Relaxed) {
                log::debug!("{error}");
            } else {
                monitor.warn(&Error::from(error).with_advice());
            }
        }
    }

    fn look_up_once(
        &self,
        local: LocalTier<'_>,
        group: &EntryGroup,
        key: &str,
    ) -> Result<Vec<(Trust, RemoteRecord)>> {
        // What another job found depends on the keys that it trusts.
        let remote = [self.client.identity(), &self.client.keys.trusted_id()].join(" ");
        let memory = LookupMemory::new(&remote, self.trust, group, key);
        let turn = match memory.turn(local)? {
            Turn::Known(records) if workers::lock(&self.broken).is_empty() => return Ok(records),
            Turn::Known(_) => None,
            Turn::Ask(turn) => Some(turn),
        };
        // The job that asked before may have found an outage.
        if !self.may_use(local.store, local.monitor) {
            return Ok(Vec::new());
        }
        let found = self.look_up(group, key, local.monitor);
        let found = self.or_warning(found, local.store, local.monitor)?;
        if let (Some(turn), Some(records)) = (&turn, &found) {
            memory.keep(local, turn, records);
        }
        Ok(found.unwrap_or_default())
    }
}

impl SecondTier for RemoteTier {
    fn entries(&self, local: LocalTier<'_>, group: &EntryGroup, key: &str) -> Result<Vec<Entry>> {
        let asked = group.entry_id(key);
        if let Some(known) = workers::lock(&self.known).get(&asked) {
            return Ok(known.iter().map(|(_, it)| it.entry.clone()).collect());
        }
        if !self.may_use(local.store, local.monitor) {
            return Ok(Vec::new());
        }
        let _use = self.client.start_use();
        let found = self.look_up_once(local, group, key)?;
        let entries = found.iter().map(|(_, it)| it.entry.clone()).collect();
        workers::lock(&self.known).insert(asked, found);
        Ok(entries)
    }

    fn fetch(&self, local: LocalTier<'_>, entry: &Entry) -> Result<bool> {
        let LocalTier {
            store,
            lock,
            monitor,
        } = local;
        let found = workers::lock(&self.known)
            .values()
            .flatten()
            .find(|(_, record)| record.entry == *entry)
            .cloned();
        let Some((trust, record)) = found.filter(|_| self.may_use(store, monitor)) else {
            return Ok(false);
        };
        let _use = self.client.start_use();
        let pulled = pull(PullRequest {
            client: &self.client,
            store,
            lock,
            group: &GroupName::new(trust, &entry.group),
            record: &record,
            monitor,
        });
        let is_pulled = self.or_warning(pulled, store, monitor)?.is_some();
        self.pulled.fetch_add(is_pulled.into(), Ordering::Relaxed);
        if !is_pulled {
            workers::lock(&self.known).clear();
            workers::lock(&self.broken).push(record.push);
        }
        Ok(is_pulled)
    }

    fn saved(&self, saved: SavedEntries<'_>) -> Result<()> {
        let SavedEntries {
            store,
            ids,
            monitor,
            ..
        } = saved;
        let is_later = self.mode == PushMode::Background
            && !ids.is_empty()
            && self.may_use(store, monitor)
            && self.keep_for_later(saved);
        if !is_later {
            for id in ids {
                self.push(store, id, monitor)?;
            }
        }
        Ok(())
    }

    fn finish(&self, monitor: &dyn Monitor) -> Result<()> {
        let LaterCopier::Process(process) = &self.copier else {
            return Ok(());
        };
        for request in std::mem::take(&mut *workers::lock(&self.later)) {
            if let Err(error) = request.start(&process.1) {
                *workers::lock(&self.not_in_background) = Some(error.to_string());
                self.push_at_once(&request, monitor)?;
            }
        }
        Ok(())
    }

    fn left_to_caller(&self) -> Option<LaterCopy> {
        workers::lock(&self.for_caller).take()
    }

    fn report(&self) -> TierReport {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let traffic = self.client.traffic();
        TierReport {
            place: self.client.place().to_owned(),
            pulled_entries: value(&self.pulled),
            pushed_entries: value(&self.pushed),
            present_entries: value(&self.present),
            received_bytes: traffic.received_bytes,
            sent_bytes: traffic.sent_bytes,
            requests: traffic.requests,
            milliseconds: whole_milliseconds(self.client.used()),
            background_entries: value(&self.in_background),
            not_in_background: workers::lock(&self.not_in_background).clone(),
        }
    }
}
