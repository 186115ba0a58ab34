//! A bucket in memory.

use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::remote::client::RemoteClient;
use crate::remote::config::RemoteConfig;
use crate::remote::connect::Connections;
use crate::remote::server_clock::ServerClock;

/// A bucket that several clients, as of several machines, can share.
#[derive(Clone)]
pub(super) struct MemoryBucket(Arc<InMemory>);

/// The client of a bucket.
pub(super) fn client_of(store: &Arc<dyn ObjectStore>, config: &RemoteConfig) -> RemoteClient {
    let connections = Connections {
        small: Arc::clone(store),
        downloads: Arc::clone(store),
        uploads: Arc::clone(store),
        clock: ServerClock::default(),
    };
    RemoteClient::with_connections(connections, config).unwrap()
}

impl MemoryBucket {
    pub(super) fn new() -> Self {
        Self(Arc::new(InMemory::new()))
    }

    pub(super) fn client(&self) -> RemoteClient {
        self.client_with("")
    }

    /// A client with options of the remote's URL.
    pub(super) fn client_with(&self, options: &str) -> RemoteClient {
        let config = RemoteConfig::parse(&format!("s3://memory/ci?{options}")).unwrap();
        client_of(&(Arc::clone(&self.0) as Arc<dyn ObjectStore>), &config)
    }

    pub(super) fn names(&self, part: &str) -> Vec<String> {
        let listed = wait(self.0.list(None).collect::<Vec<_>>());
        let mut names: Vec<String> = listed
            .into_iter()
            .map(|meta| meta.unwrap().location.to_string())
            .filter(|name| name.contains(part))
            .collect();
        names.sort();
        names
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        let path = ObjectPath::from(name);
        let read = async { self.0.get(&path).await.unwrap().bytes().await.unwrap() };
        wait(read).to_vec()
    }

    pub(super) fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        let path = ObjectPath::from(name);
        wait(self.0.put(&path, bytes.into())).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        wait(self.0.delete(&ObjectPath::from(name))).unwrap();
    }
}

fn wait<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(run)
}
