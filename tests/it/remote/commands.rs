//! `local-cache remote`.

use super::write_tree;
use crate::support::Sandbox;
use crate::support::s3::S3Server;

#[test]
fn entries_are_pushed_listed_verified_and_pulled_by_hand() {
    let Some(server) = S3Server::take("the commands of the remote") else {
        return;
    };
    let (a, b) = (Sandbox::new(), Sandbox::new());
    let (job_a, job_b) = (a.job("job"), b.job("job"));
    write_tree(&job_a);
    a.save(&job_a, "linux-aaaaaaa1").succeeded();
    a.save(&job_a, "linux-aaaaaaa2").succeeded();
    let run = |arguments: &[&str]| server.run(&a, &job_a, arguments);
    let pushed = run(&["remote", "push", "--json", "linux-aaaaaaa1"])
        .succeeded()
        .json();
    assert_eq!(pushed["entries"].as_array().unwrap().len(), 1);
    let pushed = run(&["remote", "push", "--json"]).succeeded().json();
    let pushed = pushed["entries"].as_array().unwrap();
    assert_eq!(pushed.len(), 2);
    // The second one has the same contents, so only a manifest and a record are new.
    let second = pushed
        .iter()
        .find(|it| it["key"] == "linux-aaaaaaa2")
        .unwrap();
    assert_eq!(second["segments"], 0);
    let first = pushed
        .iter()
        .find(|it| it["key"] == "linux-aaaaaaa1")
        .unwrap();
    assert_eq!(first["pushed"], false);

    let status = run(&["remote", "status", "--json"]).succeeded().json();
    assert_eq!(status["entries"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&status["damaged"], &status["unreferenced-bytes"]),
        (&0.into(), &0.into())
    );
    let text = run(&["remote", "status"]).succeeded().stdout;
    assert!(
        text.contains("linux-aaaaaaa2") && text.contains("2 entries"),
        "{text}"
    );
    let verified = run(&["remote", "verify", "--json", "--contents"])
        .succeeded()
        .json();
    assert_eq!(verified["intact"], 2);

    let pulled = server.run(&b, &job_b, &["remote", "pull", "--json", "linux-aaaaaaa2"]);
    assert!(
        pulled.succeeded().json()["entries"][0]["downloaded-bytes"]
            .as_u64()
            .unwrap()
            > 0
    );
    assert!(b.restore(&job_b, "linux-aaaaaaa2").succeeded().is_hit());

    let collected = run(&["remote", "gc", "--json", "--keep", "1"])
        .succeeded()
        .json();
    assert_eq!(
        (&collected["removed-entries"], &collected["kept-entries"]),
        (&1.into(), &1.into())
    );
    assert_eq!(collected["removed-objects"], 0);
    let collected = run(&["remote", "gc", "--keep", "1"]).succeeded().stdout;
    assert!(collected.contains("not needed any more"), "{collected}");
    let missing = run(&["remote", "pull", "linux-aaaaaaa1"]).failed(1);
    assert!(
        missing.contains("has no entry with key linux-aaaaaaa1"),
        "{missing}"
    );
}

#[test]
fn what_cannot_be_understood_is_a_usage_error_of_one_line() {
    let a = Sandbox::new();
    let job = a.job("job");
    for (arguments, expected) in [
        (&["remote", "status"][..], "no remote is set"),
        (
            &["remote", "status", "--remote", "none"],
            "no remote is set",
        ),
        (
            &["remote", "status", "--remote", "s3://b/x"],
            "name of a bucket",
        ),
        (
            &[
                "restore",
                "--remote",
                "s3://my-bucket?colour=red",
                "--key",
                "k",
                "t",
            ],
            "colour",
        ),
        (
            &["save", "--remote", "ftp://my-bucket", "--key", "k", "t"],
            "only s3://",
        ),
    ] {
        let line = a.run(&job, arguments).failed(2);
        assert!(line.contains(expected), "{line}");
    }
    let ran = a.run(
        &job,
        &[
            "remote",
            "gc",
            "--remote",
            "s3://my-bucket",
            "--grace",
            "1h",
        ],
    );
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("too short"), "{}", ran.stderr);
}
