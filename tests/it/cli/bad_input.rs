//! Invalid input: one clear line that says what to do, the documented exit code, no data lost.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::compare::snapshot;
use crate::support::{Sandbox, trees};

fn sandbox_with_entry() -> Sandbox {
    let sandbox = Sandbox::new();
    trees::small(&sandbox.job("job").join("tree"), 1);
    sandbox.save(&sandbox.job("job"), "k").succeeded();
    sandbox
}

#[test]
fn an_unknown_key_is_a_miss_and_fails_only_when_asked_to() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("other");
    let ran = sandbox
        .run(&job, &["restore", "--key", "unknown", "tree"])
        .succeeded();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains("no entry for key unknown"), "{ran:#?}");
    assert!(
        lines.len() == 2 && lines[1].contains("the nearest entry is k"),
        "{ran:#?}"
    );
    let ran = sandbox
        .run(
            &job,
            &[
                "restore",
                "--fail-on-cache-miss",
                "--key",
                "unknown",
                "tree",
            ],
        )
        .exited(3);
    assert_eq!(ran.stdout.lines().count(), 2);
    sandbox
        .run(
            &job,
            &["restore", "--fail-on-cache-miss", "--key", "k", "tree"],
        )
        .succeeded();
    // The result is the same without a store.
    let empty = Sandbox::new();
    empty
        .run(&empty.job("job"), &["restore", "--key", "k", "tree"])
        .succeeded();
    empty
        .run(
            &empty.job("job"),
            &["restore", "--fail-on-cache-miss", "--key", "k", "tree"],
        )
        .exited(3);
    assert!(!empty.cache().exists(), "looking for a key made a store");
}

#[test]
fn bad_usage_ends_with_its_own_code() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    for arguments in [
        &["restore", "tree"][..],
        &["restore", "--key", "k"],
        &["save", "--key", "k"],
        &["restore", "--key", "", "tree"],
        &["restore", "--key", " \n ", "tree"],
        &["save", "--key", "", "tree"],
        &["save", "--key", "k", ""],
        &["save", "--key", "k", "!tree"],
        &["restore", "--key", "k", "# only a comment"],
        &["prune", "--max-age", "soon"],
        &["prune", "--max-size", "huge"],
        &["prune", "--keep", "-1"],
        &["prune", "--keep", "crates=3"],
        &["prune", "--keep", "target="],
        &["no-such-command"],
        &["restore", "--no-such-option", "--key", "k", "tree"],
    ] {
        let ran = sandbox.run(&job, arguments);
        assert!(
            ran.code == Some(2) && !ran.stderr.is_empty(),
            "{arguments:?}: {ran:#?}"
        );
    }
    let line = sandbox.run(&job, &["save", "--key", "k", ""]).failed(2);
    assert!(
        line.contains("name at least one file or directory"),
        "{line}"
    );
    let line = sandbox.run(&job, &["save", "--key", "", "tree"]).failed(2);
    assert!(line.contains("give one with --key"), "{line}");
}

#[test]
fn paths_that_do_not_exist_are_reported() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    let line = sandbox
        .run(&job, &["save", "--key", "new", "no-such-path"])
        .failed(1);
    assert!(
        line.contains("none of the paths exists") && line.contains("check their spelling"),
        "{line}"
    );
    assert!(
        !sandbox
            .run(&job, &["restore", "--json", "--key", "new", "no-such-path"])
            .succeeded()
            .is_hit()
    );
    // One existing path is enough.
    sandbox
        .run(&job, &["save", "--key", "new", "no-such-path", "tree"])
        .succeeded();
    let line = sandbox.run(&job, &["save", "--key", "new", "/"]).failed(1);
    assert!(
        line.contains("the root of the filesystem cannot be cached"),
        "{line}"
    );
}

#[test]
fn a_symlink_cycle_is_reported_once() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    symlink("cycle", job.join("cycle")).unwrap();
    for arguments in [
        &["paths", "cycle/*"][..],
        &["hash-files", "--follow-symbolic-links", "cycle"],
    ] {
        let line = sandbox.run(&job, arguments).failed(1);
        assert_eq!(line.matches("symbolic links").count(), 1, "{line}");
        assert!(line.ends_with("; exclude it or make it readable"), "{line}");
    }
}

#[test]
fn a_cache_root_that_is_a_file_is_reported() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    fs::write(sandbox.path("cache"), b"a file").unwrap();
    for command in ["save", "restore"] {
        let line = sandbox
            .run(&job, &[command, "--key", "k", "tree"])
            .failed(1);
        assert!(
            line.contains("cache") && line.contains("a directory is needed there"),
            "{line}"
        );
    }
    for command in [&["list"][..], &["verify"], &["prune"], &["show", "k"]] {
        sandbox.run(&job, command).failed(1);
    }
    assert_eq!(fs::read(sandbox.path("cache")).unwrap(), b"a file");
}

#[test]
fn an_unwritable_cache_root_is_reported() {
    let sandbox = Sandbox::without_rights();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    fs::create_dir(sandbox.path("cache")).unwrap();
    sandbox.chown_all();
    trees::set_mode(&sandbox.path("cache"), 0o555);
    let line = sandbox.save(&job, "k").failed(1);
    assert!(
        line.contains("Permission denied") && line.contains("--cache-root"),
        "{line}"
    );
    assert!(!sandbox.restore(&job, "k").succeeded().is_hit());
    trees::set_mode(&sandbox.path("cache"), 0o000);
    let line = sandbox.restore(&job, "k").failed(1);
    assert!(
        line.contains("Permission denied") && line.contains("--cache-root"),
        "{line}"
    );
    trees::set_mode(&sandbox.path("cache"), 0o755);
}

#[test]
fn an_unwritable_destination_is_reported() {
    let sandbox = Sandbox::without_rights();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    sandbox.chown_all();
    sandbox.save(&job, "k").succeeded();
    trees::set_mode(&other, 0o555);
    let line = sandbox.restore(&other, "k").failed(1);
    assert!(line.contains("Permission denied"), "{line}");
    trees::set_mode(&other, 0o755);
    sandbox.restore(&other, "k").succeeded();
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    fs::write(sandbox.store().join("format.json"), br#"{"format":2}"#).unwrap();
    let before = snapshot(&sandbox.store());
    for command in [
        &["save", "--key", "new", "tree"][..],
        &["restore", "--key", "k", "tree"],
        &["list"],
        &["verify"],
        &["verify", "--repair"],
        &["prune", "--yes", "--keep", "0"],
    ] {
        let line = sandbox.run(&job, command).failed(1);
        assert!(
            line.contains("format version 2") && line.contains("update local-cache"),
            "{line}"
        );
    }
    assert!(
        before == snapshot(&sandbox.store()),
        "the store of another version was changed"
    );
}

#[test]
fn an_entry_of_a_newer_version_is_not_touched() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    let entry = fs::read_dir(sandbox.store().join("entries"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = fs::read_to_string(&entry)
        .unwrap()
        .replace("\"format\":1", "\"format\":2,\"more\":true");
    let text = text.replace("\"format\": 1", "\"format\": 2, \"more\": true");
    let checksum = text.find("\"checksum\"").unwrap() + 13;
    let text = text[..checksum].to_owned() + &text[checksum..].replace(['0', '1', '2', '3'], "4");
    assert!(text.contains("more"));
    fs::write(&entry, &text).unwrap();
    let line = sandbox.run(&job, &["prune", "--yes", "--keep", "0"]);
    assert!(
        line.code == Some(1) && line.stderr.contains("format version 2"),
        "{line:#?}"
    );
    assert_eq!(fs::read_to_string(&entry).unwrap(), text);
}

#[test]
fn keys_of_any_text_are_keys_and_messages_stay_one_line() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    let long = "k".repeat(600);
    for key in [
        "a/b",
        "../../up",
        "two\nlines",
        "\u{1b}[31mred",
        "tab\there",
        &long,
        "-dash",
        "\"quote'",
    ] {
        let flag = format!("--key={key}");
        for arguments in [
            ["save", &flag, "tree"],
            ["save", &flag, "tree"],
            ["restore", &flag, "tree"],
        ] {
            let ran = sandbox.run(&job, &arguments).succeeded();
            assert!(ran.stdout.lines().count() <= 2, "{key:?}: {ran:#?}");
            assert!(
                !ran.stdout.contains('\u{1b}') && !ran.stdout.contains("two\nlines"),
                "{ran:#?}"
            );
        }
        let ran = sandbox
            .run(&job, &["restore", &format!("--key=missing-{key}"), "tree"])
            .succeeded();
        assert_eq!(ran.stdout.lines().count(), 2, "{ran:#?}");
    }
    let listed = sandbox.run(&job, &["list"]).succeeded();
    assert_eq!(
        listed
            .stdout
            .lines()
            .filter(|line| line.contains("path"))
            .count(),
        8,
        "{listed:#?}"
    );
}

#[test]
fn every_command_gives_one_json_document() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    let entry = sandbox.run(&job, &["list", "--json"]).succeeded().json()[0]["entry"]
        .as_str()
        .unwrap()
        .to_owned();
    for command in [
        &["save", "--key", "k", "tree"][..],
        &["save", "--key", "k2", "tree"],
        &["restore", "--key", "k", "tree"],
        &["restore", "--lookup-only", "--key", "k", "tree"],
        &["restore", "--key", "unknown", "tree"],
        &["list"],
        &["show", "k"],
        &["show", &entry],
        &["verify"],
        &["verify", "--repair"],
        &["prune", "--dry-run", "--keep", "0"],
        &["prune", "--keep", "1"],
    ] {
        let ran = sandbox
            .run(&job, &[command, &["--json"]].concat())
            .succeeded();
        assert!(!ran.json().is_null(), "{command:?}");
        let text = sandbox.run(&job, command).succeeded();
        assert!(
            text.stdout.is_empty() || !text.stdout.trim_start().starts_with('{'),
            "{command:?}: {text:#?}"
        );
    }
    let missing = sandbox
        .run(&job, &["save", "--json", "--key", "x", "nowhere"])
        .exited(1);
    assert_eq!(missing.json()["reason"], "nothing-there");
}

#[test]
fn a_missing_entry_can_not_be_shown() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    let line = sandbox.run(&job, &["show", "unknown"]).failed(1);
    assert!(line.contains("`local-cache list` shows all"), "{line}");
    sandbox.save(&job, "K").succeeded();
    let line = sandbox.run(&job, &["show", "K"]);
    assert!(
        line.code == Some(0) || line.stderr.lines().count() == 1,
        "{line:#?}"
    );
}

#[test]
fn a_loop_of_symlinks_above_a_root_is_reported() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("other");
    symlink("loop", job.join("loop")).unwrap();
    let ran = sandbox
        .run(&job, &["save", "--key", "loop", "loop/tree"])
        .failed(1);
    assert!(!ran.contains("panicked"));
}

#[test]
fn a_closed_output_does_not_panic() {
    let sandbox = sandbox_with_entry();
    let job = sandbox.job("job");
    let mut child = sandbox.command(&job, &["list"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut text).unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.code().is_some_and(|code| code <= 1) && !text.contains("panicked"),
        "{status:?} {text}"
    );
}
