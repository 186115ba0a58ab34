//! The container of a job is found, entered as its own user, and left clean.

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::runner::Runner;
use super::stage::Stage;
use super::support::{self, docker};

/// A job's container as the runner makes it (actions/runner, `ContainerOperationProvider` and
/// `DockerCreate`), on a network of its own. Removed with that.
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) network: String,
}

impl Job {
    pub(crate) fn new(runner: &Runner, options: &[&str]) -> Self {
        let Runner {
            work,
            temp,
            label,
            image,
            ..
        } = runner;
        let mounts = [
            format!("{}:/__w", work.display()),
            format!("{}:/__w/_temp", temp.display()),
            format!("{}:/github/home", temp.join("_github_home").display()),
            format!(
                "{}:/github/workflow",
                temp.join("_github_workflow").display()
            ),
        ];
        let mounts: Vec<&str> = mounts
            .iter()
            .flat_map(|mount| ["--volume", mount])
            .collect();
        Self::with(label, &image.0, &[options, &mounts].concat())
    }

    fn with(label: &str, image: &str, options: &[&str]) -> Self {
        let network = format!("github_network_{}", support::unique(""));
        docker(&["network", "create", "--label", label, &network]);
        let name = support::unique("job");
        let start = [
            "run",
            "--detach",
            "--name",
            &name,
            "--label",
            label,
            "--network",
            &network,
        ];
        let env = ["-e", "HOME=/github/home", "-e", "GITHUB_ACTIONS=true"];
        let id = docker(&[&start[..], &env, options, &[image, "idle"]].concat());
        Self { id, network }
    }

    /// A stage of an action in this job.
    fn stage<'a>(&self, runner: &'a Runner, work: &Value) -> Stage<'a> {
        runner
            .stage(work)
            .option(format!("--network={}", self.network))
    }

    /// The commands that run in the container.
    fn processes(&self) -> Vec<String> {
        let listed = docker(&["top", &self.id, "-eo", "pid,args"]);
        listed.lines().skip(1).map(str::to_owned).collect()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        drop(
            Command::new("docker")
                .args(["rm", "--force", "--volumes", &self.id])
                .output(),
        );
        drop(
            Command::new("docker")
                .args(["network", "rm", &self.network])
                .output(),
        );
    }
}

fn cache(runner: &Runner) -> (PathBuf, String) {
    let directory = runner.user.directory("cache");
    let mount = format!("--volume={}:/tmp/runner-cache", directory.display());
    (directory, mount)
}

#[test]
fn the_worker_runs_as_the_jobs_user_with_its_environment() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let (directory, mount) = cache(&runner);
    let uid = runner.user.uid;
    let user = format!("--user={uid}:{}", runner.user.gid);
    for (options, by_id, expected) in [
        (&[][..], true, 0),
        (&[][..], false, 0),
        (&[user.as_str()][..], true, uid),
        (
            &[user.as_str(), "--read-only", "--tmpfs=/tmp"][..],
            false,
            uid,
        ),
    ] {
        let job = Job::new(&runner, &[options, &[mount.as_str()]].concat());
        let work = json!([
            "LookAround",
            {"Write": ["/tmp/runner-cache/entry", "e"]},
            {"Write": ["/github/workspace/made", "w"]},
            {"Locate": "~/.cargo"},
        ]);
        let stage = job.stage(&runner, &work);
        let answer = if by_id {
            stage.input("JOB-CONTAINER", &job.id)
        } else {
            stage
        }
        .run();
        assert_eq!(
            answer.json["site"],
            json!("job-container"),
            "{options:?}: {}",
            answer.json
        );
        let reply = answer.reply();
        let first = reply[0]["uid"].as_str().unwrap().split(' ').next().unwrap();
        assert_eq!(first, expected.to_string(), "{options:?}");
        assert_eq!(reply[0]["HOME"], json!("/github/home"));
        assert_eq!(reply[3], json!({"ok": "/github/home/.cargo"}));
        assert_eq!(
            fs::read_to_string(directory.join("entry")).unwrap(),
            "e",
            "{options:?}"
        );
        assert_eq!(
            fs::read_to_string(runner.workspace.join("made")).unwrap(),
            "w",
            "{options:?}"
        );
        fs::remove_file(directory.join("entry")).unwrap();
        fs::remove_file(runner.workspace.join("made")).unwrap();
        assert_no_copy_is_left(&runner);
        assert_eq!(docker(&["diff", &job.id]).matches("local-cache").count(), 0);
    }
}

fn assert_no_copy_is_left(runner: &Runner) {
    let names = fs::read_dir(&runner.temp)
        .expect("lists")
        .filter_map(|entry| Some(entry.ok()?.file_name()));
    let left: Vec<_> = names
        .filter(|name| name.to_string_lossy().starts_with("local-cache-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_cache_root_that_the_job_does_not_see_gives_a_message_with_the_line_to_add() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let (_, mount) = cache(&runner);
    let work = json!(["Nothing"]);

    let job = Job::new(&runner, &[]);
    let missing = job.stage(&runner, &work).run();
    assert_eq!(missing.problem(), "root-not-in-job-container");
    assert!(
        missing
            .text()
            .contains("`- /tmp/runner-cache:/tmp/runner-cache`"),
        "{}",
        missing.text()
    );
    drop(job);

    let job = Job::new(&runner, &[&format!("{mount}:ro")]);
    assert_eq!(job.stage(&runner, &work).run().problem(), "root-read-only");
    docker(&["stop", "--time=0", &job.id]);
    let stopped = job
        .stage(&runner, &work)
        .input("JOB-CONTAINER", &job.id)
        .run();
    assert_eq!(stopped.problem(), "job-container-gone");

    let unknown = job
        .stage(&runner, &work)
        .input("JOB-CONTAINER", "0123456789ab")
        .run();
    assert_eq!(unknown.problem(), "job-container-gone");
    let forced = runner.stage(&work).input("SITE", "job-container").run();
    assert_eq!(forced.problem(), "no-job-container");
}

#[test]
fn services_alone_do_not_make_a_job_container() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let service = Job::with(&runner.label, &runner.image.0, &[]);
    let answer = service.stage(&runner, &json!(["Nothing"])).run();
    assert_eq!(answer.json["site"], json!("host"), "{}", answer.json);
}

#[test]
fn without_a_shared_directory_the_program_is_unpacked_and_removes_itself() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let (_, mount) = cache(&runner);
    let work = json!(["LookAround"]);
    let job = Job::with(&runner.label, &runner.image.0, &[&mount]);
    let answer = job
        .stage(&runner, &work)
        .input("JOB-CONTAINER", &job.id)
        .run();
    assert_eq!(answer.reply()[0]["HOME"], json!("/github/home"));
    assert_eq!(
        docker(&["diff", &job.id])
            .matches("local-cache-unpacked")
            .count(),
        0
    );
    drop(job);

    let sealed = Job::with(&runner.label, &runner.image.0, &[&mount, "--read-only"]);
    let refused = sealed
        .stage(&runner, &work)
        .input("JOB-CONTAINER", &sealed.id)
        .run();
    assert_eq!(refused.problem(), "injection", "{}", refused.json);
    assert!(refused.text().contains("read-only"), "{}", refused.text());
}

#[test]
fn a_worker_in_the_job_ends_with_its_parent_and_by_signals() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let (_, mount) = cache(&runner);
    let job = Job::new(&runner, &[&mount]);
    let file = runner.workspace.join("working");
    let work = json!([{ "UntilCancelled": "/github/workspace/working" }]);

    let stage = job.stage(&runner, &work).start();
    stage.wait_for(&file);
    assert_eq!(job.processes().len(), 2, "{:?}", job.processes());
    stage.signal("KILL");
    let killed = Instant::now();
    while job.processes().len() > 1 {
        assert!(
            killed.elapsed() < Duration::from_secs(1),
            "{:?}",
            job.processes()
        );
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!file.exists());
    drop(stage.finish());
    // The parent had no time to clean up. Its files belong to the runner's user and are removed by
    // the runner's next job.
    assert_eq!(runner.user.foreign_files(), Vec::<PathBuf>::new());

    let stage = job.stage(&runner, &work).start();
    stage.wait_for(&file);
    stage.signal("INT");
    let answer = stage.finish();
    assert_eq!(answer.reply(), &json!([{"ok": null}]));
    assert_eq!(answer.outcome()["stop_reason"], json!("Signal(2)"));

    let aborted = job.stage(&runner, &json!(["Abort"])).run();
    assert!(aborted.text().contains("signal 6"), "{}", aborted.json);
}
