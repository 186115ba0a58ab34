//! The binary: takes its surroundings and hands them to the library.
//!
//! Called `pre`, `main` or `post`, as the entrypoints of the image are, it is that phase of the
//! action. Called with `worker`, it runs a job for such a phase.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::{ExitCode, Termination};

use local_cache::action::Env;
use local_cache::action::dispatcher::{program_name, run_in_worker};
use local_cache::cli::{self, Surroundings};
use local_cache::site::{signals, worker};
use local_cache::stats::event::Phase;

fn main() -> ExitCode {
    start_logging();
    raise_file_limit();
    let env: Env = std::env::vars_os().collect();
    let arguments = as_command(std::env::args_os().collect());
    if arguments
        .get(1)
        .is_some_and(|argument| argument == worker::ARGUMENT || argument == "action")
    {
        // As process 1 of a container, a signal that comes before this is lost.
        drop(signals::install());
    }
    if arguments
        .get(1)
        .is_some_and(|argument| argument == worker::ARGUMENT)
    {
        return worker::serve(env, run_in_worker);
    }
    let surroundings = Surroundings {
        arguments,
        env: &env,
        working_directory: working_directory(),
        is_terminal: io::stderr().is_terminal(),
        out: &mut io::stdout(),
        err: &mut io::stderr(),
    };
    cli::run(surroundings).report()
}

/// The entrypoint `/main cache` is the command `local-cache action main cache`.
fn as_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments
        .first()
        .map(|name| program_name(name).to_owned())
        .unwrap_or_default();
    let is_worker = arguments
        .get(1)
        .is_some_and(|argument| argument == worker::ARGUMENT);
    match std::str::from_utf8(&name) {
        Ok(name) if name.parse::<Phase>().is_ok() && !is_worker => {
            arguments.splice(..1, ["local-cache".into(), "action".into(), name.into()]);
        }
        _ => {}
    }
    arguments
}

fn start_logging() {
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("LOCAL_CACHE_LOG", "warn"))
        .format(|out, record| {
            use io::Write;
            writeln!(
                out,
                "local-cache: {}: {}",
                record.level().as_str().to_lowercase(),
                record.args()
            )
        })
        .init();
}

/// A directory is open for each level of a tree; deep trees need more than the usual soft limit.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it is refused, only very deep trees fail, and say why.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks for it")]
fn working_directory() -> std::path::PathBuf {
    std::env::current_dir().unwrap_or_default()
}
