//! Two users of one machine, without accounts.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tools::{is_installed, is_root, skip};
use crate::support::{RunResult, Sandbox, strace, trees};

pub(super) const ALICE: u32 = 61_001;
pub(super) const BOB: u32 = 61_002;
/// A group of both.
pub(super) const GROUP: u32 = 61_010;

/// A machine with two users, each with a job directory. None without root or setpriv.
pub(super) struct Users {
    pub(super) sandbox: Sandbox,
}

impl Users {
    pub(super) fn new() -> Option<Self> {
        if !is_root() {
            skip("root", "stores of several users");
            return None;
        }
        if !is_installed("setpriv", "stores of several users") {
            return None;
        }
        // The program is where everybody may run it.
        let sandbox = Sandbox::without_rights().with_own_user();
        for (name, user) in [("alice", ALICE), ("bob", BOB)] {
            let job = sandbox.path(name);
            trees::small(&job.join("tree"), u64::from(user));
            own(&job, user);
        }
        Some(Self { sandbox })
    }

    /// Creates the cache root.
    pub(super) fn with_root(self, owner: u32, mode: u32) -> Self {
        let root = self.sandbox.cache();
        fs::create_dir(root).unwrap();
        chown(root, Some(owner), Some(GROUP)).unwrap();
        trees::set_mode(root, mode);
        self
    }

    pub(super) fn run(&self, user: u32, job: &str, arguments: &[&str]) -> RunResult {
        RunResult::of(&mut self.command(user, job, arguments))
    }

    /// A command of a user in a job directory.
    pub(super) fn command(&self, user: u32, job: &str, arguments: &[&str]) -> Command {
        let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
        let groups = format!("--groups={GROUP}");
        let starter = ["setpriv", &uid, &gid, &groups];
        let job = self.sandbox.path(job);
        self.sandbox.command_behind(&starter, &job, arguments)
    }

    /// Runs a command that is killed when it makes one of some calls for the time `at`. False if it
    /// ended before.
    pub(super) fn kill(
        &self,
        (calls, at): (&str, usize),
        user: u32,
        job: &str,
        arguments: &[&str],
    ) -> bool {
        let command = self.command(user, job, arguments);
        let mut starter = strace::kill(calls, at);
        starter.push(command.get_program().to_str().unwrap().to_owned());
        starter.extend(
            command
                .get_args()
                .map(|word| word.to_str().unwrap().to_owned()),
        );
        let mut killed = Command::new(&starter[0]);
        killed.args(&starter[1..]);
        let variables = command.get_envs();
        let variables = variables.filter_map(|(name, value)| Some((name, value?)));
        killed.env_clear().envs(variables);
        killed.current_dir(self.sandbox.path(job));
        !killed.output().unwrap().status.success()
    }

    pub(super) fn save(&self, user: u32, job: &str, key: &str) -> RunResult {
        self.run(user, job, &["save", "--json", "--key", key, "tree"])
    }

    /// Makes an empty directory for a job.
    pub(super) fn job(&self, name: &str, user: u32) -> PathBuf {
        let job = self.sandbox.path(name);
        fs::create_dir(&job).unwrap();
        own(&job, user);
        job
    }
}

/// Gives a tree to a user.
pub(super) fn own(root: &Path, user: u32) {
    trees::walk(root, &mut |path| {
        std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    });
}
