//! The parts of the engine's replies that are used. Unknown fields are ignored and missing ones
//! have defaults, because engines of different ages, and Podman, have different ones.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::site::facts::Container;
use crate::site::paths::{Mount, MountMap};

/// `null` as the default: Go writes it for empty lists and maps.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A container in `GET /containers/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Listed {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) id: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Exec {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) id: String,
    pub(super) running: Option<bool>,
    pub(super) exit_code: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Waited {
    pub(super) status_code: Option<i64>,
}

/// `GET /containers/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Inspected {
    #[serde(deserialize_with = "null_as_default")]
    id: String,
    #[serde(deserialize_with = "null_as_default")]
    image: String,
    #[serde(deserialize_with = "null_as_default")]
    config: Config,
    #[serde(deserialize_with = "null_as_default")]
    graph_driver: GraphDriver,
    #[serde(deserialize_with = "null_as_default")]
    host_config: HostConfig,
    #[serde(deserialize_with = "null_as_default")]
    mounts: Vec<MountPoint>,
    #[serde(deserialize_with = "null_as_default")]
    state: ContainerState,
    #[serde(deserialize_with = "null_as_default")]
    hostname_path: String,
    #[serde(deserialize_with = "null_as_default")]
    resolv_conf_path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(deserialize_with = "null_as_default")]
    image: String,
    #[serde(deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    env: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct GraphDriver {
    #[serde(deserialize_with = "null_as_default")]
    data: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    #[serde(deserialize_with = "null_as_default")]
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ContainerState {
    #[serde(deserialize_with = "null_as_default")]
    running: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct MountPoint {
    source: Option<PathBuf>,
    destination: Option<PathBuf>,
    #[serde(rename = "RW")]
    writable: Option<bool>,
}

impl From<Inspected> for Container {
    fn from(found: Inspected) -> Self {
        let upper_dir = found.graph_driver.data.get("UpperDir").map(PathBuf::from);
        let own_files = [found.hostname_path, found.resolv_conf_path].map(PathBuf::from);
        Self {
            id: found.id,
            image: found.image,
            image_name: found.config.image,
            // Sorted, so that the same container gives the same labels each time.
            labels: found.config.labels.into_iter().collect(),
            mounts: MountMap::new(found.mounts.into_iter().filter_map(to_mount)),
            network_mode: found.host_config.network_mode,
            running: found.state.running,
            env: found.config.env,
            engine_files: own_files
                .into_iter()
                .chain(upper_dir.clone())
                .filter(|path| path.is_absolute())
                .collect(),
            upper_dir,
        }
    }
}

fn to_mount(found: MountPoint) -> Option<Mount> {
    Some(Mount {
        source: found.source?,
        destination: found.destination?,
        writable: found.writable.unwrap_or(true),
    })
}
