//! `doctor --as-action`: what a step of the action would see on this machine, beside what this
//! process sees.

use std::path::{Path, PathBuf};

use super::container::{self, RunnerFiles};
use super::docker::{DockerFailure, LIMIT};
use super::finding::{DoctorOptions, Finding};
use crate::action::look::ActionView;
use crate::error::Error;
use crate::fmt::human::{age, bytes};
use crate::fs::{Local, user_name};
use crate::job::{Job, WorkerView, look};

const CHECK: &str = "action";

/// Starts the image, the newest one of this machine unless one is named. What keeps `docker` from
/// the engine is a finding of its own already if `is_engine_reported`.
pub(super) fn findings(
    options: &DoctorOptions,
    image: Option<&str>,
    is_engine_reported: bool,
) -> Vec<Finding> {
    match view(options, image) {
        Ok((image, view)) => compare(&image, &view, own_view(options).as_ref()),
        Err(ViewFailure::Docker(_)) if is_engine_reported => Vec::new(),
        Err(failure) => vec![failure.into()],
    }
}

/// What a worker in this process would see.
fn own_view(options: &DoctorOptions) -> Option<WorkerView> {
    let job = Job::to_look(&options.cache_root, &options.workspace, &options.env, true);
    let namespace = Local::new(Some(options.home.clone()));
    look(&job, &namespace).ok()
}

/// Why nothing is known of what the action sees.
enum ViewFailure {
    Docker(DockerFailure),
    Files(Error),
    NoWorkspace(PathBuf),
    NoImage,
    OtherVersion(String),
}

impl From<DockerFailure> for ViewFailure {
    fn from(failure: DockerFailure) -> Self {
        Self::Docker(failure)
    }
}

fn view(options: &DoctorOptions, image: Option<&str>) -> Result<(String, ActionView), ViewFailure> {
    if !options.workspace.is_dir() {
        return Err(ViewFailure::NoWorkspace(options.workspace.clone()));
    }
    let image = match image {
        Some(image) => image.to_owned(),
        None => container::newest_image(options)?.ok_or(ViewFailure::NoImage)?,
    };
    let files = RunnerFiles::create(options).map_err(ViewFailure::Files)?;
    let output = container::look(options, &files, &image)?;
    match serde_json::from_str(&output) {
        Ok(view) => Ok((image, view)),
        Err(_) => Err(ViewFailure::OtherVersion(image)),
    }
}

impl From<ViewFailure> for Finding {
    fn from(failure: ViewFailure) -> Self {
        match failure {
            ViewFailure::Docker(failure) => docker_finding(&failure),
            ViewFailure::Files(error) => Self::unknown(CHECK, &error),
            ViewFailure::NoWorkspace(path) => Self::problem(
                CHECK,
                format!("the workspace {} is not a directory", path.display()),
                "name a checkout or the work directory of jobs with --workspace",
            ),
            ViewFailure::NoImage => Self::warning(
                CHECK,
                "this machine has no image of the action",
                "run a workflow with the action once, which builds its image, or name an image with --image",
            ),
            ViewFailure::OtherVersion(image) => Self::problem(
                CHECK,
                format!("the image {image} is not one of this version of local-cache"),
                "name another image with --image, or use the doctor of the version of the action",
            ),
        }
    }
}

fn docker_finding(failure: &DockerFailure) -> Finding {
    match failure {
        DockerFailure::NotInstalled => Finding::problem(
            CHECK,
            "the command docker, by which the runner starts the action, is not in PATH",
            "install Docker, or use btcdecoded/local-cache/native, which needs none",
        ),
        DockerFailure::Failed(line) => Finding::problem(
            CHECK,
            format!("docker could not start the action's image: {line}"),
            "the same command fails in jobs; run `docker run --rm hello-world` as the user who runs jobs",
        ),
        DockerFailure::TimedOut => Finding::problem(
            CHECK,
            format!("the action's image did not answer within {}", age(LIMIT)),
            "look for a busy or hanging Docker Engine: docker info",
        ),
    }
}

/// The findings, from what the action and this process see.
fn compare(image: &str, action: &ActionView, own: Option<&WorkerView>) -> Vec<Finding> {
    let Some(worker) = &action.worker else {
        let error = action.error.as_deref().unwrap_or("it saw nothing");
        return vec![Finding::problem(
            CHECK,
            format!("the action cannot work: {error}"),
            "a job with this action would have a warning and a miss",
        )];
    };
    let mut findings = vec![user(image, &action.site, worker, own)];
    findings.push(cargo_home(worker, own));
    findings.extend(toolchain(worker, own));
    findings.push(cache_root(worker, own));
    findings
}

fn user(image: &str, site: &str, worker: &WorkerView, own: Option<&WorkerView>) -> Finding {
    let home = worker
        .home
        .as_deref()
        .map_or("unknown".into(), Path::to_string_lossy);
    let found = format!(
        "the image {image} works at the site {site} as the user {}, with the home directory {home}",
        user_name(worker.uid),
    );
    match own {
        Some(own) if own.uid != worker.uid || own.home != worker.home => Finding::warning(
            CHECK,
            format!("{found}; this is the user {}", user_name(own.uid)),
            "run this command as the user who runs jobs, with that user's HOME",
        ),
        _ => Finding::ok(CHECK, found),
    }
}

fn cargo_home(worker: &WorkerView, own: Option<&WorkerView>) -> Finding {
    const CHECK: &str = "action cargo";
    let home = worker.cargo_home.display();
    match own {
        Some(own) if own.cargo_home != worker.cargo_home => Finding::warning(
            CHECK,
            format!(
                "the action caches {home}, and cargo uses {} here",
                own.cargo_home.display()
            ),
            "set CARGO_HOME in the file .env of the runner, or in `env:` of the workflow",
        ),
        _ => Finding::ok(CHECK, format!("the action caches {home}")),
    }
}

/// None without a project, and if the check of this process's own toolchain says the same.
fn toolchain(worker: &WorkerView, own: Option<&WorkerView>) -> Option<Finding> {
    const CHECK: &str = "action toolchain";
    let found = worker.toolchain.as_ref()?;
    let own = own.and_then(|own| own.toolchain.as_ref());
    let note = &found.note;
    match own {
        Some(own) if own != found => Some(Finding::warning(
            CHECK,
            format!("compiler of the action: {note}; here: {}", own.note),
            "set RUSTUP_HOME and PATH of the runner in its files .env and .path",
        )),
        Some(_) if !found.is_found => None,
        _ => Some(Finding::ok(
            CHECK,
            format!("compiler of the action: {note}"),
        )),
    }
}

fn cache_root(worker: &WorkerView, own: Option<&WorkerView>) -> Finding {
    const CHECK: &str = "action store";
    let WorkerView {
        cache_root,
        filesystem,
        free_bytes,
        ..
    } = worker;
    let found = format!(
        "{} on {filesystem} with {} free",
        cache_root.display(),
        bytes(*free_bytes)
    );
    match own {
        Some(own) if own.directory != worker.directory => Finding::problem(
            CHECK,
            format!("the action sees another directory: {found}"),
            "the Docker Engine runs on another machine or sees other mounts; run it on the machine of the runner",
        ),
        _ => Finding::ok(CHECK, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;
    use crate::job::ToolchainView;

    fn worker() -> WorkerView {
        WorkerView {
            uid: 65_000,
            home: Some("/home/runner".into()),
            cargo_home: "/home/runner/.cargo".into(),
            toolchain: Some(ToolchainView {
                note: "rustc 1.95.0".into(),
                is_found: true,
            }),
            cache_root: "/tmp/runner-cache".into(),
            filesystem: "ext4".into(),
            free_bytes: 40_000_000_000,
            directory: (1, 2),
        }
    }

    /// The findings that are not fine, with what was found.
    fn complaints(worker: WorkerView, own: &WorkerView) -> Vec<(Status, String)> {
        let action = ActionView {
            site: "host".to_owned(),
            worker: Some(worker),
            error: None,
        };
        let found = compare("image", &action, Some(own)).into_iter();
        let complaints = found.filter(|finding| finding.status != Status::Ok);
        complaints
            .map(|finding| (finding.status, finding.found))
            .collect()
    }

    #[test]
    fn an_action_that_sees_the_same_is_fine() {
        assert_eq!(complaints(worker(), &worker()), []);
        let without_project = WorkerView {
            toolchain: None,
            ..worker()
        };
        assert_eq!(complaints(without_project.clone(), &without_project), []);
    }

    #[test]
    fn each_difference_is_one_finding() {
        let own = worker();
        let other_home = WorkerView {
            cargo_home: "/srv/cargo".into(),
            ..worker()
        };
        let text = "the action caches /srv/cargo, and cargo uses /home/runner/.cargo here";
        assert_eq!(
            complaints(other_home, &own),
            [(Status::Warning, text.to_owned())]
        );
        let toolchain = |note: &str, is_found| WorkerView {
            toolchain: Some(ToolchainView {
                note: note.to_owned(),
                is_found,
            }),
            ..worker()
        };
        for (view, text) in [
            (
                toolchain("rustc 1.90.0", true),
                "compiler of the action: rustc 1.90.0; here: rustc 1.95.0",
            ),
            (
                toolchain("no compiler", false),
                "compiler of the action: no compiler; here: rustc 1.95.0",
            ),
        ] {
            assert_eq!(complaints(view, &own), [(Status::Warning, text.to_owned())]);
        }
        let without = toolchain("no compiler", false);
        assert_eq!(complaints(without.clone(), &without), []);
        let elsewhere = WorkerView {
            directory: (7, 8),
            ..worker()
        };
        let text = "the action sees another directory: /tmp/runner-cache on ext4 with 40 GB free";
        assert_eq!(
            complaints(elsewhere, &own),
            [(Status::Problem, text.to_owned())]
        );
        let other_user = WorkerView {
            uid: 65_001,
            home: None,
            ..worker()
        };
        let found = complaints(other_user, &own);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.ends_with("this is the user 65000"), "{found:?}");
    }

    #[test]
    fn an_action_that_cannot_work_is_one_problem() {
        let action = ActionView {
            error: Some("no site".to_owned()),
            ..ActionView::default()
        };
        let found = compare("image", &action, Some(&worker()));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].status, Status::Problem);
        assert_eq!(found[0].found, "the action cannot work: no site");
    }
}
