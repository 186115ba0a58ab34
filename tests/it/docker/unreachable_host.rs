//! Machines on which the host can not be reached, and the messages about it.

use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use super::runner::Runner;
use super::stage::Stage;
use super::support;

#[test]
fn without_a_usable_socket_one_line_says_what_is_wrong() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let directory = runner.user.directory("empty");
    let mounted = format!("--volume={}:/var/run/docker.sock", directory.display());
    let nothing = json!(["Nothing"]);
    let stage = || runner.stage(&nothing);
    for (stage, code, said) in [
        (
            stage().without("socket"),
            "no-socket",
            "/var/run/docker.sock",
        ),
        (
            stage()
                .without("socket")
                .env("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            "kubernetes",
            "pod",
        ),
        (
            stage()
                .without("socket")
                .env("DOCKER_HOST", "tcp://elsewhere:2375"),
            "remote-engine",
            "tcp://elsewhere:2375",
        ),
        (
            stage().without("socket").option(&mounted),
            "engine-elsewhere",
            "is a directory",
        ),
        (
            stage().option("--user=54321:54321"),
            "socket-denied",
            "uid 54321",
        ),
        (stage().without("output"), "engine-elsewhere", "outputs"),
        (
            stage().input("CACHE-ROOT", "/run/cache"),
            "hidden",
            "/run/cache lies below /run",
        ),
    ] {
        let answer = stage.run();
        assert_eq!(answer.problem(), code, "{}", answer.json);
        assert!(answer.text().contains(said), "{}", answer.text());
        assert_eq!(answer.text().lines().count(), 1);
        assert_eq!(answer.json["site"], json!("none"));
    }
    runner.wait_until_clear(std::time::Duration::from_secs(2));
}

fn look_around(runner: &Runner) -> Stage<'_> {
    runner.stage(&json!(["LookAround"]))
}

#[test]
fn a_host_without_the_runners_settings_and_user_is_refused() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let mut runner = Runner::new();

    // Without settings the user in passwd is enough, and a notice reports it.
    fs::rename(
        runner.user.home.join(".runner"),
        runner.user.home.join("away"),
    )
    .unwrap();
    let by_user = look_around(&runner).run();
    assert_eq!(
        by_user.reply()[0]["uid"]
            .as_str()
            .unwrap()
            .split(' ')
            .next(),
        Some(&*runner.user.uid.to_string())
    );
    assert!(
        by_user.outcome()["notices"][0]
            .as_str()
            .unwrap()
            .contains("recognised by the user"),
        "{}",
        by_user.json
    );

    // The user is unknown too, so the engine runs on another host.
    let stranger = 54_321;
    for path in [&runner.workspace, &runner.temp] {
        chown(path, Some(stranger), Some(stranger)).unwrap();
    }
    runner.stage_owner = Some(stranger);
    let elsewhere = look_around(&runner).run();
    assert_eq!(
        elsewhere.problem(),
        "engine-elsewhere",
        "{}",
        elsewhere.json
    );
    // A workflow can force the site.
    let trusted = look_around(&runner).input("SITE", "host").run();
    let home = trusted.reply()[0]["home"].as_str().unwrap();
    assert_eq!(home, runner.workspace.to_str().unwrap());
    assert!(
        trusted.outcome()["notices"][0]
            .as_str()
            .unwrap()
            .contains("`~` is taken to be"),
        "{}",
        trusted.json
    );

    // The settings alone prove the host.
    fs::rename(
        runner.user.home.join("away"),
        runner.user.home.join(".runner"),
    )
    .unwrap();
    let by_settings = look_around(&runner).run();
    assert_eq!(by_settings.reply()[0]["home"], trusted.reply()[0]["home"]);
    for path in [&runner.workspace, &runner.temp] {
        chown(path, Some(runner.user.uid), Some(runner.user.gid)).unwrap();
    }
}

#[test]
fn a_container_that_has_everything_mounted_works_by_itself() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let cache = runner.user.directory("cache");
    let mount = format!("--volume={}:/tmp/runner-cache", cache.display());
    let answer = runner
        .stage(&json!(["LookAround", {"Write": ["/tmp/runner-cache/x", "y"]}]))
        .option(&mount)
        .option(format!("--user={}", runner.user.uid))
        .input("PATH", "/github/workspace/target")
        .without("socket")
        .run();
    assert_eq!(answer.json["site"], json!("here"));
    assert_eq!(answer.reply()[0]["root"], json!("/"));
    assert_eq!(fs::read_to_string(cache.join("x")).unwrap(), "y");

    assert_eq!(
        runner.user.foreign_files(),
        Vec::<std::path::PathBuf>::new()
    );

    // As root the action would create files of root, so a helper does the work.
    let root = runner
        .stage(&json!(["Nothing"]))
        .option(&mount)
        .input("PATH", "/github/workspace")
        .run();
    assert_eq!(
        (&root.json["site"], &root.json["refused"][0][1]),
        (&json!("host"), &json!("other-user"))
    );
    // Files outside of mounts would disappear with the container.
    let group = fs::metadata("/var/run/docker.sock").unwrap().gid();
    let partly = runner
        .stage(&json!(["Nothing"]))
        .option(&mount)
        .option(format!("--user={}:{group}", runner.user.uid))
        .input("PATH", "~/.cargo")
        .run();
    assert_eq!(
        (&partly.json["site"], &partly.json["refused"][0][1]),
        (&json!("host"), &json!("path-not-mounted"))
    );
}
