//! Signed records, with keys that OpenSSL made.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::write_tree;
use crate::support::machine::set_mode;
use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::tools::{is_installed, rsync_sees_no_difference, run_tool};
use crate::support::{RunResult, Sandbox};

/// Writes a private key and the public one of it.
fn make_keys(machine: &Sandbox, name: &str) -> (PathBuf, PathBuf) {
    let (private, public) = (machine.path(name), machine.path(&format!("{name}.pub")));
    let openssl = |arguments: &[&str], paths: &[&Path]| {
        let arguments = arguments.iter().map(OsStr::new);
        let mut paths = paths.iter().map(|path| path.as_os_str());
        let all: Vec<&OsStr> = arguments
            .map(|it| if it == "@" { paths.next().unwrap() } else { it })
            .collect();
        run_tool("openssl", &all);
    };
    openssl(
        &["genpkey", "-algorithm", "ed25519", "-out", "@"],
        &[&private],
    );
    openssl(
        &["pkey", "-in", "@", "-pubout", "-out", "@"],
        &[&private, &public],
    );
    set_mode(&private, 0o600);
    set_mode(&public, 0o644);
    (private, public)
}

#[test]
fn only_what_a_trusted_key_signed_is_restored() {
    if !is_installed("openssl", "keys of OpenSSL") {
        return;
    }
    let server = MemoryS3::start(Faults::default());
    let (a, b) = (Sandbox::new(), Sandbox::new());
    let (job_a, job_b) = (a.job("job"), b.job("job"));
    let tree = write_tree(&job_a);
    let (private, public) = make_keys(&a, "a.pem");
    let (_, other) = make_keys(&a, "b.pem");
    let both = a.path("both.pub");
    fs::write(
        &both,
        [fs::read(&other).unwrap(), fs::read(&public).unwrap()].concat(),
    )
    .unwrap();
    set_mode(&both, 0o644);
    let sign = server.remote(&format!("&sign={}", private.display()));
    let trust = |keys: &Path| server.remote(&format!("&trust={}", keys.display()));
    let run = |machine: &Sandbox, job: &Path, remote: &str, arguments: &[&str]| {
        let mut command = server.command(machine, job, arguments);
        RunResult::of(command.env("LOCAL_CACHE_REMOTE", remote))
    };
    let save = ["save", "--json", "--key", "plain", "tree"];
    let saved = run(&a, &job_a, &server.remote(""), &save)
        .succeeded()
        .json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);
    let save = ["save", "--json", "--key", "signed", "tree"];
    let saved = run(&a, &job_a, &sign, &save).succeeded().json();
    assert_eq!(saved["remote"]["pushed-entries"], 1);

    let restore = |key| ["restore", "--json", "--key", key, "tree"];
    for (keys, key, is_hit) in [
        (&public, "plain", false),
        (&other, "signed", false),
        (&both, "signed", true),
    ] {
        let ran = run(&b, &job_b, &trust(keys), &restore(key)).exited(0);
        assert_eq!(ran.is_hit(), is_hit, "{key}");
        let warnings = ran.warnings();
        assert_eq!(warnings.len(), usize::from(!is_hit), "{warnings:?}");
        assert!(
            warnings.iter().all(|it| it.contains("is refused: ")),
            "{warnings:?}"
        );
    }
    rsync_sees_no_difference(&tree, &job_b.join("tree"));

    let pulled = run(&b, &job_b, &trust(&public), &["remote", "pull", "plain"]);
    let line = pulled.failed(1);
    assert!(line.contains("is refused: it is not signed"), "{line}");
    let status = run(&b, &job_b, &trust(&public), &["remote", "status"]).exited(0);
    assert!(
        status
            .stdout
            .contains("1 entry not listed and not used here"),
        "{status:?}"
    );
    let status = run(&b, &job_b, &trust(&public), &["remote", "status", "--json"]).exited(0);
    let status = status.json();
    crate::docs::json_output::assert_documented(&["remote status"], &status);
    assert_eq!(
        (&status["refused"], &status["damaged"]),
        (&1.into(), &0.into())
    );
    let verified = run(&b, &job_b, &trust(&both), &["remote", "verify", "--json"]);
    let verified = verified.exited(0).json();
    crate::docs::json_output::assert_documented(&["remote verify"], &verified);
    assert_eq!(verified["refused"].as_array().unwrap().len(), 1);
    let pushed = run(&a, &job_a, &trust(&public), &["remote", "push", "plain"]);
    let line = pushed.failed(1);
    assert!(line.contains("trust is set without sign"), "{line}");
}

#[test]
fn a_key_file_that_cannot_be_used_is_named_in_one_line_and_doctor_finds_it() {
    if !is_installed("openssl", "key files that cannot be used") {
        return;
    }
    let server = MemoryS3::start(Faults::default());
    let machine = Sandbox::new();
    let job = machine.job("job");
    write_tree(&job);
    let (private, public) = make_keys(&machine, "a.pem");
    let remote_with = |sign: &Path, trust: &Path| {
        server.remote(&format!(
            "&sign={}&trust={}",
            sign.display(),
            trust.display()
        ))
    };
    let run = |remote: &str, arguments: &[&str]| {
        let mut command = server.command(&machine, &job, arguments);
        RunResult::of(command.env("LOCAL_CACHE_REMOTE", remote))
    };
    let found = |remote: &str| {
        let json = run(remote, &["doctor", "--json"]).json();
        let all = json["checks"].as_array().unwrap();
        let of_remote = all.iter().find(|check| check["check"] == "remote").unwrap();
        of_remote["found"].as_str().unwrap().to_owned()
    };
    let missing = machine.path("missing.pem");
    let wrong = machine.path("wrong.pem");
    fs::copy(&public, &wrong).unwrap();
    set_mode(&wrong, 0o600);
    let right = remote_with(&private, &public);
    assert!(
        found(&right).contains("read and written"),
        "{}",
        found(&right)
    );
    for (remote, expected) in [
        (remote_with(&missing, &public), "missing.pem does not exist"),
        (remote_with(&wrong, &public), "has no private key"),
        (remote_with(&private, &private), "needs public keys"),
    ] {
        let found = found(&remote);
        assert!(found.contains(expected), "{found}");
        let line = run(&remote, &["save", "--key", "k", "tree"]).failed(1);
        assert!(line.contains(expected), "{line}");
    }
    set_mode(&private, 0o644);
    let found = found(&right);
    assert!(found.contains("other users may read it"), "{found}");
    assert_eq!(server.names("/entries/"), Vec::<String>::new());
}
