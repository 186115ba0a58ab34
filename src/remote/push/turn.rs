//! One push at a time for each group of a remote and each store.
//!
//! Jobs of one machine often save the same contents at the same time. A push does not see what
//! another one has not written yet, so both would upload everything. The second one waits instead,
//! and then finds the contents, or the entry, on the remote. Pushes of other machines are not waited
//! for.

use std::time::Duration;

use crate::digest::Digest;
use crate::fs::wait_for_lock;
use crate::monitor::Monitor;
use crate::remote::client::RemoteClient;
use crate::remote::error::RemoteResult;
use crate::remote::name::GroupName;
use crate::store::Store;
use crate::store::lock::{PushLock, SharedLock};

/// The right to push to a group. Without the lock, because it cannot be had, a push may upload what
/// another one uploads, too.
pub(super) struct PushTurn {
    _lock: Option<PushLock>,
}

/// Where a push goes.
#[derive(Clone, Copy)]
pub(super) struct PushPlace<'a> {
    pub(super) client: &'a RemoteClient,
    pub(super) store: &'a Store,
    pub(super) group: &'a GroupName,
    pub(super) monitor: &'a dyn Monitor,
}

impl PushTurn {
    /// Waits for other pushes of the store to the group, at most `limit` and as long as the remote
    /// may be used. None if that was not long enough.
    pub(super) fn wait(
        place: PushPlace<'_>,
        limit: Duration,
        shared: &SharedLock,
    ) -> RemoteResult<Option<Self>> {
        let PushPlace {
            client,
            store,
            group,
            monitor,
        } = place;
        let name = Digest::of(format!("{}\n{group}", client.identity()).as_bytes());
        let try_lock = || match store.try_lock_push(shared, &name) {
            Ok(taken) => Ok(taken.map(Some)),
            Err(error) => {
                log::debug!("pushes at the same time are not told apart: {error}");
                Ok(Some(None))
            }
        };
        let lock = wait_for_lock(client.remaining(limit), monitor, try_lock)?;
        Ok(lock.map(|lock| Self { _lock: lock }))
    }
}
