//! The command line.

mod bad_input;
mod entries;
mod jobs;

use std::process::{Command, Stdio};

use crate::support::RunResult;
use crate::support::machine::Machine;

/// A command on the store of a machine, in the machine's directory.
fn command(machine: &Machine, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
    command
        .args(arguments)
        .arg("--cache-root")
        .arg(machine.store())
        .env_clear()
        .env("HOME", machine.home())
        .current_dir(machine.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(machine: &Machine, arguments: &[&str]) -> RunResult {
    RunResult::of(&mut command(machine, arguments))
}
