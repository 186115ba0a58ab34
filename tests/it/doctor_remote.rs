//! `doctor` on a machine with a remote.

use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::{RunResult, Sandbox};

/// The findings about the remote as text.
fn remote_findings(ran: &RunResult) -> Vec<String> {
    let json = ran.json();
    let all = json["checks"].as_array().unwrap();
    let of_remote = all.iter().filter(|check| check["check"] == "remote");
    of_remote
        .map(|check| {
            format!(
                "{} {}",
                check["status"].as_str().unwrap(),
                check["found"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn the_remote_is_tried_and_left_as_it_was() {
    let server = MemoryS3::start(Faults::default());
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let ran = server.run(&sandbox, &job, &["doctor", "--json"]);
    let found = remote_findings(&ran);
    let [text] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(text.starts_with("ok s3://cache/ci answers in "), "{text}");
    assert!(text.contains("listed, read and written"), "{text}");
    assert!(server.names("").is_empty(), "{:?}", server.names(""));
    let requests = server.requests();
    let writes = |method: &str| requests.iter().filter(|it| it.starts_with(method)).count();
    assert_eq!((writes("PUT"), writes("DELETE")), (1, 1), "{requests:?}");
    // A remote that is only read is not written to.
    let before = server.written_bytes();
    let mut command = server.command(&sandbox, &job, &["doctor", "--json"]);
    let ran = RunResult::of(command.env("LOCAL_CACHE_REMOTE", server.remote("&push=never")));
    let found = remote_findings(&ran);
    assert!(
        found[0].starts_with("ok ") && found[0].contains("(push=never)"),
        "{found:?}"
    );
    assert_eq!((found.len(), server.written_bytes()), (1, before));
}

#[test]
fn what_is_wrong_with_the_remote_is_one_finding_for_each_cause() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let find = |faults: Faults| {
        let server = MemoryS3::start(faults);
        let ran = server.run(&sandbox, &job, &["doctor", "--json"]);
        assert!(server.names("").is_empty());
        remote_findings(&ran)
    };
    let refused = |refused: &[&'static str]| Faults {
        refused: refused.to_vec(),
        ..Faults::default()
    };
    let place = "warning the remote s3://cache/ci";
    assert_eq!(
        find(refused(&["PUT"])),
        [format!("{place} does not permit to write")]
    );
    let all = find(refused(&["LIST", "PUT", "GET"]));
    assert_eq!(all, [format!("{place} does not permit to list and write")]);
    let all = find(refused(&["PUT", "GET"]));
    assert_eq!(all, [format!("{place} does not permit to read and write")]);
    let skewed = find(Faults {
        clock: -400,
        ..Faults::default()
    });
    assert_eq!(skewed.len(), 1, "{skewed:?}");
    let text = "warning the clock of the remote s3://cache/ci is 6 min behind this machine's";
    assert!(skewed[0].starts_with(text), "{skewed:?}");
}

#[test]
fn a_dead_remote_and_a_wrong_url_are_one_finding() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let dead = "s3://cache/ci?endpoint=http://127.0.0.1:1";
    for (url, expected) in [
        (dead, "warning the remote s3://cache/ci does not work: "),
        (
            "s3://cache/ci?push=later",
            "warning the remote's option push is ",
        ),
    ] {
        let mut command = sandbox.command(&job, &["doctor", "--json"]);
        command
            .env("LOCAL_CACHE_REMOTE", url)
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        let found = remote_findings(&RunResult::of(&mut command));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
}
