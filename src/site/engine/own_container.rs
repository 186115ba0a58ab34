//! Finding the container this process runs in.
//!
//! Every file that contains an id can contain the id of another container: a shared network
//! namespace borrows `/etc/hostname` and its mount, a private cgroup namespace hides the cgroup,
//! and `--hostname` replaces the name. So an id is only a candidate. A candidate is accepted when
//! one of these shows that it is this container: the writable layer of the root filesystem, the
//! path of a file that the runner named for this stage only, or a file that is created here and
//! found there.

use hyper::Method;
use tempfile::NamedTempFile;

use super::client::Client;
use super::http::Call;
use super::query::ContainerHints;
use crate::site::facts::Container;
use crate::site::problem::Problem;
use crate::site::stage_files::ends_with_guid;

/// How many of the newest containers are checked.
const MAX_CHECKED: &str = "64";

/// This process's container; `None` if no container of this engine is shown to be it.
pub(super) async fn identify(
    client: &Client,
    hints: &ContainerHints,
) -> Result<Option<Container>, Problem> {
    let mut undecided = Vec::new();
    for id in &hints.candidates {
        if let Some(own) = check_candidate(client, id, hints, &mut undecided).await? {
            return Ok(Some(own));
        }
    }
    // Includes containers that are not running: for some milliseconds the engine lists a container
    // that it just started as created.
    let newest = [("all", "true"), ("limit", MAX_CHECKED)];
    for listed in client.list(&newest).await? {
        let id = listed.id;
        let was_checked = hints
            .candidates
            .iter()
            .any(|candidate| id.starts_with(candidate.as_str()));
        if was_checked {
            continue;
        }
        if let Some(own) = check_candidate(client, &id, hints, &mut undecided).await? {
            return Ok(Some(own));
        }
    }
    find_by_file(client, undecided).await
}

/// The container with this id, if it is certainly this process's. One that may be is added to
/// `undecided`.
async fn check_candidate(
    client: &Client,
    id: &str,
    hints: &ContainerHints,
    undecided: &mut Vec<Container>,
) -> Result<Option<Container>, Problem> {
    let Some(found) = client.inspect(id).await? else {
        return Ok(None);
    };
    match compare(&found, hints) {
        Match::Same => return Ok(Some(found)),
        Match::Unknown => undecided.push(found),
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

fn compare(found: &Container, hints: &ContainerHints) -> Match {
    if let (Some(own), Some(other)) = (&hints.upper_dir, &found.upper_dir) {
        return if own == other {
            Match::Same
        } else {
            Match::Other
        };
    }
    let is_shared = hints
        .stage_files
        .iter()
        .any(|entry| ends_with_guid(entry) && found.env.contains(entry));
    if is_shared {
        Match::Same
    } else {
        Match::Unknown
    }
}

/// Creates a file in this container's root and finds the container in which it appears.
async fn find_by_file(
    client: &Client,
    undecided: Vec<Container>,
) -> Result<Option<Container>, Problem> {
    if undecided.is_empty() {
        return Ok(None);
    }
    let Ok(file) = NamedTempFile::with_prefix_in(".local-cache-", "/") else {
        return Ok(None);
    };
    let path = file.path().to_string_lossy().into_owned();
    // Each has its own root filesystem, so only this process's container shows the file.
    for found in undecided {
        let target = format!("/containers/{}/archive", found.id);
        let lookup = Call::new(Method::HEAD, &target).query("path", &path);
        // Whatever status the engine answers with, the file was not found there.
        let info = client
            .call_optional("look into a container", lookup, |_| true)
            .await?;
        if info.is_some() {
            return Ok(Some(found));
        }
    }
    Ok(None)
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
    }
}
