//! What a machine may do on the remote, found out by a few small requests.

use std::time::{Duration, Instant};

use super::client::RemoteClient;
use super::config::{PushMode, RemoteConfig};
use super::error::{RemoteError, RemoteResult};
use super::name::{PushId, Trust, probe_object};
use super::signature::RecordKeys;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// How long all requests together may take.
const PROBE_LIMIT: Duration = Duration::from_secs(4);

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct RemoteProbe {
    /// Where the remote is, for messages.
    pub(crate) place: String,
    /// How long one small request took.
    pub(crate) latency: Option<Duration>,
    /// By how many seconds the server's clock is ahead of this machine's.
    pub(crate) clock_seconds_ahead: Option<i64>,
    /// Whether `push=never` says that nothing is written.
    pub(crate) is_read_only: bool,
    /// Requests that the server does not permit: `list`, `read`, `write`.
    pub(crate) refused: Vec<&'static str>,
    /// Whether what was written could not be deleted. Only garbage collection needs that.
    pub(crate) left_object: bool,
    /// Why machines with the same trusted keys would not use what this one pushes.
    pub(crate) useless_pushes: Option<&'static str>,
    /// Why the other requests were not sent.
    pub(crate) failure: Option<ProbeFailure>,
}

#[derive(Debug)]
pub(crate) enum ProbeFailure {
    /// The server refuses requests because of the clock.
    Clock,
    Other(Error),
}

/// Lists, and reads and writes an object of its own, which it deletes again. With `push=never`
/// nothing is written.
///
/// Errors: the settings do not even allow a connection.
pub(crate) fn probe(
    config: &RemoteConfig,
    env: &Env,
    trust: Trust,
    monitor: &dyn Monitor,
) -> Result<RemoteProbe> {
    let limited = RemoteConfig {
        timeout: PROBE_LIMIT,
        ..config.clone()
    };
    let client = RemoteClient::new(&limited, env, true)?;
    Ok(probe_with(&client, config.push, trust, monitor))
}

pub(super) fn probe_with(
    client: &RemoteClient,
    mode: PushMode,
    trust: Trust,
    monitor: &dyn Monitor,
) -> RemoteProbe {
    let _use = client.start_use();
    let mut running = RunningProbe {
        client,
        object: probe_object(trust, &PushId::random()),
        monitor,
        found: RemoteProbe {
            place: client.place().to_owned(),
            is_read_only: mode == PushMode::Never,
            useless_pushes: useless_pushes(&client.keys, mode),
            ..RemoteProbe::default()
        },
    };
    let failure = running.run().err();
    running.found.refused.sort_unstable();
    RemoteProbe {
        failure: failure.map(|error| match error {
            RemoteError::ClockSkew { .. } => ProbeFailure::Clock,
            // The limit is that of the probe, so no option changes it.
            RemoteError::TimeUp { place, .. } => {
                ProbeFailure::Other(Error::from(RemoteError::Outage {
                    place,
                    reason: "no answer in time".to_owned(),
                }))
            }
            other => ProbeFailure::Other(other.into()),
        }),
        clock_seconds_ahead: client.clock_seconds_ahead(),
        ..running.found
    }
}

fn useless_pushes(keys: &RecordKeys, mode: PushMode) -> Option<&'static str> {
    if mode == PushMode::Never {
        None
    } else if keys.refuses_unsigned() {
        Some("the option trust is set without sign")
    } else if keys.refuses_own() {
        Some("the file of the option trust lacks the public key of the option sign")
    } else {
        None
    }
}

struct RunningProbe<'a> {
    client: &'a RemoteClient,
    object: String,
    monitor: &'a dyn Monitor,
    found: RemoteProbe,
}

impl RunningProbe<'_> {
    fn run(&mut self) -> RemoteResult<()> {
        let listed = self.client.try_list(self.monitor);
        let may_list = self.is_permitted(listed)?;
        let may_write = !self.found.is_read_only && self.write()?;
        let start = Instant::now();
        let read = self.client.try_read(&self.object, self.monitor);
        self.found.latency = Some(start.elapsed());
        match read {
            Err(RemoteError::Missing { .. }) if may_write => {
                return Err(RemoteError::Outage {
                    place: self.found.place.clone(),
                    reason: "it does not have what was written to it".to_owned(),
                });
            }
            // It may be read, if only it existed.
            Err(RemoteError::Missing { .. }) => {}
            // Who may not list is not told that an object is missing.
            Err(RemoteError::Forbidden { .. }) if !may_list && !may_write => {}
            read => {
                self.is_permitted(read)?;
            }
        }
        if may_write {
            let names = std::slice::from_ref(&self.object);
            match self.client.delete(names, self.monitor) {
                Err(RemoteError::Forbidden { .. }) => self.found.left_object = true,
                deleted => deleted?,
            }
        }
        Ok(())
    }

    fn write(&mut self) -> RemoteResult<bool> {
        let bytes = b"written by local-cache doctor\n".to_vec();
        let written = self.client.put_now(&self.object, bytes, self.monitor);
        self.is_permitted(written)
    }

    fn is_permitted(&mut self, result: RemoteResult<()>) -> RemoteResult<bool> {
        match result {
            Ok(()) => Ok(true),
            Err(RemoteError::Forbidden { action, .. }) => {
                self.found.refused.push(action);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
