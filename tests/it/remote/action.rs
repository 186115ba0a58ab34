//! The action with a remote: its phases in this process, on machines that share a bucket.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::machine::{Job, Machine};
use crate::support::s3::{KEY, S3Server, SECRET};
use crate::support::step::{PhaseResult, Step, data_step};
use crate::support::trees::walk;

/// Far more than a remote that does not work may cost, and far less than a hanging program.
const GENEROUS: Duration = Duration::from_secs(30);

/// A step that caches `data` in the store and in the remote of the test.
fn step<'j>(server: &S3Server, job: &'j Job<'j>, key: &str) -> Step<'j> {
    data_step(job, key)
        .with("remote", &server.remote())
        .var("AWS_ACCESS_KEY_ID", KEY)
        .var("AWS_SECRET_ACCESS_KEY", SECRET)
}

/// Makes `data` and saves it.
fn save(mut step: Step<'_>, job: &Job<'_>, contents: &str) -> PhaseResult {
    job.file("data/file", contents);
    step.pre().passed();
    step.main().passed();
    step.post().passed()
}

#[test]
fn a_job_restores_what_a_job_on_another_machine_saved() {
    let Some(server) = S3Server::take("the action with a remote") else {
        return;
    };
    let (a, b) = (Machine::new(), Machine::new());
    let job = a.job();
    save(step(&server, &job, "k"), &job, "of a")
        .logs("1 entry pushed")
        .does_not_log("::warning");
    let job = b.job();
    let mut found = step(&server, &job, "k");
    let main = found.main().passed();
    assert_eq!(main.hit(), "true");
    let main = main.logs("1 entry pulled").does_not_log("::warning");
    assert_eq!(
        job.read("data/file").as_deref(),
        Some("of a"),
        "{}",
        main.log
    );
    found.post().passed().does_not_log("pushed");
    // It is in the store of this machine now.
    let job = b.job();
    let again = step(&server, &job, "k").main().passed();
    assert_eq!(again.hit(), "true");
    again.does_not_log("requests");
}

#[test]
fn the_remote_of_a_machine_is_used_unless_the_step_turns_it_off() {
    let Some(server) = S3Server::take("the action with the remote of a machine") else {
        return;
    };
    let machine = Machine::new();
    let config = machine.home().join(".config/local-cache/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, format!("remote = \"{}\"", server.remote())).unwrap();
    let job = machine.job();
    let none = step(&server, &job, "k").with("remote", "none");
    save(none, &job, "x").does_not_log("pushed");
    let job = machine.job();
    let of_machine = |key| step(&server, &job, key).with("remote", "");
    save(of_machine("k2"), &job, "x").logs("1 entry pushed");
    let by_variable = step(&server, &job, "k3")
        .with("remote", "")
        .var("LOCAL_CACHE_REMOTE", "none");
    save(by_variable, &job, "x").does_not_log("pushed");
    fs::write(&config, "remotes = 1").unwrap();
    let main = of_machine("k4").main().passed();
    main.logs("the only setting is remote");
}

#[test]
fn a_branch_does_not_restore_what_a_pull_request_pushed() {
    let Some(server) = S3Server::take("the action in a pull request") else {
        return;
    };
    let (a, b) = (Machine::new(), Machine::new());
    for head in ["acme/widget", "mallory/widget"] {
        let job = a.job().pull_request(7, head, "main");
        let step_of = |job| step(&server, job, head);
        save(step_of(&job), &job, "forged").logs("1 entry pushed");
        let job = b.job();
        let missed = step_of(&job).main().passed();
        assert_eq!(missed.hit(), "", "{}", missed.log);
        // Another run of the pull request does.
        let job = b.job().pull_request(7, head, "main");
        let found = step_of(&job).main().passed();
        assert_eq!(found.hit(), "true", "{}", found.log);
    }
    // What pull requests share with branches stays on the machine.
    let job = a.job().pull_request(7, "acme/widget", "main");
    let shared = step(&server, &job, "shared").with("branch-isolation", "false");
    save(shared, &job, "forged").logs("branches read it");
}

#[test]
fn credentials_of_a_step_appear_nowhere() {
    let Some(server) = S3Server::take("the search for the action's credentials") else {
        return;
    };
    let machine = Machine::new();
    let mut shown = String::new();
    let remotes = [server.remote(), server.remote_in("no-such-bucket")];
    for (key, remote) in ["k1", "k2"].into_iter().zip(remotes) {
        let job = machine.job();
        job.file("data/file", "x");
        let mut step = step(&server, &job, key)
            .with("remote", &remote)
            .with("log-level", "trace")
            .var("LOCAL_CACHE_LOG", "trace");
        for result in [step.pre(), step.main(), step.post()] {
            let result = result.passed();
            shown.push_str(&result.log);
            shown.push_str(&result.summary);
            shown.extend(
                result
                    .state
                    .into_values()
                    .chain(result.outputs.into_values()),
            );
        }
    }
    assert!(shown.contains("has no bucket no-such-bucket"), "{shown}");
    assert!(shown.contains("request"), "{shown}");
    assert!(!shown.contains(KEY) && !shown.contains(SECRET), "{shown}");
    walk(&machine.path(""), &mut |path| {
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains(KEY) && !text.contains(SECRET),
            "{}",
            path.display()
        );
    });
}

#[test]
fn a_remote_that_does_not_work_costs_a_phase_one_warning() {
    type Change = for<'j> fn(&S3Server, Step<'j>) -> Step<'j>;
    let Some(server) = S3Server::take("the action with a remote that does not work") else {
        return;
    };
    let refused: Change = |_, step| step.with("remote", "s3://cache?endpoint=http://127.0.0.1:1");
    let secret: Change = |_, step| step.var("AWS_SECRET_ACCESS_KEY", "wrong");
    let bucket: Change = |server, step| step.with("remote", &server.remote_in("no-such-bucket"));
    let hangs: Change = |_, step| step;
    for (change, expected) in [
        (refused, "does not work: Connection refused"),
        (secret, "the secret key is wrong"),
        (bucket, "has no bucket no-such-bucket"),
        (hangs, "does not work: no answer in time"),
    ] {
        let machine = Machine::new();
        let start = Instant::now();
        let stops = expected.contains("no answer");
        if stops {
            server.signal("osd", Signal::SIGSTOP);
        }
        let job = machine.job();
        job.file("data/file", "x");
        let mut changed = change(&server, step(&server, &job, "k"));
        let results = [changed.main(), changed.post()];
        let job = machine.job();
        let again = change(&server, step(&server, &job, "k")).main();
        if stops {
            server.signal("osd", Signal::SIGCONT);
        }
        assert!(start.elapsed() < GENEROUS, "{:?}", start.elapsed());
        let [main, post] = results.map(PhaseResult::passed);
        for result in [&main, &post] {
            let warnings = result.log.matches("::warning").count();
            assert_eq!(warnings, 1, "{expected}: {}", result.log);
        }
        main.logs(expected);
        post.logs("Cache saved with key: k");
        assert_eq!(again.hit(), "true", "{}", again.log);
        again.does_not_log("::warning");
    }
}
