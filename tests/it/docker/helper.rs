//! What a helper on the host may do, what it sees, and how its output is returned.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::Duration;

use super::runner::Runner;
use super::support::{self, docker};

#[test]
fn a_helper_has_the_rights_of_the_runners_user_and_no_others() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let user = &runner.user;
    user.file(&user.home.join("private"), "mine");
    fs::set_permissions(user.home.join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let home = user.home.to_str().unwrap();
    let answer = runner
        .stage(&json!([
            "LookAround",
            {"Read": format!("{home}/private")},
            {"Read": "/etc/shadow"},
            {"Write": ["/etc/local-cache-test", "x"]},
            {"Write": ["/github/workspace/made", "x"]},
            {"Locate": "~/.cargo"},
        ]))
        .run();
    let reply = answer.reply();
    let (uid, gid) = (user.uid, user.gid);
    let four = |number: u32| json!(format!("{number} {number} {number} {number}"));
    let none = json!("0000000000000000");
    let about = &reply[0];
    assert_eq!((&about["uid"], &about["gid"]), (&four(uid), &four(gid)));
    assert_eq!(about["groups"], json!(gid.to_string()));
    for set in ["cap_eff", "cap_prm", "cap_bnd", "cap_inh", "cap_amb"] {
        assert_eq!(about[set], none, "{set}");
    }
    assert_eq!(
        (&about["no_new_privs"], &about["seccomp"]),
        (&json!("1"), &json!("2"))
    );
    assert_eq!(about["interfaces"], json!({"ok": ["lo"]}));
    assert_eq!(about["own_root"]["error"], json!("ReadOnlyFilesystem"));
    assert_eq!(about["home"], json!(home));
    assert_eq!(reply[1], json!({"ok": "mine"}));
    assert_eq!(reply[2]["error"], json!("PermissionDenied"));
    assert_eq!(reply[3]["error"], json!("PermissionDenied"));
    assert_eq!(reply[4], json!({"ok": null}));
    assert_eq!(reply[5], json!({"ok": format!("/host{home}/.cargo")}));
    assert_eq!(
        fs::read_to_string(runner.workspace.join("made")).unwrap(),
        "x"
    );
    assert_eq!(user.foreign_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(answer.outcome()["notices"], json!([]));
    runner.wait_until_clear(Duration::from_secs(2));
}

#[test]
fn a_helper_sees_no_processes_devices_sockets_or_other_containers_of_the_host() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let hidden = [
        "/host/proc",
        "/host/sys",
        "/host/dev",
        "/host/run",
        "/host/var/lib/docker",
    ];
    let mut work: Vec<Value> = hidden.iter().map(|path| json!({ "List": path })).collect();
    work.push(json!({"List": "/host/etc"}));
    work.push(json!({"Locate": "/var/run/cache"}));
    let answer = runner.stage(&Value::from(work)).run();
    for (number, path) in hidden.iter().enumerate() {
        assert_eq!(answer.reply()[number], json!({"ok": []}), "{path}");
    }
    assert!(answer.reply()[5]["ok"].as_array().unwrap().len() > 10);
    // /var/run is a symlink to /run on the host.
    assert!(
        answer.reply()[6]["text"]
            .as_str()
            .unwrap()
            .contains("hidden"),
        "{}",
        answer.json
    );
}

#[test]
fn supplementary_groups_come_from_the_host_and_cost_a_second_helper_only_once() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let mut runner = Runner::new();
    let gid = runner.user.join_new_group();
    runner.user.join("docker");
    let shared = runner.workspace.join("of-the-group");
    runner.user.file(&shared, "ours");
    chown(&shared, Some(0), Some(gid)).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o640)).unwrap();
    let stage = runner.stage(&json!(["LookAround", {"Read": "/github/workspace/of-the-group"}]));

    let first = stage.clone().run();
    assert_eq!(first.reply()[1], json!({"ok": "ours"}));
    // The user is in the group of the engine's socket, which would give a helper the rights of
    // root.
    assert_eq!(
        first.reply()[0]["groups"],
        json!(format!("{} {gid}", runner.user.gid))
    );
    assert_eq!(helpers_of(&runner, &first.container), 2);

    let identity = first.outcome()["identity"].to_string();
    let second = stage.input("IDENTITY", &identity).run();
    assert_eq!(second.reply()[1], json!({"ok": "ours"}));
    assert_eq!(helpers_of(&runner, &second.container), 1);
    fs::remove_file(shared).unwrap();
}

/// The number of helpers that the stage started, from the engine's events.
fn helpers_of(runner: &Runner, stage: &str) -> usize {
    let now = docker(&["info", "--format", "{{.SystemTime}}"]);
    let label = format!("label={}", runner.label);
    let format = "{{.Action}} {{.Actor.Attributes.name}}";
    let events = docker(&[
        "events", "--since", "10m", "--until", &now, "--filter", &label, "--format", format,
    ]);
    let begin = events
        .lines()
        .position(|line| line == format!("create {stage}"))
        .expect("the stage was made");
    let of_stage = events
        .lines()
        .skip(begin + 1)
        .take_while(|line| !line.starts_with("create local-cache-test-stage"));
    of_stage
        .filter(|line| line.starts_with("create local-cache-helper-"))
        .count()
}

#[test]
fn symlinks_of_the_host_are_resolved_as_on_the_host() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let data = runner.user.directory("data/cargo");
    symlink(&data, runner.user.home.join(".cargo")).unwrap();
    // A workspace that is a symlink, with the name of the runner's mount.
    let real = runner.user.directory("elsewhere");
    fs::remove_dir(&runner.workspace).unwrap();
    symlink(&real, &runner.workspace).unwrap();
    let answer = runner
        .stage(
            &json!([{"Write": ["~/.cargo/config", "x"]}, {"Write": ["/github/workspace/w", "y"]}]),
        )
        .run();
    assert_eq!(answer.reply(), &json!([{"ok": null}, {"ok": null}]));
    assert_eq!(fs::read_to_string(data.join("config")).unwrap(), "x");
    assert_eq!(fs::read_to_string(real.join("w")).unwrap(), "y");
    fs::remove_file(&runner.workspace).unwrap();
    fs::remove_file(runner.user.home.join(".cargo")).unwrap();
}

#[test]
fn names_with_spaces_and_quotes_arrive_unchanged() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::with_repository("a 'b' \"c\" \\d $e ü");
    let answer = runner
        .stage(&json!([{"Write": ["/github/workspace/x 'y'", "z"]}]))
        .run();
    assert_eq!(answer.reply(), &json!([{"ok": null}]));
    assert_eq!(
        fs::read_to_string(runner.workspace.join("x 'y'")).unwrap(),
        "z"
    );
}

#[test]
fn log_lines_arrive_while_the_worker_runs() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let answer = runner.stage(&json!([{"Say": [5, 300]}])).run();
    assert_eq!(answer.reply(), &json!([null]));
    let expected: Vec<String> = (0..5).map(|number| format!("log: line {number}")).collect();
    assert_eq!(
        answer
            .log
            .iter()
            .map(|(_, line)| line.clone())
            .collect::<Vec<_>>(),
        expected
    );
    let spread = answer.log[4].0.saturating_sub(answer.log[0].0);
    assert!(
        spread > Duration::from_millis(900),
        "all at once: {:?}",
        answer.log
    );
}

#[test]
fn a_long_reply_arrives_whole_despite_unframed_output() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let bytes = 8 << 20;
    let answer = runner
        .stage(&json!([{"Print": "stray\nlocal-cache-reply-0 {} no end"}, {"Big": bytes}]))
        .run();
    assert_eq!(answer.reply()[1].as_str().unwrap().len(), bytes);
    let log: Vec<&str> = answer.log.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(log, ["log: stray", "log: local-cache-reply-0 {} no end"]);
}

#[test]
fn a_worker_that_ends_without_a_reply_is_reported_with_its_last_output() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let panicked = runner.stage(&json!([{"Say": [1, 0]}, "Panic"])).run();
    assert_eq!(panicked.problem(), "no-reply");
    assert!(panicked.text().contains("panicked"), "{}", panicked.json);
    assert!(
        panicked
            .log
            .iter()
            .any(|(_, line)| line.contains("on purpose")),
        "{:?}",
        panicked.log
    );

    let aborted = runner.stage(&json!([{"Say": [1, 0]}, "Abort"])).run();
    assert_eq!(aborted.problem(), "no-reply");
    // As process 1 it ignores the signal of abort, so it ends by a fault.
    assert!(aborted.text().contains("signal 11"), "{}", aborted.json);
    assert!(aborted.text().contains("line 0"), "{}", aborted.json);
    runner.wait_until_clear(Duration::from_secs(2));
}
