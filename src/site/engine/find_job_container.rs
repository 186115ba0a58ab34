//! Finding the container that the steps of the job run in.

use std::path::Path;

use super::client::{Client, filters};
use super::query::EngineQuery;
use crate::site::facts::{Container, JobContainer};
use crate::site::problem::Problem;

/// The container that the workflow names, or the one whose network this container uses
/// (nektos/act), or the one on the job's network that has the runner's work directory at `/__w`.
pub(super) async fn find(
    client: &Client,
    own: Option<&Container>,
    query: &EngineQuery,
) -> Result<JobContainer, Problem> {
    if let Some(id) = &query.job_container {
        return find_by_id(client, id).await;
    }
    let Some(own) = own else {
        return Ok(JobContainer::None);
    };
    if let Some(id) = own.network_mode.strip_prefix("container:") {
        return find_by_id(client, id).await;
    }
    match &query.work_directory {
        Some(work_directory) if own.network_mode.starts_with("github_network_") => {
            find_on_network(client, &own.network_mode, work_directory).await
        }
        _ => Ok(JobContainer::None),
    }
}

async fn find_by_id(client: &Client, id: &str) -> Result<JobContainer, Problem> {
    Ok(match client.inspect(id).await? {
        Some(found) => JobContainer::Found(found),
        None => JobContainer::NotFound(id.to_owned()),
    })
}

async fn find_on_network(
    client: &Client,
    network: &str,
    work_directory: &Path,
) -> Result<JobContainer, Problem> {
    // Without `all`, the engine lists the containers that are running.
    let on_network = filters(&[("network", &[network])]);
    for listed in client.list(&[("filters", &on_network)]).await? {
        if let Some(found) = client.inspect(&listed.id).await?
            && has_work_directory(&found, work_directory)
        {
            return Ok(JobContainer::Found(found));
        }
    }
    Ok(JobContainer::None)
}

/// Whether the runner's work directory is mounted at `/__w`, which the runner does for job
/// containers only (actions/runner, `ContainerOperationProvider`).
fn has_work_directory(container: &Container, work_directory: &Path) -> bool {
    let mounts = container.mounts.mounts();
    mounts
        .iter()
        .any(|mount| mount.destination == Path::new("/__w") && mount.source == work_directory)
}
