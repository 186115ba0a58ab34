//! What jobs do to the place: checkouts, changes, killed builds.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::change::Change;
use super::super::job::{Job, Step, Times, command};
use super::Run;
use crate::cargo::fresh::support::files::{long_ago, set_time, set_times, tomorrow, write_node};
use crate::cargo::fresh::support::{Files, place};

impl Run {
    pub(super) fn targets(&self) -> [PathBuf; 2] {
        [
            self.host.checkout().join("target"),
            self.host.path("place/elsewhere"),
        ]
    }

    pub(super) fn remove_targets(&self) {
        self.targets()
            .iter()
            .for_each(|it| drop(fs::remove_dir_all(it)));
    }

    /// The target directory that is used.
    pub(super) fn target(&self) -> PathBuf {
        let [inside, elsewhere] = self.targets();
        if self.world.is_target_elsewhere {
            elsewhere
        } else {
            inside
        }
    }

    pub(super) fn check_out(&mut self, job: &Job, files: &Files) -> String {
        let root = self.host.place();
        if job.is_persistent && !self.disk.0.is_empty() {
            for path in self
                .disk
                .0
                .keys()
                .filter(|path| !files.0.contains_key(*path))
            {
                drop(fs::remove_file(root.join(path)));
            }
            let now = place::sources(&root);
            let differing = files
                .0
                .iter()
                .filter(|(path, node)| now.get(*path) != Some(*node));
            for (path, node) in differing {
                write_node(&root.join(path), node);
            }
        } else {
            for name in ["repo", "outside"] {
                drop(fs::remove_dir_all(root.join(name)));
            }
            if !job.keeps_elsewhere {
                self.remove_targets();
            }
            files.write(&root);
        }
        self.disk = files.clone();
        let mut order = job.steps.iter();
        let first = order.find(|it| !matches!(it, Step::Change(..) | Step::SetVariable(_)));
        if !matches!(first, Some(Step::Restore { .. })) {
            self.remove_targets();
        }
        if job.checkout_times == Times::Old {
            set_times(&root, long_ago());
        }
        if !self.world.uses_git {
            return String::new();
        }
        let checkout = self.host.checkout();
        if !checkout.join(".git").exists() {
            self.host.git(&checkout, &["init", "-q"]);
        }
        self.host.git(&checkout, &["add", "-A"]);
        let message = format!("commit {}", job.commit_number);
        self.host.git(
            &checkout,
            &["commit", "-q", "--allow-empty", "-m", &message],
        );
        self.host.git(&checkout, &["rev-parse", "HEAD"])
    }

    pub(super) fn change(&self, change: &Change, times: Times) {
        for (path, node) in &change.nodes {
            let path = self.host.place().join(path);
            let before = path.symlink_metadata().and_then(|it| it.modified());
            let Some(node) = node else {
                drop(fs::remove_file(&path));
                continue;
            };
            write_node(&path, node);
            match times {
                Times::Now => {}
                Times::Old => set_time(&path, long_ago()),
                Times::Future => set_time(&path, tomorrow()),
                Times::Kept => set_time(&path, before.unwrap_or_else(|_| long_ago())),
            }
        }
    }

    pub(super) fn kill(&self, number: usize, milliseconds: u64) {
        let mut cargo = self
            .host
            .cargo_command(&self.host.checkout(), command(number));
        cargo
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = cargo.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
        killpg(group, Signal::SIGKILL).ok();
        child.wait().unwrap();
    }
}
