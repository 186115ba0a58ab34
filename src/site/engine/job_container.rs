//! Running the program in the job's container.
//!
//! The program is copied to a directory that both containers share (the runner's temporary
//! directory), so this works with a read-only root filesystem too. If no directory is shared, the
//! program is unpacked into the root of the job's container. It runs as that container's user with
//! that container's environment, as the runner's own steps do (`docker exec` without `-u`).
//!
//! The engine can't signal or end such a process. The process ends when its standard input is
//! closed.

use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

use super::attached_stream::{AttachedStream, WorkerHandle};
use super::client::Client;
use super::http::Call;
use super::inject::{copy_to_shared_dir, unpack};
use super::job_spec::JobSpec;
use super::replies::Exec;
use super::session::{Session, SessionResult};
use crate::site::problem::Problem;
use crate::site::worker::process::ARGUMENT;

/// The limit for starting the program on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The stream can end shortly before the engine knows the exit code, so it is asked several times.
const EXIT_TRIES: u32 = 10;
const EXIT_PAUSE: Duration = Duration::from_millis(30);
/// The exit codes of an engine that could not start a program.
const NOT_STARTED: [i64; 2] = [126, 127];

/// Puts the program into the container and runs it there until it ends.
pub(super) async fn run(
    client: &Client,
    spec: &JobSpec,
    mut session: Session<'_>,
) -> Result<SessionResult, Problem> {
    let shared_dir_failure = match copy_to_shared_dir(spec) {
        None => "no directory is shared with it".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(copy)) => {
            let program = &copy.path_in_job;
            let result = execute(client, &spec.id, program, session.reborrow()).await?;
            if !was_not_started(&result) {
                return Ok(result);
            }
            // The directory may be mounted with `noexec`.
            result
                .last_line
                .unwrap_or_else(|| format!("{} cannot be started", program.display()))
        }
    };
    match session.or_cancelled(unpack(client, spec)).await {
        Ok(program) => execute(client, &spec.id, &program, session).await,
        Err(Problem::EngineRefused { message, .. }) => Err(Problem::Injection(format!(
            "{shared_dir_failure}; {message}"
        ))),
        Err(problem) => Err(problem),
    }
}

fn was_not_started(result: &SessionResult) -> bool {
    result.reply.is_none()
        && result
            .exit_code
            .is_some_and(|code| NOT_STARTED.contains(&code))
}

/// Runs a program of the container.
async fn execute(
    client: &Client,
    id: &str,
    program: &Path,
    mut session: Session<'_>,
) -> Result<SessionResult, Problem> {
    // When this is cancelled although the engine has started the process, the connection closes,
    // and with it the input of the process.
    let (exec, stream) = session.or_cancelled(start(client, id, program)).await?;
    let mut result = stream.run_session(session, WorkerHandle::Process).await;
    if result.reply.is_none() && !result.stuck {
        result.exit_code = exit_code(client, &exec).await;
    }
    Ok(result)
}

/// Starts a program; returns the id of its exec instance and its streams.
async fn start(
    client: &Client,
    id: &str,
    program: &Path,
) -> Result<(String, AttachedStream), Problem> {
    const RUN: &str = "run the program in the job's container";
    let create = Call::new(Method::POST, &format!("/containers/{id}/exec"));
    let create = create.json(&exec_body(program));
    let created = client.call_within(START_LIMIT, RUN, create).await?;
    let exec = client.parse::<Exec>(RUN, &created)?.id;
    let start = Call::new(Method::POST, &format!("/exec/{exec}/start"))
        .json(&json!({ "Detach": false, "Tty": false }));
    let streams = client
        .attach_within(
            START_LIMIT,
            "start the program in the job's container",
            start,
        )
        .await?;
    Ok((exec, AttachedStream::new(streams)))
}

/// Without a user and an environment: the engine takes those of the container.
fn exec_body(program: &Path) -> Value {
    json!({
        "AttachStdin": true,
        "AttachStdout": true,
        "AttachStderr": true,
        "Cmd": [program.to_string_lossy(), ARGUMENT],
    })
}

async fn exit_code(client: &Client, exec: &str) -> Option<i64> {
    for _ in 0..EXIT_TRIES {
        let inspect = Call::new(Method::GET, &format!("/exec/{exec}/json"));
        let reply = client.call("tell an exit code", inspect).await.ok()?;
        let state: Exec = reply.parse().ok()?;
        if state.running == Some(false) {
            return state.exit_code;
        }
        tokio::time::sleep(EXIT_PAUSE).await;
    }
    None
}
