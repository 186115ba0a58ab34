//! Finding the container this process runs in.
//!
//! Every file that names an id can name another container's: a shared network namespace borrows
//! `/etc/hostname` and its mount, a private cgroup namespace hides the cgroup, `--hostname`
//! replaces the name. So an id is believed only when the container it names is shown to be this
//! one: by the writable layer of the root file system, by the path of a file that the runner named
//! for this stage alone, or by a file that is made here and looked for there.

use bollard::errors::Error as DockerError;
use bollard::query_parameters::{ContainerArchiveInfoOptionsBuilder, ListContainersOptionsBuilder};
use tempfile::NamedTempFile;

use super::{Client, ContainerHints};
use crate::site::facts::Container;
use crate::site::problem::Problem;

/// More containers than this are not tried one by one.
const MAX_TRIED: i32 = 64;

/// This process's container; nothing when the engine has none that is this one.
pub(super) async fn identify(
    client: &Client,
    clues: &ContainerHints,
) -> Result<Option<Container>, Problem> {
    let mut unsure = Vec::new();
    for id in &clues.candidates {
        if let Some(own) = check_candidate(client, id, clues, &mut unsure).await? {
            return Ok(Some(own));
        }
    }
    // Those that are not running, too: for some milliseconds the engine lists a container that it
    // just started as created.
    let newest = ListContainersOptionsBuilder::default()
        .all(true)
        .limit(MAX_TRIED)
        .build();
    let listed = client
        .call(
            "list containers",
            client.docker.list_containers(Some(newest)),
        )
        .await?;
    for id in listed.into_iter().filter_map(|summary| summary.id) {
        if clues
            .candidates
            .iter()
            .any(|candidate| id.starts_with(candidate.as_str()))
        {
            continue;
        }
        if let Some(own) = check_candidate(client, &id, clues, &mut unsure).await? {
            return Ok(Some(own));
        }
    }
    find_by_file(client, unsure).await
}

/// A container, if it is surely this process's; one that may be is put to those to look at again.
async fn check_candidate(
    client: &Client,
    id: &str,
    clues: &ContainerHints,
    unsure: &mut Vec<Container>,
) -> Result<Option<Container>, Problem> {
    let Some(found) = client.inspect(id).await? else {
        return Ok(None);
    };
    match compare(&found, clues) {
        Match::Same => return Ok(Some(found)),
        Match::Unknown => unsure.push(found),
        Match::Other => {}
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Same,
    Other,
    Unknown,
}

/// Compares without asking anything more.
fn compare(found: &Container, clues: &ContainerHints) -> Match {
    if let (Some(here), Some(there)) = (&clues.upper_dir, &found.upper_dir) {
        return if here == there {
            Match::Same
        } else {
            Match::Other
        };
    }
    let unique = clues
        .stage_files
        .iter()
        .filter(|entry| ends_with_guid(entry));
    if unique.into_iter().any(|entry| found.env.contains(entry)) {
        return Match::Same;
    }
    Match::Unknown
}

/// Whether a path is one that the runner made for one stage (`…/save_state_<GUID>`); nektos/act's
/// are always the same.
fn ends_with_guid(entry: &str) -> bool {
    let guid = entry.rsplit('_').next().unwrap_or_default();
    guid.len() == 36
        && guid.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Makes a file in this container's root and looks in which container it appears.
async fn find_by_file(
    client: &Client,
    unsure: Vec<Container>,
) -> Result<Option<Container>, Problem> {
    if unsure.is_empty() {
        return Ok(None);
    }
    let Ok(nonce) = NamedTempFile::with_prefix_in(".local-cache-", "/") else {
        return Ok(None);
    };
    let path = nonce.path().to_string_lossy().into_owned();
    for found in unsure {
        let options = ContainerArchiveInfoOptionsBuilder::default()
            .path(&path)
            .build();
        let answer = tokio::time::timeout(
            client.timeout,
            client
                .docker
                .get_container_archive_info(&found.id, Some(options)),
        );
        match answer.await {
            Ok(Ok(_)) => return Ok(Some(found)),
            Ok(Err(DockerError::DockerResponseServerError { .. })) => {}
            Ok(Err(error)) => {
                return Err(super::to_problem(
                    error,
                    &client.socket,
                    "look into a container",
                ));
            }
            Err(_) => {
                let (socket, after) = (client.socket.clone(), client.timeout);
                return Err(Problem::EngineHangs {
                    socket,
                    action: "look into a container",
                    after,
                });
            }
        }
    }
    Ok(None)
}

/// The containers on a network, running.
pub(super) async fn on_network(client: &Client, network: &str) -> Result<Vec<String>, Problem> {
    let filters =
        std::collections::HashMap::from([("network".to_owned(), vec![network.to_owned()])]);
    let options = ListContainersOptionsBuilder::default()
        .filters(&filters)
        .build();
    let listed = client
        .call(
            "list containers",
            client.docker.list_containers(Some(options)),
        )
        .await?;
    Ok(listed
        .into_iter()
        .filter_map(|summary| summary.id)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const STAGE: &str =
        "GITHUB_STATE=/github/file_commands/save_state_0f8fad5b-d9cb-469f-a165-70867728950e";

    fn found(upper: Option<&str>, env: &str) -> Container {
        Container {
            upper_dir: upper.map(PathBuf::from),
            env: vec![env.to_owned()],
            ..Container::default()
        }
    }

    #[test]
    fn the_writable_layer_decides_before_the_environment_does() {
        let stage_files = vec![STAGE.to_owned()];
        let clues = |upper: Option<&str>| ContainerHints {
            upper_dir: upper.map(PathBuf::from),
            stage_files: stage_files.clone(),
            ..ContainerHints::default()
        };
        for (here, there, env, expected) in [
            (Some("/a"), Some("/a"), "", Match::Same),
            (Some("/a"), Some("/b"), STAGE, Match::Other),
            (None, Some("/b"), STAGE, Match::Same),
            (Some("/a"), None, STAGE, Match::Same),
            (Some("/a"), None, "GITHUB_STATE=/x", Match::Unknown),
        ] {
            assert_eq!(
                compare(&found(there, env), &clues(here)),
                expected,
                "{here:?} {there:?} {env}"
            );
        }
    }

    #[test]
    fn a_path_that_every_stage_has_proves_nothing() {
        let act = "GITHUB_STATE=/var/run/act/workflow/statecmd.txt";
        let clues = ContainerHints {
            stage_files: vec![act.to_owned()],
            ..ContainerHints::default()
        };
        assert_eq!(compare(&found(None, act), &clues), Match::Unknown);
        assert!(ends_with_guid(STAGE));
    }
}
