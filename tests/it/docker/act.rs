//! The real nektos/act running a container action, on the host and in a job's container.
//!
//! act gives an action host paths that do not exist in its container, no label, and in a job's
//! container the network of that container; each of these has misled a version of this code.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::image::{lay_out, lay_out_native, source};
use super::machine::User;
use super::programs::programs;
use super::runner::foreign_below;
use super::support::{self, docker};
use crate::support::tools::is_installed;

const ACTION: &str = r"
name: probe
description: runs the probe in each phase
inputs:
  work: {description: what to do, required: false}
  path: {description: what to cache, default: ~/.cargo}
runs:
  using: docker
  image: Dockerfile
  pre-entrypoint: /main
  entrypoint: /main
  post-entrypoint: /main
  post-if: always()
";

const DOCKERFILE: &str = "FROM scratch\nCOPY main /main\nENTRYPOINT [\"/main\"]\n";

/// A root filesystem for steps: busybox, and a `bash` that drops the options that busybox does not
/// know.
const JOB_IMAGE: &str = r#"
set -e
mkdir -p bin usr/bin etc tmp root home/runner
cp "$(readlink -f "$(command -v busybox)")" bin/busybox
for applet in $(bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "bin/$applet"; done
ln -s /bin/busybox usr/bin/env; ln -s /bin/busybox usr/bin/tail
printf '#!/bin/sh\nn=; for a in "$@"; do case $a in --noprofile|--norc) ;; *) n="$n '"'"'$a'"'"'";; esac; done; eval exec /bin/sh $n\n' > bin/bash
chmod 755 bin/bash; chmod 1777 tmp
printf 'root:x:0:0:root:/root:/bin/sh\nrunner:x:%s:%s::/home/runner:/bin/sh\n' "$1" "$1" > etc/passwd
printf 'root:x:0:\nrunner:x:%s:\n' "$1" > etc/group; echo ID=bb > etc/os-release
chown "$1:$1" home/runner
tar -c . | docker import -c 'USER runner' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$2" > /dev/null
"#;

/// A user with a repository that uses the action, and act.
struct Consumer {
    user: User,
    act: PathBuf,
    /// The action's name, without its version.
    action: String,
}

impl Consumer {
    /// Uses the probe as an action, in all three phases.
    fn of_probe(work: &Value) -> Self {
        let user = User::new();
        let action = user.directory("action");
        user.file(&action.join("action.yml"), ACTION);
        user.file(&action.join("Dockerfile"), DOCKERFILE);
        fs::copy(&programs().probe, action.join("main")).expect("copies");
        let action = format!("acme/{}", user.name);
        let steps = format!("      - uses: {action}@v1\n        with:\n          work: '{work}'\n");
        Self::new(user, action, &steps)
    }

    /// Uses the action of this repository, with these steps.
    fn of_action(steps: impl FnOnce(&User) -> String) -> Self {
        let user = User::new();
        let action = user.directory("action");
        for file in ["action.yml", "restore/action.yml", "save/action.yml"] {
            user.file_at(&action.join(file), source(file).as_bytes());
        }
        lay_out(&action);
        lay_out_native(&user, &action);
        let steps = steps(&user);
        Self::new(user, "btcdecoded/local-cache".to_owned(), &steps)
    }

    fn new(user: User, action: String, steps: &str) -> Self {
        user.join("docker");
        let repository = user.directory("consumer");
        let workflows = user.directory("consumer/.github/workflows");
        // act names containers after the workflow and removes existing ones of that name.
        let name = &user.name;
        let workflow = format!(
            "name: {name}\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"
        );
        user.file(&workflows.join("t.yml"), &workflow);
        let act = user.home.join("act");
        fs::copy(support::act_program().expect("is installed"), &act).expect("copies");
        fs::set_permissions(&act, fs::Permissions::from_mode(0o755)).expect("sets the mode");
        let consumer = Self { user, act, action };
        let git = "git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x \
                   && git remote add origin https://github.com/acme/repo";
        let status = consumer
            .as_user("sh")
            .args(["-c", git])
            .current_dir(repository)
            .status()
            .expect("runs");
        assert!(status.success(), "the repository is not made");
        consumer
    }

    fn as_user(&self, program: &str) -> Command {
        let mut command = Command::new("runuser");
        let home = format!("HOME={}", self.user.home.display());
        command.args([
            "-u",
            &self.user.name,
            "--",
            "env",
            "-i",
            &home,
            "PATH=/usr/local/bin:/usr/bin:/bin",
            program,
        ]);
        command.current_dir(&self.user.home).stdin(Stdio::null());
        command
    }

    /// Runs the workflow on this platform; returns the output of the probe's phases.
    fn run(&self, platform: &str, options: &[&str]) -> Vec<Value> {
        let log = self.log(platform, options);
        let said: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(&line[line.find("{\"decided_ms\"")?..]).ok())
            .collect();
        assert_eq!(said.len(), 3, "pre, main and post: {log}");
        said
    }

    /// Runs the workflow on this platform; returns the output of act.
    fn log(&self, platform: &str, options: &[&str]) -> String {
        let action = format!(
            "{}@v1={}",
            self.action,
            self.user.home.join("action").display()
        );
        let output = self
            .as_user("timeout")
            .args([
                "120",
                &self.act.to_string_lossy(),
                "push",
                "--rm",
                "--pull=false",
                "--local-repository",
                &action,
            ])
            .args(["-P", &format!("ubuntu-latest={platform}")])
            .args(options)
            .current_dir(self.user.home.join("consumer"))
            .output()
            .expect("act runs");
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        log + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        drop(
            Command::new("docker")
                .args(["volume", "rm", "act-toolcache"])
                .output(),
        );
        // act names the image after the action.
        let name = format!("act-{}-", self.action.replace('/', "-"));
        let listed = Command::new("docker")
            .args(["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .output();
        let listed = listed
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for image in listed.lines().filter(|image| image.starts_with(&name)) {
            drop(
                Command::new("docker")
                    .args(["rmi", "--force", image])
                    .output(),
            );
        }
    }
}

#[test]
fn an_action_that_act_starts_on_the_host_works_on_the_host() {
    if !support::can_run("act") {
        return;
    }
    let _lock = support::lock_shared();
    let consumer = Consumer::of_probe(&json!(["LookAround", {"Write": ["~/made", "x"]}]));
    let said = consumer.run("-self-hosted", &[]);
    for phase in &said {
        assert_eq!(phase["site"], json!("host"), "{phase}");
        assert!(phase["outcome"]["reply"].is_array(), "{phase}");
    }
    let about = &said[1]["outcome"]["reply"][0];
    assert_eq!(about["home"], json!(consumer.user.home));
    assert_eq!(
        about["uid"].as_str().unwrap().split(' ').next().unwrap(),
        consumer.user.uid.to_string()
    );
    assert_eq!(
        fs::read_to_string(consumer.user.home.join("made")).unwrap(),
        "x"
    );
}

#[test]
fn an_action_that_act_starts_beside_a_job_container_works_inside_that() {
    if !support::can_run("act") {
        return;
    }
    let _lock = support::lock_shared();
    let consumer =
        Consumer::of_probe(&json!(["LookAround", {"Write": ["/tmp/runner-cache/x", "y"]}]));
    let image = JobImage::new(&consumer.user);
    let without = consumer.run(&image.0, &[]);
    assert_eq!(
        without[1]["outcome"]["problem"],
        json!("root-not-in-job-container"),
        "{}",
        without[1]
    );

    let cache = consumer.user.directory("cache");
    let volume = format!("-v {}:/tmp/runner-cache", cache.display());
    let said = consumer.run(&image.0, &["--container-options", &volume]);
    for phase in &said {
        assert_eq!(phase["site"], json!("job-container"), "{phase}");
        assert!(phase["outcome"]["reply"].is_array(), "{phase}");
    }
    let about = &said[1]["outcome"]["reply"][0];
    assert_eq!(
        about["uid"].as_str().unwrap().split(' ').next().unwrap(),
        consumer.user.uid.to_string()
    );
    assert_eq!(fs::read_to_string(cache.join("x")).unwrap(), "y");
}

/// Steps that use all three actions with the store at this path. The steps create the cached files
/// only on a miss.
fn steps(root: &str, more: &str) -> String {
    format!(
        r#"
      - uses: actions/checkout@v4
      - id: cache
        uses: btcdecoded/local-cache@v1
        with:
          path: |
            target
            {more}
          key: whole
          cache-root: {root}
      - if: steps.cache.outputs.cache-hit != 'true'
        run: mkdir -p target {more} && echo built > target/x && echo kept > {more}/x && echo SAID made whole
      - run: echo SAID $(cat target/x {more}/x) "${{{{ steps.cache.outputs.cache-hit }}}}" "${{{{ steps.cache.outputs.cache-matched-key }}}}"
      - id: part
        uses: btcdecoded/local-cache/restore@v1
        with: {{path: part, key: part, cache-root: {root}}}
      - if: steps.part.outputs.cache-hit != 'true'
        run: mkdir part && echo partly > part/x && echo SAID made part
      - if: steps.part.outputs.cache-hit != 'true'
        uses: btcdecoded/local-cache/save@v1
        with: {{path: part, key: part, cache-root: {root}}}
      - run: echo SAID $(cat part/x)
"#
    )
}

/// The output of [`steps`] in a first run and in a second one.
fn assert_misses_then_hits(consumer: &Consumer, platform: &str, options: &[&str]) {
    // act names the image of the action and the containers of its stages, and removes existing ones
    // of these names.
    static ACTION: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ACTION.lock().unwrap_or_else(PoisonError::into_inner);
    let first = consumer.log(platform, options);
    let said = |log: &str| {
        let lines = log
            .lines()
            .filter_map(|line| Some(line.split_once("| SAID ")?.1.trim().to_owned()));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(
        said(&first),
        ["made whole", "built kept", "made part", "partly"],
        "{first}"
    );
    for line in [
        "Cache not found for input keys: whole",
        "Cache saved with key: whole",
        "Cache not found for input keys: part",
        "Cache saved with key: part",
        "Success - Post btcdecoded/local-cache",
    ] {
        assert!(first.contains(line), "{line}: {first}");
    }
    let second = consumer.log(platform, options);
    assert_eq!(
        said(&second),
        ["built kept true whole", "partly"],
        "{second}"
    );
    for line in [
        "Cache restored from key: whole",
        "Cache restored from key: part",
        "Cache hit occurred on the primary key whole, not saving cache.",
    ] {
        assert!(second.contains(line), "{line}: {second}");
    }
    assert!(!second.contains("Cache saved"), "{second}");
    for log in [first, second] {
        assert!(!log.contains("::warning") && !log.contains("WARN"), "{log}");
    }
}

#[test]
fn act_on_the_host_saves_in_a_first_run_and_restores_in_a_second() {
    if !support::can_run("act") {
        return;
    }
    let _lock = support::lock_shared();
    let consumer = Consumer::of_action(|user| {
        steps(
            &user.home.join("cache").to_string_lossy(),
            "~/.cargo/registry",
        )
    });
    assert_misses_then_hits(&consumer, "-self-hosted", &[]);
    assert!(consumer.user.home.join(".cargo/registry/x").exists());
    assert_eq!(
        foreign_below(&consumer.user.home.join("cache"), consumer.user.uid),
        Vec::<PathBuf>::new()
    );
    assert_eq!(
        foreign_below(&consumer.user.home.join(".cargo"), consumer.user.uid),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn act_on_the_host_runs_the_native_action_like_the_other() {
    if !support::can_run("act") || !is_installed("node", "the native action in act") {
        return;
    }
    let _lock = support::lock_shared();
    let consumer = Consumer::of_action(|user| {
        let [store, more] = ["store", "more"].map(|name| user.home.join(name));
        let steps = steps(&store.to_string_lossy(), &more.to_string_lossy());
        steps.replace("btcdecoded/local-cache", "btcdecoded/local-cache/native")
    });
    assert_misses_then_hits(&consumer, "-self-hosted", &[]);
    let foreign = foreign_below(&consumer.user.home.join("store"), consumer.user.uid);
    assert_eq!(foreign, Vec::<PathBuf>::new());
}

#[test]
fn act_in_a_container_saves_in_a_first_run_and_restores_in_a_second() {
    if !support::can_run("act") {
        return;
    }
    let _lock = support::lock_shared();
    let consumer = Consumer::of_action(|_| steps("/tmp/runner-cache", "~/.cargo/registry"));
    let image = JobImage::new(&consumer.user);
    let cache = consumer.user.directory("cache");
    let volume = format!("-v {}:/tmp/runner-cache", cache.display());
    assert_misses_then_hits(&consumer, &image.0, &["--container-options", &volume]);
    assert_eq!(
        foreign_below(&cache, consumer.user.uid),
        Vec::<PathBuf>::new()
    );
}

struct JobImage(String);

impl JobImage {
    fn new(user: &User) -> Self {
        let name = format!("{}:1", support::unique("job-image"));
        let root = tempfile::tempdir().expect("makes a directory");
        let output = Command::new("sh")
            .args(["-c", JOB_IMAGE, "sh", &user.uid.to_string(), &name])
            .current_dir(root.path())
            .output()
            .expect("runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
        Self(name)
    }
}

impl Drop for JobImage {
    fn drop(&mut self) {
        drop(
            Command::new("docker")
                .args(["rmi", "--force", &self.0])
                .output(),
        );
    }
}
