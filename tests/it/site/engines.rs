//! What real engines say about a container.
//!
//! The replies of Docker 20.10 and Podman 4.3 are recorded, without network settings and with the
//! paths of a usual installation. The others are that of 20.10, changed as the API's change log says:
//! for Docker 24 without a field (1.42), for 28 and 29 (1.48 and 1.52) with the image store of
//! containerd and a data directory that was moved.

use local_cache::site::facts::{Container, EngineReport, JobContainer};
use std::path::{Path, PathBuf};

use super::engine::{Engine, ask, response};

const DOCKER_20: &str = include_str!("replies/docker-20.10.json");
const DOCKER_24: &str = include_str!("replies/docker-24.json");
const DOCKER_28: &str = include_str!("replies/docker-28-containerd.json");
const DOCKER_29: &str = include_str!("replies/docker-29.json");
const PODMAN_4: &str = include_str!("replies/podman-4.3.json");

/// The container that the engine describes.
fn container(api: &'static str, reply: &'static str) -> Container {
    let engine = Engine::with_version(api, move |_| Some(response("200 OK", reply)));
    match ask(&engine.socket()).engine {
        Some(Ok(EngineReport {
            job_container: JobContainer::Found(found),
            ..
        })) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_understood_whatever_engine_describes_it() {
    for (name, api, reply, has_upper, data) in [
        ("Docker 20.10", "1.41", DOCKER_20, true, "/var/lib/docker/"),
        ("Docker 24", "1.43", DOCKER_24, true, "/var/lib/docker/"),
        ("Docker 28", "1.51", DOCKER_28, false, "/data/docker/"),
        ("Docker 29", "1.52", DOCKER_29, false, "/data/docker/"),
        ("Podman 4.3", "1.41", PODMAN_4, true, "/run/containers/"),
    ] {
        let found = container(api, reply);
        assert_eq!(found.id.len(), 64, "{name}");
        assert!(found.image.starts_with("sha256:"), "{name}");
        assert!(found.image_name.ends_with(":0123456789abcdef"), "{name}");
        assert!(found.running, "{name}");
        assert_eq!(found.network_mode, "none", "{name}");
        assert_eq!(
            found.labels,
            [("abcdef".to_owned(), String::new())],
            "{name}"
        );
        let stage = "GITHUB_STATE=/github/file_commands/save_state_";
        assert!(
            found.env.iter().any(|line| line.starts_with(stage)),
            "{name}"
        );
        assert_eq!(
            found.mounts.to_host(Path::new("/github/workspace/x")),
            Some(PathBuf::from("/home/runner/_work/repo/repo/x")),
            "{name}"
        );
        assert_eq!(found.upper_dir.is_some(), has_upper, "{name}");
        assert!(
            found.engine_files.iter().any(|path| path.starts_with(data)),
            "{name}: {:?}",
            found.engine_files
        );
    }
}
