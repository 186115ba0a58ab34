//! The real nektos/act running a container action, on the host and in a job's container.
//!
//! act gives an action host paths that do not exist in its container, no label, and in a job's container the network
//! of that container; each of these has misled a version of this code.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::kit::{self, docker};
use super::machine::User;
use super::programs::programs;

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

/// A root file system for steps: busybox, and a bash that drops what busybox's shell does not know.
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
}

impl Consumer {
    fn new(work: &Value) -> Self {
        let user = User::new();
        user.join("docker");
        let action = user.directory("action");
        user.file(&action.join("action.yml"), ACTION);
        user.file(&action.join("Dockerfile"), DOCKERFILE);
        fs::copy(&programs().probe, action.join("main")).expect("copies");
        let repository = user.directory("consumer");
        let workflows = user.directory("consumer/.github/workflows");
        let workflow = format!(
            "name: {name}\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      \
             - uses: acme/{name}@v1\n        with:\n          work: '{work}'\n",
            // act names containers and images after these, and removes what has the name of its own.
            name = user.name
        );
        user.file(&workflows.join("t.yml"), &workflow);
        let act = user.home.join("act");
        fs::copy(kit::act_program().expect("is installed"), &act).expect("copies");
        fs::set_permissions(&act, fs::Permissions::from_mode(0o755)).expect("sets the mode");
        let consumer = Self { user, act };
        let git = "git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x \
                   && git remote add origin https://github.com/acme/repo";
        let status = consumer.as_user("sh").args(["-c", git]).current_dir(repository).status().expect("runs");
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

    /// Runs the workflow on this platform; what the phases said.
    fn run(&self, platform: &str, options: &[&str]) -> Vec<Value> {
        let action = format!("acme/{}@v1={}", self.user.name, self.user.home.join("action").display());
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
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(&line[line.find("{\"decided_ms\"")?..]).ok())
            .collect();
        assert_eq!(said.len(), 3, "pre, main and post: {log}\n{error}");
        said
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["volume", "rm", "act-toolcache"]).output());
        // act names the image after the action's directory.
        let listed = Command::new("docker").args(["images", "--format", "{{.Repository}}:{{.Tag}}"]).output();
        let listed =
            listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for image in
            listed.lines().filter(|image| image.starts_with("act-") && image.contains(&self.user.name))
        {
            drop(Command::new("docker").args(["rmi", "--force", image]).output());
        }
    }
}

#[test]
fn an_action_that_act_starts_on_the_host_works_on_the_host() {
    if !kit::ready("act") {
        return;
    }
    let _lock = kit::shared();
    let consumer = Consumer::new(&json!(["LookAround", {"Write": ["~/made", "x"]}]));
    let said = consumer.run("-self-hosted", &[]);
    for phase in &said {
        assert_eq!(phase["site"], json!("host"), "{phase}");
        assert!(phase["outcome"]["reply"].is_array(), "{phase}");
    }
    let about = &said[1]["outcome"]["reply"][0];
    assert_eq!(about["home"], json!(consumer.user.home));
    assert_eq!(about["uid"].as_str().unwrap().split(' ').next().unwrap(), consumer.user.uid.to_string());
    assert_eq!(fs::read_to_string(consumer.user.home.join("made")).unwrap(), "x");
}

#[test]
fn an_action_that_act_starts_beside_a_job_container_works_inside_that() {
    if !kit::ready("act") {
        return;
    }
    let _lock = kit::shared();
    let consumer = Consumer::new(&json!(["LookAround", {"Write": ["/tmp/runner-cache/x", "y"]}]));
    let image = JobImage::new(&consumer.user);
    let without = consumer.run(&image.0, &[]);
    assert_eq!(without[1]["outcome"]["problem"], json!("root-not-in-job-container"), "{}", without[1]);

    let cache = consumer.user.directory("cache");
    let volume = format!("-v {}:/tmp/runner-cache", cache.display());
    let said = consumer.run(&image.0, &["--container-options", &volume]);
    for phase in &said {
        assert_eq!(phase["site"], json!("job-container"), "{phase}");
        assert!(phase["outcome"]["reply"].is_array(), "{phase}");
    }
    let about = &said[1]["outcome"]["reply"][0];
    assert_eq!(about["uid"].as_str().unwrap().split(' ').next().unwrap(), consumer.user.uid.to_string());
    assert_eq!(fs::read_to_string(cache.join("x")).unwrap(), "y");
}

struct JobImage(String);

impl JobImage {
    fn new(user: &User) -> Self {
        let name = format!("{}:1", kit::unique("job-image"));
        let root = tempfile::tempdir().expect("makes a directory");
        let output = Command::new("sh")
            .args(["-c", JOB_IMAGE, "sh", &user.uid.to_string(), &name])
            .current_dir(root.path())
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
        Self(name)
    }
}

impl Drop for JobImage {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["rmi", "--force", &self.0]).output());
    }
}
