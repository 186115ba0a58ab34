//! Putting this program into the job's container.

use hyper::Method;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempPath;

use super::client::Client;
use super::http::Call;
use super::job_spec::JobSpec;
use crate::site::problem::Problem;
use crate::site::worker::process::UNPACKED_PREFIX;
use crate::site::worker::protocol::random_hex;

/// The limit for unpacking the program on a busy machine.
const UNPACK_LIMIT: Duration = Duration::from_secs(30);

/// A copy of the program that is removed when this is dropped.
pub(super) struct SharedCopy {
    _file: TempPath,
    /// The path of the copy in the job's container.
    pub(super) path_in_job: PathBuf,
}

/// Copies the program to the first directory that is shared with the job's container. `None` if no
/// directory is shared.
pub(super) fn copy_to_shared_dir(spec: &JobSpec) -> Option<io::Result<SharedCopy>> {
    let (directory, directory_in_job) = spec.scratch_dirs.iter().find_map(|directory| {
        let host = spec.own_mounts.to_host(directory);
        let in_job = spec
            .job_mounts
            .from_host(host.as_ref().unwrap_or(directory))?;
        Some((directory, in_job))
    })?;
    Some(copy_into(directory, spec).map(|file| {
        let name = file.file_name().map(ToOwned::to_owned).unwrap_or_default();
        SharedCopy {
            _file: file,
            path_in_job: directory_in_job.join(name),
        }
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
        // Best effort: if this process dies, no file of root's stays in the runner's directory.
        drop(fchown(copy.as_file(), Some(uid), Some(gid)));
    }
    // Close it: a file that is open for writing can't be executed.
    Ok(copy.into_temp_path())
}

/// Unpacks the program into the root of the job's container and returns its path there.
pub(super) async fn unpack(client: &Client, spec: &JobSpec) -> Result<PathBuf, Problem> {
    let (name, archive) = pack(&spec.program)?;
    let upload = Call::new(Method::PUT, &format!("/containers/{}/archive", spec.id))
        .query("path", "/")
        .archive(archive);
    client
        .call_within(UNPACK_LIMIT, "unpack the program", upload)
        .await?;
    Ok(Path::new("/").join(name))
}

/// Packs the program under a new name; returns that name and the archive.
fn pack(program: &Path) -> Result<(String, Vec<u8>), Problem> {
    let bytes = fs::read(program).map_err(|error| Problem::io("read", program, &error))?;
    let random = random_hex().map_err(|error| Problem::io("read", "/dev/urandom", &error))?;
    let name = format!("{UNPACKED_PREFIX}{random}");
    let archive = archive(&name, &bytes).map_err(|error| Problem::io("pack", program, &error))?;
    Ok((name, archive))
}

fn archive(name: &str, program: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
    archive.append_data(&mut header, name, program)?;
    archive.into_inner()
}
