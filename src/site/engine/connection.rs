//! The blocking interface of the engine.

use bollard::Docker;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

use super::client::{Client, to_problem};
use super::find_job_container;
use super::helper::{self, HelperSpec};
use super::job_container;
use super::job_spec::JobSpec;
use super::own_container;
use super::query::EngineQuery;
use super::session::{Session, SessionResult};
use crate::site::facts::EngineReport;
use crate::site::problem::Problem;

/// A connection to the engine on one socket.
pub(crate) struct Engine {
    runtime: Runtime,
    client: Client,
}

impl Engine {
    /// Prepares a connection; nothing is sent yet. `timeout` limits each simple call.
    pub(crate) fn connect(socket: &Path, timeout: Duration) -> Result<Self, Problem> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Problem::io("start the runtime for", socket, &error))?;
        // The client's own limit, in whole seconds, is only a backstop behind `Client::call`.
        let backstop = timeout.as_secs().saturating_add(60);
        let name = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&name, backstop, bollard::API_DEFAULT_VERSION)
            .map_err(|error| to_problem(error, socket, "connect"))?;
        Ok(Self {
            runtime,
            client: Client {
                docker,
                socket: socket.to_owned(),
                timeout,
            },
        })
    }

    /// Finds this process's container and the job's.
    pub(crate) fn query(&self, query: &EngineQuery) -> Result<EngineReport, Problem> {
        self.runtime.block_on(async {
            let client = &self.client;
            let version = client.call("tell its version", client.docker.version());
            let own = async {
                match &query.hints {
                    Some(hints) => own_container::identify(client, hints).await,
                    None => Ok(None),
                }
            };
            let (version, own_container) = tokio::try_join!(version, own)?;
            let job_container =
                find_job_container::find(client, own_container.as_ref(), query).await?;
            Ok(EngineReport {
                api_version: version.api_version,
                own_container,
                job_container,
            })
        })
    }

    /// Runs a helper on the host until it ends.
    pub(crate) fn run_helper(
        &self,
        spec: &HelperSpec,
        session: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.runtime
            .block_on(helper::run(&self.client, spec, session))
    }

    /// Runs the program in the job's container until it ends.
    pub(crate) fn run_in_job_container(
        &self,
        spec: &JobSpec,
        session: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.runtime
            .block_on(job_container::run(&self.client, spec, session))
    }
}
