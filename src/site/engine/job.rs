//! The job's container: finding it, putting the program into it, and running it there.
//!
//! The program goes in through a directory that both containers share (the runner's temporary
//! directory), so it also works where the root file system is read-only. Only where nothing is
//! shared is it unpacked into the root. It runs as the container's user with the container's
//! environment, as the runner's own steps do (`docker exec` without `-u`).
//!
//! The engine can't signal or end such a process, so its input is its life line: it ends when that
//! closes.

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempPath;

use super::link::{AttachedStream, Session, SessionResult, WorkerHandle};
use super::{Client, EngineQuery, own};
use crate::site::facts::{Container, JobContainer};
use crate::site::paths::MountMap;
use crate::site::problem::Problem;
use crate::site::worker as far;

/// How long unpacking the program and starting it may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long and how often the exit code is asked for: the stream can end a moment before the engine
/// knows.
const EXIT_TRIES: u32 = 10;
const EXIT_PAUSE: Duration = Duration::from_millis(30);
/// Exit codes with which an engine says that it could not start a program.
const NOT_STARTED: [i64; 2] = [126, 127];

/// What it takes to run in the job's container.
#[derive(Debug, Clone)]
pub(crate) struct JobSpec {
    /// The container's id.
    pub(crate) id: String,
    /// This program, as this process calls it.
    pub(crate) program: PathBuf,
    /// Directories of this process in which a file may be put for a moment.
    pub(crate) scratch_dirs: Vec<PathBuf>,
    /// This container's mounts.
    pub(crate) own_mounts: MountMap,
    /// The job container's mounts.
    pub(crate) job_mounts: MountMap,
    /// The owner that such a file should have.
    pub(crate) owner: Option<(u32, u32)>,
}

/// The job's container: the one the workflow named; the one whose network this container is in
/// (nektos/act); the one on the job's network that has the runner's work directory at `/__w`.
pub(super) async fn find(
    client: &Client,
    own: Option<&Container>,
    question: &EngineQuery,
) -> Result<JobContainer, Problem> {
    if let Some(id) = &question.job_container {
        return Ok(client
            .inspect(id)
            .await?
            .map_or_else(|| JobContainer::NotFound(id.clone()), JobContainer::Found));
    }
    let Some(own) = own else {
        return Ok(JobContainer::None);
    };
    if let Some(id) = own.network_mode.strip_prefix("container:") {
        return Ok(client.inspect(id).await?.map_or_else(
            || JobContainer::NotFound(id.to_owned()),
            JobContainer::Found,
        ));
    }
    let (true, Some(work)) = (
        own.network_mode.starts_with("github_network_"),
        &question.work_directory,
    ) else {
        return Ok(JobContainer::None);
    };
    for id in own::on_network(client, &own.network_mode).await? {
        if let Some(found) = client.inspect(&id).await?
            && is_job_container(&found, work)
        {
            return Ok(JobContainer::Found(found));
        }
    }
    Ok(JobContainer::None)
}

/// Whether a container has the runner's work directory where the runner puts it for jobs only
/// (actions/runner, `ContainerOperationProvider`).
fn is_job_container(container: &Container, work: &Path) -> bool {
    let mounts = container.mounts.mounts();
    mounts
        .iter()
        .any(|mount| mount.destination == Path::new("/__w") && mount.source == work)
}

/// Puts the program there, runs it and talks to it.
pub(super) async fn run(
    client: &Client,
    spec: &JobSpec,
    mut talk: Session<'_>,
) -> Result<SessionResult, Problem> {
    let mut why = "no directory is shared with it".to_owned();
    if let Some(shared) = copy_to_shared_dir(spec) {
        match shared {
            Ok((_removed_on_return, inside)) => {
                let heard = execute(client, &spec.id, &inside, talk.reborrow()).await?;
                if !was_not_started(&heard) {
                    return Ok(heard);
                }
                why = heard
                    .last_line
                    .unwrap_or_else(|| format!("{} can't be started", inside.display()));
            }
            Err(error) => why = error.to_string(),
        }
    }
    let inside = match talk.or_cancelled(unpack(client, spec)).await {
        Ok(inside) => inside,
        Err(Problem::EngineRefused { message, .. }) => {
            return Err(Problem::Injection(format!("{why}; {message}")));
        }
        Err(problem) => return Err(problem),
    };
    execute(client, &spec.id, &inside, talk).await
}

fn was_not_started(heard: &SessionResult) -> bool {
    heard.reply.is_none()
        && heard
            .exit_code
            .is_some_and(|code| NOT_STARTED.contains(&code))
}

/// Copies the program to the first directory that the job's container shares; gives its name there.
/// Nothing when no directory is shared.
fn copy_to_shared_dir(spec: &JobSpec) -> Option<io::Result<(TempPath, PathBuf)>> {
    let shared = spec.scratch_dirs.iter().find_map(|directory| {
        let host = spec
            .own_mounts
            .to_host(directory)
            .unwrap_or_else(|| directory.clone());
        let inside = spec.job_mounts.from_host(&host)?;
        Some((directory, inside))
    });
    let (directory, inside) = shared?;
    Some(copy_into(directory, spec).map(|copy| {
        let name = copy.file_name().map(ToOwned::to_owned).unwrap_or_default();
        (copy, inside.join(name))
    }))
}

fn copy_into(directory: &Path, spec: &JobSpec) -> io::Result<TempPath> {
    let mut copy = tempfile::Builder::new()
        .prefix("local-cache-")
        .tempfile_in(directory)?;
    io::copy(&mut fs::File::open(&spec.program)?, copy.as_file_mut())?;
    copy.as_file()
        .set_permissions(fs::Permissions::from_mode(0o755))?;
    if let Some((uid, gid)) = spec.owner {
        // So that nothing of root's stays in the runner's directory if this process dies. Without
        // the right, it is ours.
        drop(std::os::unix::fs::fchown(
            copy.as_file(),
            Some(uid),
            Some(gid),
        ));
    }
    // Closed: a file that is open for writing can't be executed.
    Ok(copy.into_temp_path())
}

/// Unpacks the program into the root of the job's container.
async fn unpack(client: &Client, spec: &JobSpec) -> Result<PathBuf, Problem> {
    let program =
        fs::read(&spec.program).map_err(|error| Problem::io("read", &spec.program, &error))?;
    let number =
        far::protocol::random_hex().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
    let name = format!("{}{number}", far::UNPACKED_PREFIX);
    let archive =
        archive(&name, &program).map_err(|error| Problem::io("pack", &spec.program, &error))?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let upload = client.docker.upload_to_container(
        &spec.id,
        Some(options),
        bollard::body_full(archive.into()),
    );
    client
        .call_within(START_LIMIT, "unpack the program", upload)
        .await?;
    Ok(Path::new("/").join(name))
}

fn archive(name: &str, program: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    archive.append_data(&mut header, name, program)?;
    archive.into_inner()
}

/// Runs the program that is called `program` in the container.
async fn execute(
    client: &Client,
    id: &str,
    program: &Path,
    mut talk: Session<'_>,
) -> Result<SessionResult, Problem> {
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(vec![
            program.to_string_lossy().into_owned(),
            far::ARGUMENT.to_owned(),
        ]),
        ..CreateExecOptions::default()
    };
    let begin = async {
        let made = client.docker.create_exec(id, options);
        let exec = client
            .call_within(START_LIMIT, "run the program in the job's container", made)
            .await?
            .id;
        let start = client.docker.start_exec(&exec, None::<StartExecOptions>);
        let started = client
            .call_within(
                START_LIMIT,
                "start the program in the job's container",
                start,
            )
            .await?;
        Ok((exec, started))
    };
    // A process that was started although nobody waits for it sees its input end with the
    // connection.
    let (exec, started) = talk.or_cancelled(begin).await?;
    let StartExecResults::Attached { input, output } = started else {
        let message = "the engine did not attach to the program".to_owned();
        return Err(Problem::EngineRefused {
            action: "run the program in the job's container",
            message,
        });
    };
    let mut heard = AttachedStream::new(input, output)
        .run_session(talk, WorkerHandle::Process)
        .await;
    if heard.reply.is_none() && !heard.stuck {
        heard.exit_code = exit_code(client, &exec).await;
    }
    Ok(heard)
}

async fn exit_code(client: &Client, exec: &str) -> Option<i64> {
    for _ in 0..EXIT_TRIES {
        let about = client
            .call("tell an exit code", client.docker.inspect_exec(exec))
            .await
            .ok()?;
        if about.running == Some(false) {
            return about.exit_code;
        }
        tokio::time::sleep(EXIT_PAUSE).await;
    }
    None
}
