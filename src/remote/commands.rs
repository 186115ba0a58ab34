//! The commands of `local-cache remote`. Unlike a tier of a restore, they fail when the remote does.

use std::collections::HashSet;

use super::client::{RemoteClient, Traffic};
use super::config::RemoteConfig;
use super::error::RemoteResult;
use super::gc::{RemoteGcOptions, RemoteGcStats, collect};
use super::name::{GroupName, Trust};
use super::pull::{PullRequest, PullStats, pull};
use super::push::{PushOutcome, PushRequest, push};
use super::status::{
    FoundRecord, RemoteStatus, RemoteVerifyOptions, RemoteVerifyReport, all_records, status, verify,
};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::LOCK_TIMEOUT;
use crate::store::{Entry, Store};

/// The remote for the commands of an administrator.
pub struct Remote {
    client: RemoteClient,
    trust: Trust,
}

impl Remote {
    /// `trust` says where entries are pushed to, and which are pulled. The timeout of the
    /// configuration does not apply: the user waits, and can interrupt.
    pub fn new(config: &RemoteConfig, env: &Env, trust: Trust) -> Result<Self> {
        let client = RemoteClient::new(config, env, false)?;
        Ok(Self { client, trust })
    }

    #[cfg(test)]
    pub(super) fn with_client(client: RemoteClient, trust: Trust) -> Self {
        Self { client, trust }
    }

    /// Where the remote is, for messages.
    pub fn place(&self) -> &str {
        self.client.place()
    }

    pub fn traffic(&self) -> Traffic {
        self.client.traffic()
    }

    pub fn status(&self, monitor: &dyn Monitor) -> Result<RemoteStatus> {
        Ok(status(&self.client, monitor)?)
    }

    pub fn verify(
        &self,
        options: RemoteVerifyOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemoteVerifyReport> {
        Ok(verify(&self.client, options, monitor)?)
    }

    /// Removes old entries and unneeded data.
    pub fn gc(&self, options: &RemoteGcOptions, monitor: &dyn Monitor) -> Result<RemoteGcStats> {
        Ok(collect(&self.client, options, monitor)?)
    }

    /// Pushes an entry of the store.
    pub fn push(&self, store: &Store, entry: &Entry, monitor: &dyn Monitor) -> Result<PushOutcome> {
        let lock = store.lock_shared(LOCK_TIMEOUT)?;
        let request = PushRequest {
            client: &self.client,
            store,
            entry,
            trust: self.trust,
            monitor,
        };
        Ok(push(request, &lock)?)
    }

    /// Pulls the newest entry of each key and group that the remote has, with one list for all keys.
    ///
    /// Errors: also if a key has only entries that no trusted key signed.
    pub fn pull(
        &self,
        store: &Store,
        keys: &[String],
        monitor: &dyn Monitor,
    ) -> Result<Vec<(Entry, PullStats)>> {
        let objects = self.client.list("", monitor)?;
        let (mut records, _) = all_records(&self.client, &objects, monitor)?;
        records.retain(|found| {
            let Entry { group, key, .. } = &found.record.entry;
            let is_there = |trust: &Trust| found.group == GroupName::new(*trust, group);
            keys.contains(key) && self.trust.readable(group).iter().any(is_there)
        });
        records.sort_by_key(|found| {
            let newest_first = std::cmp::Reverse(found.record.entry.created);
            (found.refusal.is_some(), newest_first)
        });
        let mut seen = HashSet::new();
        records.retain(|found| seen.insert(found.record.entry.id()));
        let records = without_refused(records, monitor)?;
        let lock = store.lock_shared(LOCK_TIMEOUT)?;
        let mut pulled = Vec::with_capacity(records.len());
        for FoundRecord { group, record, .. } in records {
            let request = PullRequest {
                client: &self.client,
                store,
                lock: &lock,
                group: &group,
                record: &record,
                monitor,
            };
            let stats = pull(request)?;
            pulled.push((record.entry, stats));
        }
        Ok(pulled)
    }
}

/// The records that may be used. The others are a warning where their key has one that may be used.
fn without_refused(
    records: Vec<FoundRecord>,
    monitor: &dyn Monitor,
) -> RemoteResult<Vec<FoundRecord>> {
    let (refused, accepted): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|found| found.refusal.is_some());
    for FoundRecord {
        record, refusal, ..
    } in refused
    {
        let has_key = |found: &FoundRecord| found.record.entry.key == record.entry.key;
        match refusal {
            Some(refusal) if accepted.iter().any(has_key) => {
                monitor.warn(&Error::from(refusal).with_advice());
            }
            Some(refusal) => return Err(refusal),
            None => {}
        }
    }
    Ok(accepted)
}
