//! The remote on a real S3 server, through the command line.

mod action;
pub(crate) mod background;
mod cargo;
mod commands;
mod failures;
mod link;
mod machines;
mod oidc;
mod one_pusher;
mod policies;
mod proxy;
mod signed;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;
use crate::support::s3::{KEY, S3Server, SECRET};
use crate::support::tools::rsync_sees_no_difference;

/// Writes a tree below `tree` of a job: small files, a large one, a symlink and an empty directory.
fn write_tree(job: &Path) -> PathBuf {
    let tree = job.join("tree");
    fs::create_dir_all(tree.join("empty")).unwrap();
    for n in 0..50 {
        fs::write(tree.join(format!("file-{n}")), format!("{n}\n").repeat(500)).unwrap();
    }
    let large: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|n| (n ^ (n >> 7)).to_le_bytes())
        .collect();
    fs::write(tree.join("large"), large).unwrap();
    std::os::unix::fs::symlink("large", tree.join("link")).unwrap();
    tree
}

#[test]
fn another_machine_restores_what_one_saved() {
    let Some(server) = S3Server::take("a save and a restore over a remote") else {
        return;
    };
    let (a, b) = (Sandbox::new(), Sandbox::new());
    let (job_a, job_b) = (a.job("job"), b.job("job"));
    let tree = write_tree(&job_a);
    let saved = server.run(&a, &job_a, &["save", "--json", "--key", "linux-1", "tree"]);
    assert_eq!(saved.succeeded().json()["remote"]["pushed-entries"], 1);
    let restore = ["restore", "--json", "--key", "linux-1", "tree"];
    let restored = server.run(&b, &job_b, &restore).succeeded().json();
    assert_eq!(restored["cache-hit"], "exact");
    assert_eq!(restored["remote"]["pulled-entries"], 1);
    rsync_sees_no_difference(&tree, &job_b.join("tree"));
    let stats = server.run(&b, &job_b, &["stats", "--json"]).succeeded();
    let total = &stats.json()["total"];
    assert_eq!(
        (&total["remote-hits"], &total["prefix"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        total["received-bytes"],
        restored["remote"]["received-bytes"]
    );
    // The entry is local now.
    let again = server.run(&b, &job_b, &restore).succeeded().json();
    assert_eq!(again["remote"]["requests"], 0);
    assert!(
        b.verify().succeeded().json()["damaged"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_save_whose_entry_exists_pushes_it_if_the_remote_lacks_it() {
    let Some(server) = S3Server::take("a push of an earlier save") else {
        return;
    };
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    a.save(&job, "linux-1").succeeded();
    let save = ["save", "--json", "--key", "linux-1", "tree"];
    let saved = server.run(&a, &job, &save).succeeded().json();
    assert_eq!(
        (&saved["saved"], &saved["reason"]),
        (&false.into(), &"exists".into())
    );
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let saved = server.run(&a, &job, &save).succeeded().json();
    assert_eq!(saved["remote"]["present-entries"], 1);
}

#[test]
fn a_remote_with_push_never_is_only_read() {
    let Some(server) = S3Server::take("a remote that is only read") else {
        return;
    };
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    let remote = format!("{}&push=never", server.remote());
    let arguments = ["save", "--json", "--remote", &remote, "--key", "k", "tree"];
    let saved = server.run(&a, &job, &arguments).succeeded().json();
    assert_eq!(saved["remote"]["requests"], 0);
}

#[test]
fn the_remote_of_a_machine_is_in_its_configuration() {
    let Some(server) = S3Server::take("a remote in config.toml") else {
        return;
    };
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    fs::create_dir_all(a.cache()).unwrap();
    let config = a.cache().join("config.toml");
    fs::write(&config, format!("remote = \"{}\"\n", server.remote())).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = server.command(&a, &job, arguments);
        crate::support::RunResult::of(command.env_remove("LOCAL_CACHE_REMOTE"))
    };
    let saved = run(&["save", "--json", "--key", "k", "tree"])
        .succeeded()
        .json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let saved = run(&["save", "--json", "--remote", "none", "--key", "k2", "tree"]);
    assert!(saved.succeeded().json()["remote"].is_null());
    fs::write(&config, "remotes = 1\n").unwrap();
    let line = run(&["save", "--key", "k3", "tree"]).failed(1);
    assert!(
        line.contains("config.toml") && line.contains("the only setting"),
        "{line}"
    );
}

#[test]
fn a_run_of_a_pull_request_does_not_write_what_branches_read() {
    let Some(server) = S3Server::take("the trust of a pull request") else {
        return;
    };
    let (a, b) = (Sandbox::new(), Sandbox::new());
    let (job_a, job_b) = (a.job("job"), b.job("job"));
    write_tree(&job_a);
    let of_fork = a.path("fork.json");
    fs::write(&of_fork, r#"{"pull_request":{"number":7}}"#).unwrap();
    let of_same = a.path("same.json");
    let repo = r#"{"repo":{"full_name":"acme/app"}}"#;
    let text = format!(r#"{{"pull_request":{{"number":8,"head":{repo},"base":{repo}}}}}"#);
    fs::write(&of_same, text).unwrap();
    let save = |event: &Path, event_name: &str, git_ref: &str, arguments: &[&str]| {
        let arguments = [&["save", "--json", "--key", "k", "tree"], arguments].concat();
        let mut save = server.command(&a, &job_a, &arguments);
        save.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", event_name)
            .env("GITHUB_REPOSITORY", "acme/app")
            .env("GITHUB_REF", git_ref)
            .env("GITHUB_EVENT_PATH", event);
        crate::support::RunResult::of(&mut save)
    };
    let main = ["--repository", "acme/app", "--ref", "main"];
    let saved = save(&of_fork, "pull_request", "refs/pull/7/merge", &[])
        .succeeded()
        .json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    // The author of this one may push to the repository, and the store has the entry then. But
    // neither options nor the branch that `pull_request_target` runs on change who runs.
    for (event_name, git_ref, arguments) in [
        ("pull_request", "refs/pull/8/merge", &main[..]),
        ("pull_request_target", "refs/heads/main", &[]),
    ] {
        let refused = save(&of_same, event_name, git_ref, arguments).exited(0);
        assert!(refused.stderr.contains("branches read it"), "{refused:?}");
        assert_eq!(refused.json()["remote"]["pushed-entries"], 0);
    }
    // A fork's has the ref of the branch, too, and an entry of its own.
    let saved = save(&of_fork, "pull_request_target", "refs/heads/main", &main)
        .succeeded()
        .json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    for arguments in [&[][..], &main] {
        let arguments = [&["restore", "--json", "--key", "k", "tree"], arguments].concat();
        let restored = server.run(&b, &job_b, &arguments);
        assert!(!restored.succeeded().is_hit());
    }
    let status = server.run(&b, &job_b, &["remote", "status", "--json"]);
    let status = status.succeeded().json();
    let entries = status["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|it| it["trust"] == "pull-request"));
}

#[test]
fn credentials_appear_nowhere() {
    const TOKEN: &str = "TOKENTEST";
    let Some(server) = S3Server::take("the search for credentials") else {
        return;
    };
    let a = Sandbox::new();
    let job = a.job("job");
    write_tree(&job);
    let missing = ["--remote", "s3://missing-bucket/x", "--key", "k2", "tree"];
    let runs = [
        (&["save", "--key", "k", "tree"][..], ""),
        (&["restore", "--key", "other", "tree"], ""),
        (&["remote", "status"], ""),
        (&["remote", "status"], TOKEN),
        (&[&["save"], &missing[..]].concat(), TOKEN),
        (&[&["save"], &missing[..]].concat(), ""),
    ];
    let mut logged = String::new();
    for (arguments, token) in runs {
        let mut command = server.command(&a, &job, arguments);
        command
            .env("LOCAL_CACHE_LOG", "trace,object_store=trace,hyper=trace")
            .env("AWS_SESSION_TOKEN", token)
            .env("AWS_ENDPOINT_URL", server.endpoint());
        let ran = crate::support::RunResult::of(&mut command);
        logged += &ran.stdout;
        logged += &ran.stderr;
    }
    assert!(logged.contains("local-cache: debug: "), "{logged}");
    for credential in [KEY, SECRET, TOKEN] {
        assert!(!logged.contains(credential), "{logged}");
    }
    crate::support::trees::walk(a.cache(), &mut |path| {
        let bytes = fs::read(path).unwrap_or_default();
        for credential in [KEY, SECRET, TOKEN] {
            let mut places = bytes.windows(credential.len());
            let is_there = places.any(|it| it == credential.as_bytes());
            assert!(!is_there, "{}", path.display());
        }
    });
}
