//! Two machines with a network of their own, and a link that is slow or fails.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::background::wait_until;
use super::link::LinkedMachine;
use super::write_tree;
use crate::support::s3::{KEY, S3Server, SECRET};
use crate::support::tools::rsync_sees_no_difference;
use crate::support::{RunResult, Sandbox, trees};

/// More than the stated limits of the remote, and less than a hanging program.
const GENEROUS: Duration = Duration::from_secs(60);
/// What a fault comes after: more than everything but contents, and less than those.
const IN_THE_MIDDLE: u64 = 6 << 20;
const SAVE: [&str; 5] = ["save", "--json", "--key", "linux-1", "tree"];
const RESTORE: [&str; 5] = ["restore", "--json", "--key", "linux-1", "tree"];

/// A machine with a store, a job and a link to the server.
struct Machine {
    sandbox: Sandbox,
    job: std::path::PathBuf,
    link: LinkedMachine,
    remote: String,
}

impl Machine {
    #[track_caller]
    fn new(server: &S3Server, what: &str) -> Option<Self> {
        let link = LinkedMachine::reaching(&server.endpoint(), what)?;
        let sandbox = Sandbox::new();
        Some(Self {
            job: sandbox.job("job"),
            remote: server
                .remote()
                .replace(&server.endpoint(), &link.endpoint()),
            sandbox,
            link,
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let starter = self.link.starter();
        let mut command = self.sandbox.command_behind(&starter, &self.job, arguments);
        command
            .env("LOCAL_CACHE_REMOTE", &self.remote)
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    fn run(&self, arguments: &[&str]) -> RunResult {
        RunResult::of(&mut self.command(arguments))
    }

    /// Starts a command and waits until some of the contents went over the link.
    fn start(&self, arguments: &[&str]) -> Child {
        let before = self.link.carried();
        let child = self.command(arguments).spawn().unwrap();
        wait_until("contents go over the link", || {
            self.link.carried() > before + IN_THE_MIDDLE
        });
        child
    }

    /// What a job does after a failure of the remote, without it.
    fn goes_on(&self, failed: &RunResult, start: Instant) {
        assert!(start.elapsed() < GENEROUS, "{:?}", start.elapsed());
        let warnings = failed.warnings();
        assert_eq!(warnings.len(), 1, "{failed:?}");
        assert!(warnings[0].contains("does not work: "), "{failed:?}");
        let later = self
            .run(&["restore", "--json", "--key", "other", "tree"])
            .exited(0);
        assert!(!later.is_hit());
        assert_eq!(later.json()["remote"]["requests"], 0, "{later:?}");
    }
}

/// A server and two machines that use it, if the test can have them.
fn two_machines(what: &str) -> Option<(S3Server, Machine, Machine)> {
    let server = S3Server::take(what)?;
    let [a, b] = [(); 2].map(|()| Machine::new(&server, what));
    Some((server, a?, b?))
}

/// Adds contents that cannot be compressed and take seconds on the link.
fn write_large_tree(job: &Path) -> std::path::PathBuf {
    let tree = write_tree(job);
    for number in 0..8 {
        let bytes = trees::random_bytes(number, 4 << 20);
        trees::write(&tree.join(format!("noise-{number}")), &bytes);
    }
    tree
}

#[test]
fn a_machine_restores_over_a_slow_link_what_another_one_saved() {
    let Some((_server, a, b)) = two_machines("a restore over a slow link") else {
        return;
    };
    let tree = write_tree(&a.job);
    let saved = a.run(&SAVE).succeeded().json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let restored = b.run(&RESTORE).succeeded().json();
    assert_eq!(restored["remote"]["pulled-entries"], 1);
    for (link, figure) in [
        (&a.link, &saved["remote"]["sent-bytes"]),
        (&b.link, &restored["remote"]["received-bytes"]),
    ] {
        assert!(link.carried() > figure.as_u64().unwrap(), "{figure}");
    }
    rsync_sees_no_difference(&tree, &b.job.join("tree"));
}

#[test]
fn a_link_that_fails_during_a_pull_is_one_warning_and_a_miss() {
    let Some((_server, a, b)) = two_machines("a link that fails during a pull") else {
        return;
    };
    let tree = write_large_tree(&a.job);
    a.run(&SAVE).succeeded();
    let restore = b.start(&RESTORE);
    let start = Instant::now();
    b.link.take_down();
    let failed = RunResult::wait_for(restore).exited(0);
    assert!(
        !failed.is_hit() && !b.job.join("tree").exists(),
        "{failed:?}"
    );
    b.goes_on(&failed, start);
    // The contents that arrived are not part of an entry.
    b.link.bring_up();
    let pull = ["remote", "pull", "--json", "linux-1"];
    b.run(&pull).succeeded();
    assert!(b.run(&RESTORE).exited(0).is_hit());
    rsync_sees_no_difference(&tree, &b.job.join("tree"));
}

#[test]
fn a_link_that_fails_during_a_push_is_one_warning_and_the_entry_is_saved() {
    let Some((_server, mut a, b)) = two_machines("a link that fails during a push") else {
        return;
    };
    let tree = write_large_tree(&a.job);
    let remote = a.remote.clone();
    // Otherwise the limit is that of a full segment at the lowest rate, which is more than a minute.
    a.remote += "&timeout=8s";
    let save = a.start(&SAVE);
    let start = Instant::now();
    a.link.take_down();
    let failed = RunResult::wait_for(save).exited(0);
    assert!(failed.is_saved(), "{failed:?}");
    assert!(start.elapsed() < GENEROUS, "{:?}", start.elapsed());
    assert_eq!(failed.warnings().len(), 1, "{failed:?}");
    assert!(a.run(&RESTORE).exited(0).is_hit());
    // Nobody sees half of an entry, and the next push continues.
    let status = b.run(&["remote", "status", "--json"]).succeeded().json();
    assert_eq!(status["entries"].as_array().unwrap().len(), 0, "{status:#}");
    a.link.bring_up();
    a.remote = remote;
    a.run(&["remote", "push", "linux-1"]).succeeded();
    assert!(b.run(&RESTORE).succeeded().is_hit());
    rsync_sees_no_difference(&tree, &b.job.join("tree"));
}

#[test]
fn a_link_that_comes_back_soon_is_no_failure() {
    let Some((_server, a, b)) = two_machines("a link that comes back") else {
        return;
    };
    let tree = write_large_tree(&a.job);
    let interrupt = |machine: &Machine, arguments: &[&str]| {
        let child = machine.start(arguments);
        machine.link.take_down();
        std::thread::sleep(Duration::from_millis(300));
        machine.link.bring_up();
        RunResult::wait_for(child).succeeded().json()
    };
    let saved = interrupt(&a, &SAVE);
    assert_eq!(saved["remote"]["pushed-entries"], 1, "{saved:#}");
    let restored = interrupt(&b, &RESTORE);
    assert_eq!(restored["remote"]["pulled-entries"], 1, "{restored:#}");
    rsync_sees_no_difference(&tree, &b.job.join("tree"));
}
