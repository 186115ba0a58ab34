//! What every helper container has in common.

use std::path::{Path, PathBuf};

use super::facts::Container;
use super::proc::{self, MountInfo};

/// Where a helper sees the host's root directory.
pub(crate) const HOST_ROOT: &str = "/host";

/// Host directories that a helper can't see: processes, devices, sockets, and where engines keep
/// the files of other containers by default.
const HIDDEN_DIRS: [&str; 7] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
];

/// The oldest engine API that supports every option of a helper. `MaskedPaths` came last, with
/// Docker 18.09.
pub(crate) const MIN_API_VERSION: &str = "1.38";

/// Where the engine's socket is mounted in this container.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// Paths of the host that a helper of this container must not see: the same directories on every
/// host, the engine's data if it was moved elsewhere, and the engine's socket.
pub(crate) fn hidden_paths(own: &Container, mounts: &[MountInfo]) -> Vec<PathBuf> {
    let engine_files = own.engine_files.iter().cloned();
    let data_roots = engine_files
        .chain(proc::upper_dir(mounts))
        .filter_map(|path| engine_root(&path));
    let sockets = own.mounts.mounts().iter().filter_map(|mount| {
        let is_socket = SOCKETS
            .iter()
            .any(|path| mount.destination == Path::new(path));
        is_socket.then(|| without_var(&mount.source))
    });
    let mut hidden: Vec<PathBuf> = HIDDEN_DIRS.iter().map(PathBuf::from).collect();
    for path in data_roots.chain(sockets) {
        if !hidden.iter().any(|dir| path.starts_with(dir)) {
            hidden.push(path);
        }
    }
    hidden
}

/// `/var/run` is a symlink to `/run`.
fn without_var(path: &Path) -> PathBuf {
    match path.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => path.to_owned(),
    }
}

/// The directory of an engine's data, from the path of a container's file in it: what is above the
/// first directory with one of the names that engines use.
fn engine_root(path: &Path) -> Option<PathBuf> {
    const INNER: [&str; 7] = [
        "containers",
        "overlay-containers",
        "overlay",
        "overlay2",
        "overlayfs",
        "fuse-overlayfs",
        "io.containerd.snapshotter.v1.overlayfs",
    ];
    let root = path.ancestors().skip(1).find(|above| {
        let is_inner = |name| above.file_name().is_some_and(|found| found == name);
        // `/var/lib/containers` is the root of Podman's data itself.
        INNER.into_iter().any(is_inner) && *above != Path::new("/var/lib/containers")
    })?;
    let root = root.parent()?;
    (root != Path::new("/")).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::paths::{Mount, MountMap};

    #[test]
    fn the_data_of_an_engine_is_found_wherever_it_is() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (path, root) in [
            (
                format!("/var/lib/docker/containers/{id}/hostname"),
                "/var/lib/docker",
            ),
            (
                format!("/data/engine/containers/{id}/resolv.conf"),
                "/data/engine",
            ),
            ("/data/engine/overlay2/ab12/diff".to_owned(), "/data/engine"),
            (
                "/big/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs".to_owned(),
                "/big/containerd",
            ),
            (
                "/var/lib/containers/storage/overlay/ab12/diff".to_owned(),
                "/var/lib/containers/storage",
            ),
            (
                format!("/run/containers/storage/overlay-containers/{id}/userdata/hostname"),
                "/run/containers/storage",
            ),
        ] {
            assert_eq!(
                engine_root(Path::new(&path)).unwrap(),
                Path::new(root),
                "{path}"
            );
        }
        for path in ["/containers/x/hostname", "/etc/hostname"] {
            assert_eq!(engine_root(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn a_moved_data_directory_and_a_socket_elsewhere_are_hidden_too() {
        let socket = |source: &str| Mount {
            source: PathBuf::from(source),
            destination: PathBuf::from("/var/run/docker.sock"),
            writable: true,
        };
        let own = |file: &str, socket_path: &str| Container {
            mounts: MountMap::new([socket(socket_path)]),
            engine_files: vec![PathBuf::from(file)],
            ..Container::default()
        };
        let usual = own(
            "/var/lib/docker/containers/x/hostname",
            "/var/run/docker.sock",
        );
        assert_eq!(hidden_paths(&usual, &[]).len(), HIDDEN_DIRS.len());
        let moved = own("/data/containers/x/hostname", "/home/u/docker.sock");
        let hidden = hidden_paths(&moved, &[]);
        assert_eq!(
            hidden[HIDDEN_DIRS.len()..],
            [PathBuf::from("/data"), PathBuf::from("/home/u/docker.sock")]
        );
    }
}
