//! Requests to the bucket, each with a time limit: the only file that calls `object_store`.
//!
//! # Time
//!
//! The remote must never hang a job. `object_store` alone retries for up to three minutes against a
//! server that accepts connections and says nothing. So there are three clients with limits of
//! their own, and every request has a limit around all its attempts:
//!
//! - small requests (lists, records, deletions): [`SMALL_LIMIT`] in all
//! - downloads: no bytes for a few seconds, or slower than [`LOWEST_RATE`]
//! - uploads: slower than [`LOWEST_RATE`]; a limit on silence would count the time of the body
//!
//! The first request that fails like an outage, after its retries, switches the client off: what
//! follows fails at once. So a server that is dead, hangs or refuses costs a job one such limit.
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

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStoreExt as _, PutPayload};
use tokio::runtime::Runtime;

use super::config::RemoteConfig;
use super::connect::{Connections, connect};
use super::error::{RemoteError, RemoteResult, RequestTarget, classify};
use super::name::TOP;
use super::pacer::Pacer;
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

/// How often a wait looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

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
    runtime: Runtime,
    connections: Connections,
    /// The directory of the format in the bucket.
    top: String,
    place: String,
    bucket: String,
    /// When the remote may no longer be used, and the timeout that says so.
    deadline: Option<(Instant, Duration)>,
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
    task: tokio::task::JoinHandle<Attempt<bytes::Bytes>>,
}

/// The outcome of a request: none if its time was up.
type Attempt<T> = Option<object_store::Result<T>>;

impl RemoteClient {
    /// Sends nothing yet. With `with_timeout`, the client works only for as long as the configured
    /// timeout.
    pub(crate) fn new(config: &RemoteConfig, env: &Env, with_timeout: bool) -> Result<Self> {
        let mut client = Self::with_connections(connect(config, env)?, config)?;
        client.deadline = with_timeout.then(|| (Instant::now() + config.timeout, config.timeout));
        Ok(client)
    }

    fn with_connections(connections: Connections, config: &RemoteConfig) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("remote")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::invalid(format!("cannot start a thread for the remote: {error}"))
            })?;
        Ok(Self {
            runtime,
            connections,
            top: match &*config.prefix {
                "" => TOP.to_owned(),
                prefix => format!("{prefix}/{TOP}"),
            },
            place: config.place(),
            bucket: config.bucket.clone(),
            deadline: None,
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

    /// Whether a request failed like an outage, so that none is sent any more.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            requests: value(&self.requests),
            sent_bytes: value(&self.sent),
            received_bytes: value(&self.received),
        }
    }

    /// The objects below a directory, by name.
    pub(crate) fn list(&self, directory: &str) -> RemoteResult<Vec<ListedObject>> {
        let target = self.target("list", directory);
        let path = self.path(directory.trim_end_matches('/'));
        let found: Vec<ObjectMeta> = self.finish(
            target,
            self.limited(
                SMALL_LIMIT,
                self.connections.small.list(Some(&path)).try_collect(),
            ),
        )?;
        let mut objects: Vec<ListedObject> =
            found.iter().filter_map(|meta| self.listed(meta)).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    /// All objects of the format, whatever time that takes.
    pub(crate) fn list_all(&self) -> RemoteResult<Vec<ListedObject>> {
        let path = ObjectPath::from(self.top.clone());
        let mut pages = self.connections.small.list(Some(&path)).chunks(1000);
        let mut objects = Vec::new();
        loop {
            // Each page of the server's answer has the limit of a small request.
            let next = self.limited(SMALL_LIMIT, async { Ok(pages.next().await) });
            let Some(page) = self.finish(self.target("list", &self.top), next)? else {
                return Ok(objects);
            };
            for meta in page {
                let meta =
                    meta.map_err(|error| self.failed(&error, self.target("list", &self.top)))?;
                objects.extend(self.listed(&meta));
            }
        }
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

    /// A small object, of at most `most` bytes.
    pub(crate) fn get(&self, name: &str, most: u64) -> RemoteResult<Vec<u8>> {
        let (path, store) = (self.path(name), Arc::clone(&self.connections.small));
        let read = self.limited(SMALL_LIMIT, async {
            let found = store.get(&path).await?;
            if found.meta.size > most {
                return Ok(None);
            }
            found.bytes().await.map(Some)
        });
        let bytes = self.finish(self.target("read", name), read)?;
        let bytes = bytes.ok_or_else(|| RemoteError::damaged(name, "it is too large"))?;
        self.received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.into())
    }

    /// Starts to read a range of an object.
    pub(crate) fn start_range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> RemoteResult<PendingRange<'_>> {
        self.check()?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (path, store) = (self.path(name), Arc::clone(&self.connections.downloads));
        let limit = self.remaining(transfer_limit(range.end - range.start));
        let task = self.runtime.spawn(async move {
            let read = store.get_range(&path, range);
            tokio::time::timeout(limit, read).await.ok()
        });
        Ok(PendingRange {
            client: self,
            name: name.to_owned(),
            task,
        })
    }

    /// Writes an object. The names of data are unique, so nothing is ever replaced.
    pub(crate) fn put(
        &self,
        name: &str,
        bytes: Vec<u8>,
        monitor: &dyn Monitor,
    ) -> RemoteResult<()> {
        let length = bytes.len() as u64;
        self.wait_for_turn(length, monitor)?;
        let (path, payload) = (self.path(name), PutPayload::from(bytes));
        let write = self.connections.uploads.put(&path, payload);
        let write = self.limited(transfer_limit(length), async {
            // A slow network can take a minute for it.
            tokio::select! {
                result = write => result.map(Some),
                () = interruption(monitor) => Ok(None),
            }
        });
        let written = self.finish(self.target("write", name), write)?;
        written.ok_or(Error::Interrupted)?;
        self.sent.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until `bytes` may be sent without exceeding the bandwidth.
    fn wait_for_turn(&self, bytes: u64, monitor: &dyn Monitor) -> RemoteResult<()> {
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
    pub(crate) fn delete(&self, names: &[String]) -> RemoteResult<()> {
        for names in names.chunks(1000) {
            let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
            let deletions = self
                .connections
                .small
                .delete_stream(stream::iter(paths).boxed());
            let delete = self.limited(transfer_limit(0), async {
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

    /// Runs a request. None if it takes longer than `limit`.
    fn limited<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> RemoteResult<Attempt<T>> {
        self.check()?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let limit = self.remaining(limit);
        let run = async { tokio::time::timeout(limit, request).await.ok() };
        Ok(self.runtime.block_on(run))
    }

    fn finish<T>(
        &self,
        target: RequestTarget<'_>,
        attempt: RemoteResult<Attempt<T>>,
    ) -> RemoteResult<T> {
        match attempt? {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.failed(&error, target)),
            None => {
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
        match self.deadline {
            Some((deadline, limit)) if Instant::now() >= deadline => Err(RemoteError::TimeUp {
                place: place(),
                limit: human::elapsed(limit),
            }),
            _ => Ok(()),
        }
    }

    /// `limit`, or what is left of the timeout if that is less.
    pub(crate) fn remaining(&self, limit: Duration) -> Duration {
        self.deadline.map_or(limit, |(deadline, _)| {
            limit.min(deadline.saturating_duration_since(Instant::now()))
        })
    }
}

impl PendingRange<'_> {
    /// Waits for the bytes.
    pub(crate) fn wait(self) -> RemoteResult<bytes::Bytes> {
        let Self { client, name, task } = self;
        let attempt = client
            .runtime
            .block_on(task)
            .map_err(|error| RemoteError::Local(Error::defect(error)));
        let bytes = client.finish(client.target("read", &name), attempt)?;
        client
            .received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Ends when the operation should stop.
async fn interruption(monitor: &dyn Monitor) {
    while !monitor.is_interrupted() {
        tokio::time::sleep(POLL).await;
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

fn transfer_limit(bytes: u64) -> Duration {
    TRANSFER_LIMIT + Duration::from_secs(bytes / LOWEST_RATE)
}

#[cfg(test)]
pub(super) mod memory {
    use object_store::ObjectStore;
    use object_store::memory::InMemory;

    use super::*;

    /// A bucket in memory that several clients, as of several machines, can share.
    #[derive(Clone)]
    pub(in crate::remote) struct MemoryBucket(pub(in crate::remote) Arc<InMemory>);

    impl MemoryBucket {
        pub(in crate::remote) fn new() -> Self {
            Self(Arc::new(InMemory::new()))
        }

        pub(in crate::remote) fn client(&self) -> RemoteClient {
            let store = || Arc::clone(&self.0) as Arc<dyn ObjectStore>;
            let config = RemoteConfig::parse("s3://memory/ci").unwrap();
            let connections = Connections {
                small: store(),
                downloads: store(),
                uploads: store(),
            };
            RemoteClient::with_connections(connections, &config).unwrap()
        }
    }
}
