//! The blocking interface of the engine.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

use super::client::Client;
use super::find_job_container;
use super::helper::{self, HelperSpec};
use super::job_container;
use super::job_spec::JobSpec;
use super::own_container;
use super::query::EngineQuery;
use super::session::{Session, SessionResult};
use crate::site::facts::EngineReport;
use crate::site::problem::Problem;

/// The engine on one socket.
pub(crate) struct Engine {
    runtime: Runtime,
    socket: PathBuf,
    timeout: Duration,
}

impl Engine {
    /// Nothing is sent yet. `timeout` limits each simple call.
    pub(crate) fn new(socket: &Path, timeout: Duration) -> Result<Self, Problem> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Problem::io("start the runtime for", socket, &error))?;
        Ok(Self {
            runtime,
            socket: socket.to_owned(),
            timeout,
        })
    }

    async fn connect(&self) -> Result<Client, Problem> {
        Client::connect(&self.socket, self.timeout).await
    }

    /// Finds this process's container and the job's.
    pub(crate) fn query(&self, query: &EngineQuery) -> Result<EngineReport, Problem> {
        self.runtime.block_on(async {
            let client = self.connect().await?;
            let own_container = match &query.hints {
                Some(hints) => own_container::identify(&client, hints).await?,
                None => None,
            };
            let job_container =
                find_job_container::find(&client, own_container.as_ref(), query).await?;
            Ok(EngineReport {
                api_version: Some(client.engine_version),
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
        self.run(session, async |client, session| {
            helper::run(client, spec, session).await
        })
    }

    /// Starts a helper on the host that goes on when this process ends.
    pub(crate) fn start_detached(
        &self,
        spec: &HelperSpec,
        session: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.run(session, async |client, session| {
            helper::start_detached(client, spec, session).await
        })
    }

    /// Runs the program in the job's container until it ends.
    pub(crate) fn run_in_job_container(
        &self,
        spec: &JobSpec,
        session: Session<'_>,
    ) -> Result<SessionResult, Problem> {
        self.run(session, async |client, session| {
            job_container::run(client, spec, session).await
        })
    }

    fn run<'s>(
        &self,
        mut session: Session<'s>,
        work: impl AsyncFnOnce(&Client, Session<'s>) -> Result<SessionResult, Problem>,
    ) -> Result<SessionResult, Problem> {
        self.runtime.block_on(async {
            let client = session.or_cancelled(self.connect()).await?;
            work(&client, session).await
        })
    }
}
