//! The policies in docs/remote.md, applied to the server.

use std::fs;
use std::process::Command;

use super::write_tree;
use crate::support::repository::root;
use crate::support::s3::{KEY, S3Server, SECRET};
use crate::support::{RunResult, Sandbox};

/// The entries of a branch, which its pull requests read.
const MAIN: [&str; 4] = ["--repository", "acme/app", "--ref", "main"];

/// The JSON blocks of the document, for the prefix of a test and its second user.
pub(super) fn policies(server: &S3Server) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/remote.md")).unwrap();
    let blocks = text.split("```json\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let for_test = |block: &str| {
        block
            .replace("user/writer", "user/reader")
            .replace("user/pull-requests", "user/reader")
            .replace("my-bucket/ci/", &format!("cache/{}/", server.prefix()))
            .replace("my-bucket", "cache")
    };
    blocks.map(for_test).collect()
}

/// Makes a command one of a run for a pull request.
pub(super) fn in_pull_request(command: &mut Command) {
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_REPOSITORY", "acme/app")
        .env("GITHUB_BASE_REF", "main")
        .env("GITHUB_REF", "refs/pull/7/merge");
}

/// Sets the policy of the bucket; without one, removes it.
fn set_policy(server: &S3Server, policy: Option<&str>) {
    let digest = Command::new("sh")
        .args(["-c", "printf %s \"$1\" | sha256sum | cut -d' ' -f1", "sh"])
        .arg(policy.unwrap_or_default())
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user"])
        .arg(format!("{KEY}:{SECRET}"))
        .arg("-H")
        .arg(format!("x-amz-content-sha256: {}", digest.trim()))
        .arg(format!("{}/cache?policy=", server.endpoint()));
    match policy {
        Some(policy) => curl.args([
            "-X",
            "PUT",
            "-H",
            "content-type: application/json",
            "-d",
            policy,
        ]),
        None => curl.args(["-X", "DELETE"]),
    };
    let answer = curl.output().unwrap();
    assert!(answer.status.success(), "{answer:?}");
}

#[test]
fn the_policies_of_the_documentation_permit_what_it_says() {
    let Some(server) = S3Server::take("the policies of a bucket") else {
        return;
    };
    let policies = policies(&server);
    assert_eq!(policies.len(), 2);
    let owner = Sandbox::new();
    let job = owner.job("job");
    write_tree(&job);
    server
        .run(
            &owner,
            &job,
            &[&["save", "--key", "k", "tree"][..], &MAIN].concat(),
        )
        .succeeded();

    let run = |pull_request: bool, arguments: &[&str]| {
        let machine = Sandbox::new();
        let job = machine.job("job");
        write_tree(&job);
        let of_main = if pull_request || matches!(arguments[0], "remote" | "doctor") {
            &[][..]
        } else {
            &MAIN
        };
        let mut command = server.command(&machine, &job, &[arguments, of_main].concat());
        command
            .env("AWS_ACCESS_KEY_ID", "AKREAD")
            .env("AWS_SECRET_ACCESS_KEY", "SKREAD");
        if pull_request {
            in_pull_request(&mut command);
        }
        RunResult::of(&mut command)
    };
    let restore = ["restore", "--json", "--key", "k", "tree"];
    let save = |key| ["save", "--json", "--key", key, "tree"];

    set_policy(&server, Some(&policies[1]));
    assert!(run(false, &restore).succeeded().is_hit());
    assert!(run(true, &restore).succeeded().is_hit());
    let refused = run(false, &save("forged")).exited(0);
    assert!(
        refused.stderr.contains("does not permit to write"),
        "{refused:?}"
    );
    let saved = run(true, &save("k2")).succeeded().json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let checked = |pull_request: bool| {
        let json = run(pull_request, &["doctor", "--json"]).json();
        let all = json["checks"].as_array().unwrap();
        let mut of_remote = all.iter().filter(|check| check["check"] == "remote");
        let found = of_remote.next().unwrap()["found"].clone();
        assert!(of_remote.next().is_none(), "{json:#}");
        found.as_str().unwrap().to_owned()
    };
    let found = checked(false);
    assert!(found.ends_with(" does not permit to write"), "{found}");
    let found = checked(true);
    assert!(
        found.contains("read and written, and not deleted"),
        "{found}"
    );

    set_policy(&server, Some(&policies[0]));
    let saved = run(false, &save("k3")).succeeded().json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let found = checked(false);
    assert!(
        found.contains("; entries may be listed, read and written; "),
        "{found}"
    );
    run(false, &["remote", "gc", "--keep", "1"]).succeeded();
    set_policy(&server, None);
    let found = checked(false);
    assert!(
        found.ends_with(" does not permit to list and write"),
        "{found}"
    );
    let refused = run(false, &restore).exited(0);
    assert!(
        refused.stderr.contains("does not permit to list"),
        "{refused:?}"
    );
}
