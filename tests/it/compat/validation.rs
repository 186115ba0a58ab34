//! Invalid inputs: an error in main, a warning when saving, with the texts of actions/cache.

use std::path::Path;

use local_cache::fs::Local;
use local_cache::job::{Job, JobTarget, PathsTarget, RestoreTask, SaveTask, Task, run_job};

use super::outputs::seed;
use crate::support::machine::Machine;

/// Inputs and their errors; `LONG` stands for 513 letters, `FULL` for 512 UTF-16 units.
fn expanded(text: &str) -> String {
    text.replace("LONG", &"a".repeat(513))
        .replace("FULL", &"🦀".repeat(256))
}

fn refused(with: &str, texts: &[&str]) {
    let with = expanded(with);
    let machine = Machine::new();
    for kind in ["cache", "restore", "save"] {
        let job = machine.job();
        job.file("data/file", "1");
        let step = match kind {
            "cache" => job.cache(),
            "restore" => job.restore(),
            _ => job.save(),
        };
        let done = step.with_yaml(&with).main();
        let (exit, command) = if kind == "save" {
            (0, "warning")
        } else {
            (1, "error")
        };
        assert_eq!(done.exit, exit, "{kind}: {}", done.log);
        let lines: Vec<String> = texts
            .iter()
            .map(|text| format!("::{command} title=local-cache::{}", expanded(text)))
            .collect();
        assert_eq!(done.log.lines().collect::<Vec<_>>(), lines, "{kind}");
        assert!(done.outputs.is_empty(), "{kind}: {:?}", done.outputs);
    }
    assert_eq!(machine.entries(), 0);
}

macro_rules! refused {
    ($($name:ident: $with:expr => $($text:expr),+;)*) => {
        $(#[test]
        fn $name() {
            refused($with, &[$($text),+]);
        })*
    };
}

refused! {
    a_key_of_513_units: "{path: data, key: LONG}"
        => "Key Validation Error: LONG cannot be larger than 512 characters.";
    a_key_of_257_characters_beyond_the_basic_plane: "{path: data, key: aFULL}"
        => "Key Validation Error: aFULL cannot be larger than 512 characters.";
    a_key_with_a_comma: "{path: data, key: 'a,b'}" => "Key Validation Error: a,b cannot contain commas.";
    a_key_that_is_not_given: "{path: data}" => "Input required and not supplied: key";
    everything_at_once: "{path: data, key: 'LONG,', scope: world, timeout: soon}"
        => "Key Validation Error: LONG, cannot be larger than 512 characters.",
           "Key Validation Error: LONG, cannot contain commas.",
           "input scope is \"world\", which is not repository, owner or runner",
           "input timeout is \"soon\", which is not a duration above zero such as 90s, 10m or 1h30m, or none";
}

fn refused_restore_keys(restore_keys: &[&str], text: &str) {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k"]);
    let restore_keys = expanded(&restore_keys.join("\n"));
    for step in [job.cache(), job.restore()] {
        let done = step
            .with("path", "data")
            .with("key", "k")
            .with("restore-keys", &restore_keys)
            .main();
        assert_eq!(done.exit, 1, "{}", done.log);
        done.logs(&expanded(text)).does_not_log("Cache restored");
    }
}

#[test]
fn a_restore_key_with_a_comma() {
    refused_restore_keys(
        &["a", "b,c"],
        "::Key Validation Error: b,c cannot contain commas.\n",
    );
}

#[test]
fn a_restore_key_that_is_too_long() {
    refused_restore_keys(
        &["LONG"],
        "::Key Validation Error: LONG cannot be larger than 512 characters.\n",
    );
}

#[test]
fn ten_restore_keys_and_the_key_are_too_many() {
    let keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    refused_restore_keys(
        &keys,
        "::Key Validation Error: Keys are limited to a maximum of 10.\n",
    );
}

#[test]
fn nine_restore_keys_and_the_key_are_allowed() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["9-x"]);
    assert_eq!(
        job.found("data", "k", "1\n2\n3\n4\n5\n6\n7\n8\n9")
            .as_deref(),
        Some("9-x")
    );
}

#[test]
fn a_path_is_required_by_the_sub_actions() {
    let machine = Machine::new();
    let job = machine.job();
    let done = job.restore().with("key", "k").main();
    assert_eq!(done.exit, 1);
    done.logs("::error title=local-cache::Input required and not supplied: path\n");
    let done = job.save().with("key", "k").main().passed();
    done.logs("::warning title=local-cache::Input required and not supplied: path\n");
}

#[test]
fn a_path_of_blanks_is_a_path_that_lists_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    let text = "Path Validation Error: At least one directory or file path is required\n";
    let done = job.restore().with("path", "  \n ").with("key", "k").main();
    assert_eq!(done.exit, 1);
    done.logs(&format!("::error title=local-cache::{text}"));
    let done = job
        .save()
        .with("path", "  \n ")
        .with("key", "k")
        .main()
        .passed();
    done.logs(&format!("::warning title=local-cache::{text}"));
}

#[test]
fn a_key_that_is_not_utf8_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let job = machine.job();
    let key = std::ffi::OsStr::from_bytes(b"k-\xff");
    let done = job
        .restore()
        .with("path", "data")
        .with_raw("key", key)
        .main();
    assert_eq!(done.exit, 1);
    done.logs("::error title=local-cache::input key is \"k-\u{fffd}\", which is not UTF-8");
}

#[test]
fn variables_that_are_not_utf8_are_ignored() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let raw = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let job = machine
        .job()
        .var("LC_ALL", raw)
        .var("GITHUB_WORKFLOW", raw)
        .var("RUNNER_NAME", raw);
    seed(&job, &["k"]);
    let mut step = job
        .cache()
        .with("path", "data")
        .with("key", "k")
        .var("STATE_other", raw);
    assert_eq!(step.main().passed().hit(), "true");
    step.post()
        .passed()
        .logs("not saving cache")
        .does_not_log("::warning");
}

#[test]
fn a_workspace_and_a_home_whose_names_are_not_utf8_are_cached_like_others() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let odd = machine
        .path("work")
        .join(std::ffi::OsStr::from_bytes(b"wid\xffget"));
    std::fs::create_dir_all(odd.join("data")).unwrap();
    std::fs::write(odd.join("data/file"), "1").unwrap();
    let mut job = machine
        .job()
        .var("GITHUB_WORKSPACE", &odd)
        .var("HOME", odd.join("home"));
    std::fs::create_dir_all(odd.join("home")).unwrap();
    std::fs::write(odd.join("home/settings"), "2").unwrap();
    job.workspace.clone_from(&odd);
    job.saved("data\n~/settings", "k");
    std::fs::remove_dir_all(odd.join("data")).unwrap();
    assert_eq!(job.found("data\n~/settings", "k", "").as_deref(), Some("k"));
    assert_eq!(job.read("data/file").as_deref(), Some("1"));
}

/// Patterns that GitHub's rules reject: ignored by its restore, a warning of its save.
macro_rules! patterns {
    ($($name:ident: $path:expr => $text:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = machine.job();
            job.file("data/file", "1");
            let mut step = job.cache().with("path", $path).with("key", "k");
            step.main().passed().logs("Cache not found for input keys: k").logs($text);
            let done = step.post().passed().logs("::warning title=local-cache::").logs($text);
            done.does_not_log("Cache saved").does_not_log("::error");
            job.save().with("path", $path).with("key", "k").main().passed().logs($text);
            let strict = job.save().with("path", $path).with("key", "k").with("fail-on-error", "true").main();
            assert_eq!(strict.exit, 1);
            assert_eq!(machine.entries(), 0);
        })*
    };
}

patterns! {
    a_path_above_the_workspace: "../other/target" => "pattern '../other/target' contains '.' or '..'";
    a_path_with_dots_in_its_middle: "data\na/../b" => "pattern 'a/../b' contains '.' or '..'";
    an_exclamation_mark_alone: "data\n!" => "a pattern of only '!' excludes nothing";
}

#[test]
fn a_tilde_without_a_known_home_is_reported_at_restore_and_at_save() {
    let machine = Machine::new();
    let namespace = Local::default();
    let job = |task| Job {
        cache_root: machine.store(),
        workspace: machine.path("work"),
        target: JobTarget::Paths(PathsTarget {
            paths: vec!["~/.cargo".into()],
            key: "k".into(),
            restore_keys: Vec::new(),
        }),
        task,
        housekeeping: local_cache::job::Housekeeping::default(),
    };
    for task in [
        Task::Restore(RestoreTask::default()),
        Task::Save(SaveTask::default()),
    ] {
        let reply = run_job(&job(task), &namespace, &local_cache::monitor::Silent);
        let error = reply.error.unwrap();
        assert!(
            error.contains("starts with '~', but the home directory is unknown"),
            "{error}"
        );
    }
    assert!(!Path::new(&machine.store()).exists() || machine.entries() == 0);
}

#[test]
fn inputs_without_effect_are_reported_at_level_debug() {
    let machine = Machine::new();
    let job = machine.job();
    let with = "{path: data, key: k, upload-chunk-size: 1024, enableCrossOsArchive: true}";
    let done = job
        .cache()
        .with_yaml(with)
        .with("log-level", "debug")
        .main()
        .passed();
    let done = done.logs("debug: input upload-chunk-size: 1024 has no effect here\n");
    done.logs("debug: input enableCrossOsArchive: true has no effect here\n");
    job.cache()
        .with_yaml(with)
        .main()
        .passed()
        .does_not_log("no effect");
    let done = job
        .cache()
        .with_yaml(with)
        .var("RUNNER_DEBUG", "1")
        .main()
        .passed();
    done.logs("::debug::input upload-chunk-size: 1024 has no effect here\n");
}

#[test]
fn an_input_that_the_action_does_not_have_is_not_read() {
    let machine = Machine::new();
    let job = machine.job();
    seed(&job, &["k-1"]);
    let with = "{path: data, key: k-2, restore-keys: k-, keep: x, save: never}";
    assert_eq!(job.restore().with_yaml(with).main().passed().hit(), "false");
}
