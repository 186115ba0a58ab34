//! Runs the action's image once, with the mounts and variables that the runner gives it
//! (actions/runner, `DockerCommandManager.DockerRun` and `ContainerActionHandler`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::docker::{DockerFailure, docker};
use super::finding::DoctorOptions;
use crate::error::{IoContext as _, Result};
use crate::fs::files;

/// The label of the images that the Dockerfile of the action makes.
const IMAGE_LABEL: &str = "label=org.opencontainers.image.title=local-cache";

/// The files through which a phase answers: a variable each, and the prefix of the file's name.
const COMMAND_FILES: [(&str, &str); 3] = [
    ("GITHUB_OUTPUT", "set_output_"),
    ("GITHUB_STATE", "save_state_"),
    ("GITHUB_ENV", "set_env_"),
];

/// Directories of the container, and their names in the runner's temporary directory.
const MOUNTS: [(&str, &str); 3] = [
    ("/github/home", "_github_home"),
    ("/github/workflow", "_github_workflow"),
    ("/github/file_commands", "_runner_file_commands"),
];

/// The ID of the newest image of the action on this machine; none if it has no image.
pub(super) fn newest_image(options: &DoctorOptions) -> Result<Option<String>, DockerFailure> {
    let arguments = ["image", "ls", "--quiet", "--filter", IMAGE_LABEL];
    let listed = docker(&options.env, arguments)?;
    Ok(listed.lines().next().map(str::to_owned))
}

/// What the image's main phase prints when it only looks.
pub(super) fn look(
    options: &DoctorOptions,
    files: &RunnerFiles,
    image: &str,
) -> Result<String, DockerFailure> {
    let name = format!("local-cache-doctor-{}", files.guid);
    let looked = docker(&options.env, files.arguments(options, &name, image));
    if looked == Err(DockerFailure::TimedOut) {
        // Only the client was killed.
        let arguments = ["rm", "--force", &name];
        drop(docker(&options.env, arguments));
    }
    looked
}

/// The files that the runner makes for a stage. Dropping it removes them.
pub(super) struct RunnerFiles {
    directory: TempDir,
    /// Unique to this stage, so that the container is found by it.
    guid: String,
}

impl RunnerFiles {
    /// Makes them in the temporary directory of the runner that has this workspace, or in that of
    /// the machine.
    pub(super) fn create(options: &DoctorOptions) -> Result<Self> {
        let of_runner = options.workspace.ancestors().nth(2);
        let of_runner = of_runner.map(|work| work.join("_temp"));
        let of_machine = || options.env.path("TMPDIR").unwrap_or(Path::new("/tmp"));
        let parent = of_runner
            .filter(|temp| temp.is_dir())
            .unwrap_or_else(|| of_machine().to_owned());
        let directory = tempfile::Builder::new()
            .prefix("local-cache-doctor-")
            .tempdir_in(&parent)
            .context("create a directory in", || &parent)?;
        let guid = files::read(Path::new("/proc/sys/kernel/random/uuid"))?;
        let files = Self {
            directory,
            guid: String::from_utf8_lossy(guid.trim_ascii()).into_owned(),
        };
        for (_, name) in MOUNTS {
            files::create_dir(&files.path(name), 0o700)?;
        }
        for (_, prefix) in COMMAND_FILES {
            let name = format!("{prefix}{}", files.guid);
            let path = files.path("_runner_file_commands").join(name);
            files::write_new(&path, 0o600, b"")?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn arguments(&self, options: &DoctorOptions, name: &str, image: &str) -> Vec<OsString> {
        let workspace = &options.workspace;
        let mut arguments: Vec<OsString> = ["run", "--rm", "--pull=never", "--network=none"]
            .map(OsString::from)
            .into();
        arguments.extend(["--name".into(), name.into()]);
        arguments
            .extend(["--workdir", "/github/workspace", "--entrypoint", "/main"].map(Into::into));
        let mut set = |variable: &str, value: &OsStr| {
            let value = [OsStr::new(variable), value].join(OsStr::new("="));
            arguments.extend(["-e".into(), value]);
        };
        for (variable, value) in [
            ("HOME", "/github/home"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_WORKSPACE", "/github/workspace"),
            ("RUNNER_TEMP", "/github/runner_temp"),
        ] {
            set(variable, value.as_ref());
        }
        let above = workspace.parent().unwrap_or(workspace);
        set("RUNNER_WORKSPACE", above.as_os_str());
        set("INPUT_CACHE-ROOT", options.cache_root.as_os_str());
        for (variable, prefix) in COMMAND_FILES {
            let file = format!("/github/file_commands/{prefix}{}", self.guid);
            set(variable, file.as_ref());
        }
        // Unlike `-v`, this creates nothing on a machine that does not have the directory.
        let mut mount = |source: &Path, target: &str| {
            let mut text = OsString::from("type=bind,source=");
            text.push(source);
            text.push(format!(",target={target}"));
            arguments.extend(["--mount".into(), text]);
        };
        mount(Path::new("/var/run/docker.sock"), "/var/run/docker.sock");
        mount(self.directory.path(), "/github/runner_temp");
        for (target, name) in MOUNTS {
            mount(&self.path(name), target);
        }
        mount(workspace, "/github/workspace");
        arguments.extend([image, "cache", "--look"].map(Into::into));
        arguments
    }
}
