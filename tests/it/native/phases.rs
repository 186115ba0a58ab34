//! Runs the scripts with node as the runner does.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::NativeAction;
use crate::support::machine::Machine;
use crate::support::tools::is_installed;

pub(super) fn released() -> NativeAction {
    NativeAction::new(Path::new(env!("CARGO_BIN_EXE_local-cache")))
}

#[test]
fn the_phases_save_and_restore_like_those_of_the_container_action() {
    if !is_installed("node", "the native action") {
        return;
    }
    let (machine, action) = (Machine::new(), released());
    let job = machine.job();
    job.file("data/file", "contents");
    let mut step = job
        .cache()
        .native(action.path())
        .with("path", "data")
        .with("key", "k");
    step.pre().passed().does_not_log("::warning");
    let missed = step.main().passed().does_not_log("::warning");
    assert_eq!(missed.outputs.get("cache-hit"), None);
    step.post().passed().logs("saved");

    let next = machine.job();
    let mut step = next
        .cache()
        .native(action.path())
        .with("path", "data")
        .with("key", "k");
    step.pre().passed();
    assert_eq!(step.main().passed().hit(), "true");
    assert_eq!(next.read("data/file").as_deref(), Some("contents"));

    let restore = next
        .restore()
        .native(action.path())
        .with("path", "data")
        .with("key", "k");
    assert_eq!({ restore }.main().passed().hit(), "true");
    next.file("other/file", "x");
    let save = next
        .save()
        .native(action.path())
        .with("path", "other")
        .with("key", "o");
    { save }.main().passed().logs("saved");
}

#[test]
fn a_program_that_is_missing_or_damaged_is_one_warning() {
    if !is_installed("node", "the native action") {
        return;
    }
    let (machine, action) = (Machine::new(), released());
    let job = machine.job();
    let step = || {
        job.cache()
            .native(action.path())
            .with("path", "data")
            .with("key", "k")
    };
    let mut started = step();
    let checked = started.pre().passed();
    assert!(checked.state.contains_key("PROGRAM"), "{checked:?}");
    fs::write(action.program(), "another program").unwrap();
    // The phases after a check notice that it is another file.
    started.main().passed().logs("is damaged");
    let damaged = { step() }.main().passed().logs("is damaged");
    assert_eq!(
        damaged.log.matches("::warning title=local-cache::").count(),
        1
    );
    let failed = { step().with("fail-on-error", "true") }.main();
    assert_eq!(failed.exit, 1, "{}", failed.log);
    fs::remove_file(action.program()).unwrap();
    { step() }
        .main()
        .passed()
        .logs("only release tags contain it");
}

#[test]
fn signals_reach_the_program_and_its_exit_code_the_runner() {
    if !is_installed("node", "the native action") {
        return;
    }
    let action = released();
    let script = "#!/bin/sh\ntrap 'exit 7' INT\ntrap 'trap - TERM; kill -TERM $$' TERM\necho \"$@\"\nwhile :; do sleep 0.05; done\n";
    action.put(script.as_bytes());
    for (signal, code) in [(Signal::SIGINT, 7), (Signal::SIGTERM, 143)] {
        let mut node = Command::new("node")
            .arg(action.path().join("main.js"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(node.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "action --native main cache\n");
        kill(Pid::from_raw(node.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(node.wait().unwrap().code(), Some(code), "{signal}");
    }
}
