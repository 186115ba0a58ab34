//! A remote that does not work: the local cache goes on, with one warning.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::proxy::{Fault, FaultProxy};
use super::write_tree;
use crate::support::mounts::Mount;
use crate::support::s3::S3Server;
use crate::support::{RunResult, Sandbox};

/// Far more than a remote that does not answer may cost, and far less than a hanging program.
const GENEROUS: Duration = Duration::from_secs(30);

/// A save and two restores, one of them with an entry in the store, over a remote that does not
/// work. Returns the warnings of the first run.
fn local_cache_works(run: &dyn Fn(&Sandbox, &[&str]) -> RunResult) -> String {
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    let start = Instant::now();
    let saved = run(&a, &["save", "--json", "--key", "linux-1", "tree"]).exited(0);
    assert!(saved.is_saved());
    let warnings = saved.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].to_owned();
    let restored = run(&a, &["restore", "--json", "--key", "linux-1", "tree"]).exited(0);
    assert!(restored.is_hit() && restored.stderr.is_empty());
    let missed = run(&a, &["restore", "--json", "--key", "macos", "tree"]).exited(0);
    assert!(!missed.is_hit());
    assert_eq!(missed.warnings().len(), 1, "{missed:?}");
    assert!(start.elapsed() < GENEROUS, "{:?}", start.elapsed());
    warning
}

#[test]
fn a_dead_server_is_one_warning_and_later_jobs_leave_it_alone() {
    let Some(server) = S3Server::take("a dead server") else {
        return;
    };
    server.signal("rgw", Signal::SIGKILL);
    let run = |a: &Sandbox, arguments: &[&str]| server.run(a, &a.job("job"), arguments);
    let warning = local_cache_works(&run);
    assert!(warning.contains("does not work: "), "{warning}");
    let b = Sandbox::new();
    let restore = ["restore", "--json", "--key", "k", "tree"];
    run(&b, &restore).exited(0);
    let second = run(&b, &restore).exited(0);
    assert!(
        second.stderr.contains("less than 60 seconds ago"),
        "{second:?}"
    );
    assert_eq!(second.json()["remote"]["requests"], 0);
    server.start();
    let status = run(&b, &["remote", "status"]).succeeded();
    assert!(status.stdout.contains("0 entries"), "{status:?}");
}

#[test]
fn a_server_that_hangs_is_one_warning() {
    let Some(server) = S3Server::take("a server that hangs") else {
        return;
    };
    server.signal("osd", Signal::SIGSTOP);
    let run = |a: &Sandbox, arguments: &[&str]| server.run(a, &a.job("job"), arguments);
    let warning =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| local_cache_works(&run)));
    server.signal("osd", Signal::SIGCONT);
    let warning = warning.unwrap();
    assert!(warning.contains("no answer in time"), "{warning}");
}

#[test]
fn wrong_credentials_and_a_missing_bucket_have_names() {
    let Some(server) = S3Server::take("wrong credentials") else {
        return;
    };
    let cases = [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key is wrong"),
        ("AWS_ACCESS_KEY_ID", "UNKNOWN", "the access key is unknown"),
        ("AWS_ACCESS_KEY_ID", "AKREAD", "the secret key is wrong"),
    ];
    for (variable, value, expected) in cases {
        let run = |a: &Sandbox, arguments: &[&str]| {
            let mut command = server.command(a, &a.job("job"), arguments);
            RunResult::of(command.env(variable, value))
        };
        let warning = local_cache_works(&run);
        assert!(warning.contains(expected), "{warning}");
        let line = run(&Sandbox::new(), &["remote", "status"]).failed(1);
        assert!(line.contains(expected), "{line}");
    }
    let run = |a: &Sandbox, arguments: &[&str]| {
        let mut command = server.command(a, &a.job("job"), arguments);
        let reader = [
            ("AWS_ACCESS_KEY_ID", "AKREAD"),
            ("AWS_SECRET_ACCESS_KEY", "SKREAD"),
        ];
        RunResult::of(command.envs(reader))
    };
    let warning = local_cache_works(&run);
    assert!(warning.contains("does not permit to list"), "{warning}");
    let run = |a: &Sandbox, arguments: &[&str]| {
        let mut command = server.command(a, &a.job("job"), arguments);
        RunResult::of(command.env("LOCAL_CACHE_REMOTE", server.remote_in("no-such-bucket")))
    };
    let warning = local_cache_works(&run);
    assert!(
        warning.contains("has no bucket no-such-bucket"),
        "{warning}"
    );
}

#[test]
fn an_entry_that_does_not_fit_is_a_miss_and_leaves_the_disk_alone() {
    let Some(server) = S3Server::take("an entry that is too large for the disk") else {
        return;
    };
    let Some(small) = Mount::tmpfs(8 << 20, "a small disk for the store") else {
        return;
    };
    let (a, b) = (Sandbox::new(), Sandbox::new());
    let job = a.job("job");
    write_tree(&job);
    server
        .run(&a, &job, &["save", "--key", "linux-1", "tree"])
        .succeeded();
    let b = b.with_cache(small.join("cache"));
    let restore = ["restore", "--json", "--key", "linux-1", "tree"];
    let restored = server.run(&b, &b.job("job"), &restore).exited(0);
    assert!(!restored.is_hit());
    let warnings = restored.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("needs 12"), "{warnings:?}");
    let used: u64 = nix::sys::statvfs::statvfs(small.path())
        .map(|it| (it.blocks() - it.blocks_free()) * it.fragment_size())
        .unwrap();
    assert!(used < 1 << 20, "{used}");
}

#[test]
fn answers_that_end_early_or_are_altered_restore_nothing_wrong() {
    let Some(server) = S3Server::take("altered answers") else {
        return;
    };
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    let save = ["save", "--json", "--key", "linux-1", "tree"];
    server.run(&a, &job, &save).succeeded();
    for fault in [
        Fault::AlterByte {
            path: "/segments/",
            at: 5_000,
        },
        Fault::AlterByte {
            path: "/manifests/",
            at: 500,
        },
        Fault::AlterByte {
            path: "/entries/",
            at: 100,
        },
        Fault::Cut {
            path: "/segments/",
            at: 5_000,
        },
        Fault::Cut {
            path: "/manifests/",
            at: 500,
        },
    ] {
        let proxy = FaultProxy::start(&server.endpoint(), fault);
        let b = Sandbox::new();
        let job = b.job("job");
        let remote = server
            .remote()
            .replace(&server.endpoint(), &proxy.endpoint());
        let restore = [
            "restore", "--json", "--remote", &remote, "--key", "linux-1", "tree",
        ];
        let restored = server.run(&b, &job, &restore).exited(0);
        assert!(proxy.faults() > 0, "{fault:?}");
        if restored.is_hit() {
            // A request that was cut was sent again.
            assert!(matches!(fault, Fault::Cut { .. }), "{fault:?}");
            continue;
        }
        assert_eq!(restored.warnings().len(), 1, "{fault:?}: {restored:?}");
        assert!(!job.join("tree").exists(), "{fault:?}");
        assert!(
            fs::read_dir(b.store().join("entries"))
                .unwrap()
                .next()
                .is_none()
        );
    }
}

#[test]
fn a_lost_answer_to_a_write_is_no_failure() {
    let Some(server) = S3Server::take("lost answers") else {
        return;
    };
    for path in ["/segments/", "/manifests/", "/entries/"] {
        let proxy = FaultProxy::start(&server.endpoint(), Fault::LoseAnswer { path });
        let (a, b) = (Sandbox::new(), Sandbox::new());
        let (job_a, job_b) = (a.job("job"), b.job("job"));
        write_tree(&job_a);
        let remote = server
            .remote()
            .replace(&server.endpoint(), &proxy.endpoint());
        let key = format!("linux{}", path.replace('/', "-"));
        let save = ["save", "--json", "--remote", &remote, "--key", &key, "tree"];
        let saved = server.run(&a, &job_a, &save).succeeded().json();
        assert_eq!(
            (proxy.faults(), &saved["remote"]["pushed-entries"]),
            (1, &1.into())
        );
        let restore = ["restore", "--json", "--key", &key, "tree"];
        assert!(server.run(&b, &job_b, &restore).succeeded().is_hit());
    }
}
