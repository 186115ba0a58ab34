//! Requests to the bucket, each with a time limit: the only file that calls `object_store`.
//!
//! # Time
//!
//! The remote must never hang a job. `object_store` alone retries for up to three minutes against a
//! server that accepts connections and says nothing. So there are three connections with limits of
//! their own, and every request has a limit around all its attempts:
//!
//! - small requests (lists, records, deletions): [`SMALL_LIMIT`] in all
//! - downloads: no bytes for a few seconds, or all together slower than [`LOWEST_RATE`]
//! - uploads: slower than [`LOWEST_RATE`]; a limit on silence would count the time of the body
//!
//! The first request that fails like an outage, after its retries, switches the client off: what
//! follows fails at once. So a server that is dead, hangs or refuses costs a job one such limit: a few
//! seconds, except if it hangs during an upload, which has up to 90 seconds for a full segment.
//!
//! # Threads
//!
//! The functions block. Callers use several threads to have several requests under way; the
//! connections themselves belong to one thread of the runtime.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStoreExt as _, PutPayload};

use super::config::RemoteConfig;
use super::connect::{Connections, connect, with_server};
use super::error::{RemoteError, RemoteResult, RequestTarget, classify};
use super::name::TOP;
use super::network::{Attempt, Network, POLL, StartedRequest};
use super::pacer::Pacer;
use super::signature::RecordKeys;
use super::usage::UsageClock;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fmt::human;
use crate::monitor::Monitor;

/// The limit of a small request, with its retries.
const SMALL_LIMIT: Duration = Duration::from_millis(2_500);
/// What every transfer gets besides its bytes.
const TRANSFER_LIMIT: Duration = Duration::from_secs(10);
/// Bytes per second. A slower transfer is not worth waiting for.
const LOWEST_RATE: u64 = 256 << 10;
/// Ranges that are downloaded at once. They share the link, so each can take that many times longer.
pub(crate) const RANGES_AT_ONCE: usize = 12;
/// How many objects a server lists in one answer.
const PAGE: usize = 1000;
/// So many deletions have the limit of a transfer together.
const DELETED_AT_ONCE: usize = 100;

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedObject {
    /// Relative to the format's directory.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// When it was written, in milliseconds since the epoch, by the server's clock.
    pub(crate) written: i64,
}

/// What went over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub requests: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

pub(crate) struct RemoteClient {
    network: Network,
    connections: Connections,
    /// The directory of the format in the bucket.
    top: String,
    place: String,
    identity: String,
    bucket: String,
    /// Those of this machine, for the records that it reads and writes.
    pub(super) keys: RecordKeys,
    /// How long the remote may be used in all, and how long it was.
    timeout: Option<Duration>,
    clock: UsageClock,
    pacer: Option<Pacer>,
    is_off: AtomicBool,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// A download that is under way.
pub(crate) struct PendingRange<'c> {
    client: &'c RemoteClient,
    name: String,
    request: StartedRequest<bytes::Bytes>,
}

impl RemoteClient {
    /// Sends nothing yet. With `with_timeout`, requests fail when the remote was in [use](Self::start_use)
    /// for as long as the configured timeout.
    pub(crate) fn new(config: &RemoteConfig, env: &Env, with_timeout: bool) -> Result<Self> {
        let config = &with_server(config, env);
        let mut client = Self::with_connections(connect(config, env)?, config)?;
        client.keys = RecordKeys::read(config)?;
        client.timeout = with_timeout.then_some(config.timeout);
        Ok(client)
    }

    pub(super) fn with_connections(
        connections: Connections,
        config: &RemoteConfig,
    ) -> Result<Self> {
        Ok(Self {
            network: Network::start()?,
            connections,
            top: match &*config.prefix {
                "" => TOP.to_owned(),
                prefix => format!("{prefix}/{TOP}"),
            },
            place: config.place(),
            identity: format!(
                "{} {}",
                config.endpoint.as_deref().unwrap_or_default(),
                config.place()
            ),
            bucket: config.bucket.clone(),
            keys: RecordKeys::default(),
            timeout: None,
            clock: UsageClock::default(),
            pacer: config.bandwidth.map(Pacer::new),
            is_off: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        })
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The place together with its server, which differ between any two remotes.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether a request failed like an outage, so that none is sent any more.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    /// Counts the time until the result is dropped as use of the remote.
    pub(crate) fn start_use(&self) -> impl Drop + use<'_> {
        self.clock.start()
    }

    /// How long the remote was in use.
    pub(crate) fn used(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            requests: value(&self.requests),
            sent_bytes: value(&self.sent),
            received_bytes: value(&self.received),
        }
    }

    /// The objects below a directory, by name; all objects of the format if it is empty.
    pub(crate) fn list(
        &self,
        directory: &str,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Vec<ListedObject>> {
        let path = self.path(directory.trim_end_matches('/'));
        let mut pages = self.connections.small.list(Some(&path)).chunks(PAGE);
        let mut objects = Vec::new();
        loop {
            // Each page of the server's answer has the limit of a small request.
            let next = self.limited(SMALL_LIMIT, monitor, async {
                let page = pages.next().await.unwrap_or_default();
                page.into_iter().collect::<object_store::Result<Vec<_>>>()
            });
            let page = self.finish(self.target("list", directory), next)?;
            objects.extend(page.iter().filter_map(|meta| self.listed(meta)));
            if page.len() < PAGE {
                break;
            }
        }
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<ListedObject> {
        let name = meta.location.as_ref().strip_prefix(&*self.top)?;
        let name = name.strip_prefix('/').filter(|name| is_own_name(name))?;
        Some(ListedObject {
            name: name.to_owned(),
            bytes: meta.size,
            written: meta.last_modified.timestamp_millis(),
        })
    }

    /// Lists one page of objects, to find out whether that is possible.
    pub(crate) fn try_list(&self, monitor: &dyn Monitor) -> RemoteResult<()> {
        let path = self.path("");
        let mut objects = self.connections.small.list(Some(&path));
        let next = self.limited(SMALL_LIMIT, monitor, async {
            objects.next().await.transpose().map(drop)
        });
        self.finish(self.target("list", ""), next)
    }

    /// Reads an object of a few bytes, to find out whether that is possible.
    pub(crate) fn try_read(&self, name: &str, monitor: &dyn Monitor) -> RemoteResult<()> {
        let path = self.path(name);
        let read = self.connections.small.get(&path);
        let read = self.limited(SMALL_LIMIT, monitor, async {
            read.await?.bytes().await.map(drop)
        });
        self.finish(self.target("read", name), read)
    }

    /// By how many seconds the server's clock is ahead of this machine's, if a small request was
    /// answered with a date.
    pub(crate) fn clock_seconds_ahead(&self) -> Option<i64> {
        self.connections.clock.seconds_ahead()
    }

    /// Starts to read a range of an object. One that is empty is damaged: no object of the format is.
    pub(crate) fn start_range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> RemoteResult<PendingRange<'_>> {
        self.check()?;
        if range.is_empty() {
            return Err(RemoteError::damaged(name, "it is empty"));
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (path, store) = (self.path(name), Arc::clone(&self.connections.downloads));
        let limit = self.remaining(download_limit(range.end - range.start));
        let read = async move { store.get_range(&path, range).await };
        Ok(PendingRange {
            client: self,
            name: name.to_owned(),
            request: self.network.spawn(read, limit),
        })
    }

    /// Writes an object, below the bandwidth. The names of data are unique, so nothing is ever
    /// replaced.
    pub(crate) fn put(
        &self,
        name: &str,
        bytes: Vec<u8>,
        monitor: &dyn Monitor,
    ) -> RemoteResult<()> {
        self.wait_for_turn(bytes.len() as u64, monitor)?;
        self.put_now(name, bytes, monitor)
    }

    /// Writes an object whose turn has come.
    pub(crate) fn put_now(
        &self,
        name: &str,
        bytes: Vec<u8>,
        monitor: &dyn Monitor,
    ) -> RemoteResult<()> {
        let length = bytes.len() as u64;
        let (path, payload) = (self.path(name), PutPayload::from(bytes));
        let write = self.connections.uploads.put(&path, payload);
        let write = self.limited(transfer_limit(length), monitor, async {
            write.await.map(drop)
        });
        self.finish(self.target("write", name), write)?;
        self.sent.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until `bytes` may be sent without exceeding the bandwidth.
    pub(crate) fn wait_for_turn(&self, bytes: u64, monitor: &dyn Monitor) -> RemoteResult<()> {
        let Some(pacer) = &self.pacer else {
            return Ok(());
        };
        let turn = pacer.reserve(bytes);
        while let Some(left) = turn.checked_duration_since(Instant::now()) {
            self.check()?;
            if monitor.is_interrupted() {
                return Err(Error::Interrupted.into());
            }
            std::thread::sleep(left.min(POLL));
        }
        Ok(())
    }

    /// Deletes objects. Those that do not exist count as deleted.
    pub(crate) fn delete(&self, names: &[String], monitor: &dyn Monitor) -> RemoteResult<()> {
        for names in names.chunks(DELETED_AT_ONCE) {
            let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
            let deletions = self
                .connections
                .small
                .delete_stream(stream::iter(paths).boxed());
            let delete = self.limited(transfer_limit(0), monitor, async {
                let results: Vec<object_store::Result<ObjectPath>> = deletions.collect().await;
                for result in results {
                    match result {
                        Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            });
            self.finish(self.target("delete", &names[0]), delete)?;
            let others = names.len() as u64 - 1;
            self.requests.fetch_add(others, Ordering::Relaxed);
        }
        Ok(())
    }

    fn path(&self, name: &str) -> ObjectPath {
        ObjectPath::from(format!("{}/{name}", self.top))
    }

    fn target<'a>(&'a self, action: &'static str, object: &'a str) -> RequestTarget<'a> {
        RequestTarget {
            place: &self.place,
            bucket: &self.bucket,
            object,
            action,
        }
    }

    /// Runs a request until it is answered, its time is up, or the operation should stop.
    fn limited<T>(
        &self,
        limit: Duration,
        monitor: &dyn Monitor,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> RemoteResult<Attempt<T>> {
        self.check()?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(self.network.run(request, self.remaining(limit), monitor))
    }

    fn finish<T>(
        &self,
        target: RequestTarget<'_>,
        attempt: RemoteResult<Attempt<T>>,
    ) -> RemoteResult<T> {
        match attempt? {
            Attempt::Answered(Ok(value)) => Ok(value),
            Attempt::Answered(Err(error)) => Err(self.failed(&error, target)),
            Attempt::Interrupted => Err(Error::Interrupted.into()),
            Attempt::TimeUp => {
                self.check()?;
                Err(self.switch_off(RemoteError::Outage {
                    place: self.place.clone(),
                    reason: "no answer in time".to_owned(),
                }))
            }
        }
    }

    fn failed(&self, error: &object_store::Error, target: RequestTarget<'_>) -> RemoteError {
        let error = classify(error, target);
        log::debug!("{} {}: {error}", target.action, target.object);
        match error {
            outage @ RemoteError::Outage { .. } => self.switch_off(outage),
            other => other,
        }
    }

    fn switch_off(&self, error: RemoteError) -> RemoteError {
        self.is_off.store(true, Ordering::Relaxed);
        error
    }

    /// Fails if no request may be sent any more.
    fn check(&self) -> RemoteResult<()> {
        let place = || self.place.clone();
        if self.is_off() {
            return Err(RemoteError::Off { place: place() });
        }
        match self.timeout {
            Some(limit) if self.clock.elapsed() >= limit => Err(RemoteError::TimeUp {
                place: place(),
                limit: human::elapsed(limit),
            }),
            _ => Ok(()),
        }
    }

    /// `limit`, or what is left of the timeout if that is less.
    pub(crate) fn remaining(&self, limit: Duration) -> Duration {
        self.timeout.map_or(limit, |timeout| {
            limit.min(timeout.saturating_sub(self.clock.elapsed()))
        })
    }
}

impl PendingRange<'_> {
    /// Waits for the bytes.
    pub(crate) fn wait(self, monitor: &dyn Monitor) -> RemoteResult<bytes::Bytes> {
        let Self {
            client,
            name,
            request,
        } = self;
        let attempt = client.network.wait(request, monitor)?;
        let bytes = client.finish(client.target("read", &name), Ok(attempt))?;
        client
            .received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Whether this program could have chosen a name. Others may put anything into the bucket, and names
/// stand in messages.
fn is_own_name(name: &str) -> bool {
    let is_own = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=' | b'@' | b'/')
    };
    name.bytes().all(is_own)
}

fn download_limit(bytes: u64) -> Duration {
    transfer_limit(bytes.saturating_mul(RANGES_AT_ONCE as u64))
}

fn transfer_limit(bytes: u64) -> Duration {
    TRANSFER_LIMIT + Duration::from_secs(bytes / LOWEST_RATE)
}
