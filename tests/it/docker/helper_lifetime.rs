//! A helper ends with its parent, by a signal, or at its time limit, and never later.

use serde_json::json;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use local_cache::site::supervise::ORPHAN_GRACE;

use super::runner::Runner;
use super::support;

const FILE: &str = "/github/workspace/working";

#[test]
fn a_helper_is_gone_within_a_second_after_its_parent_died() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let file = runner.workspace.join("working");
    for end in [&["kill", "--signal", "KILL"][..], &["rm", "--force"]] {
        let stage = runner.stage(&json!([{ "UntilCancelled": FILE }])).start();
        stage.wait_for(&file);
        assert_eq!(runner.containers().len(), 2, "{:?}", runner.containers());
        let killed = Instant::now();
        let status = Command::new("docker")
            .args(end)
            .arg(&stage.name)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        // Measured from before the kill command, so it includes that command and the engine's
        // cleanup.
        runner.wait_until_clear(Duration::from_secs(5));
        let elapsed = killed.elapsed();
        drop(writeln!(
            io::stderr(),
            "parent dead by docker {}: all gone after {} ms",
            end[0],
            elapsed.as_millis()
        ));
        assert!(elapsed < Duration::from_secs(1), "{end:?}: {elapsed:?}");
        assert!(
            !file.exists(),
            "{end:?}: the work was killed, not cancelled"
        );
        drop(stage.finish());
    }
}

#[test]
fn a_helper_that_does_not_stop_is_gone_within_a_second_as_well() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let stage = runner.stage(&json!([{ "Stubborn": FILE }])).start();
    stage.wait_for(&runner.workspace.join("working"));
    let killed = Instant::now();
    stage.signal("KILL");
    runner.wait_until_clear(Duration::from_secs(5));
    let elapsed = killed.elapsed();
    assert!(
        (ORPHAN_GRACE..Duration::from_secs(1)).contains(&elapsed),
        "{elapsed:?}"
    );
    drop(stage.finish());
}

#[test]
fn signals_reach_the_worker_and_its_reply_arrives() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let file = runner.workspace.join("working");
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let stage = runner.stage(&json!([{ "UntilCancelled": FILE }])).start();
        stage.wait_for(&file);
        let sent = Instant::now();
        stage.signal(name);
        let answer = stage.finish();
        assert_eq!(answer.reply(), &json!([{"ok": null}]));
        assert_eq!(
            answer.outcome()["stop_reason"],
            json!(format!("Signal({number})"))
        );
        assert!(
            sent.elapsed() < Duration::from_secs(3),
            "{:?}",
            sent.elapsed()
        );
        assert!(!file.exists());
    }
    runner.wait_until_clear(Duration::from_secs(2));
}

#[test]
fn a_worker_that_ignores_a_signal_is_killed_after_the_grace_time() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let stage = runner
        .stage(&json!([{ "Stubborn": FILE }]))
        .input("GRACE", "1000")
        .start();
    stage.wait_for(&runner.workspace.join("working"));
    let sent = Instant::now();
    stage.signal("INT");
    let answer = stage.finish();
    assert_eq!(answer.problem(), "cancelled");
    assert!(answer.text().contains("SIGINT"), "{}", answer.json);
    // The runner sends SIGTERM after 7.5 s. The usual grace time of 5 s leaves as much time as
    // here.
    assert!(
        sent.elapsed() < Duration::from_secs(3),
        "{:?}",
        sent.elapsed()
    );
    runner.wait_until_clear(Duration::from_secs(2));
}

#[test]
fn at_the_time_limit_the_worker_replies_with_what_it_has() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let stopped = runner
        .stage(&json!([{ "UntilCancelled": FILE }]))
        .input("TIMEOUT", "300")
        .run();
    assert_eq!(stopped.reply(), &json!([{"ok": null}]));
    assert_eq!(stopped.outcome()["stop_reason"], json!("Timeout"));
    let stubborn = runner
        .stage(&json!([{ "Stubborn": FILE }]))
        .input("TIMEOUT", "300")
        .input("GRACE", "500")
        .run();
    assert_eq!(stubborn.problem(), "timed-out");
    assert!(
        stubborn.elapsed < Duration::from_secs(10),
        "{:?}",
        stubborn.elapsed
    );
    runner.wait_until_clear(Duration::from_secs(2));
}
