//! The binary: passes arguments, environment and streams to the library.
//!
//! It runs a command. Called by the name of a phase (`/pre`, `/main` and `/post` in the image), it
//! runs that phase of the action. With the argument `worker` it runs one job for a phase, and with
//! `push-in-background` it copies entries to a remote.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::process::{ExitCode, Termination};
use std::thread;

use anstream::{AutoStream, ColorChoice};
use local_cache::action::dispatcher::program_name;
use local_cache::action::worker::run_in_worker;
use local_cache::cli::{self, Environment, Terminal};
use local_cache::fmt::screen::Screen;
#[cfg(feature = "remote")]
use local_cache::remote;
use local_cache::site::{signals, worker};
use local_cache::{Env, Phase, workers};

/// Bytes of the stack of the thread that runs the program.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    // A thread of its own: the stack of the first thread can be limited to a few KiB.
    let main = thread::Builder::new().name("main".to_owned());
    match main.stack_size(STACK).spawn(run) {
        // A panic has printed its message.
        Ok(running) => running.join().unwrap_or(ExitCode::from(101)),
        // No thread can be started. The first one has to do.
        Err(_) => run(),
    }
}

fn run() -> ExitCode {
    start_logging();
    raise_file_limit();
    let env: Env = std::env::vars_os().collect();
    workers::start(thread_count(&env));
    let arguments = with_command(std::env::args_os().collect());
    let is_worker = has_command(&arguments, worker::ARGUMENT);
    if is_worker || has_command(&arguments, "action") {
        // As early as possible: process 1 of a container loses a signal that it does not handle yet.
        drop(signals::install());
    }
    if is_worker {
        return worker::serve(env, run_in_worker);
    }
    #[cfg(feature = "remote")]
    if has_command(&arguments, remote::BACKGROUND_ARGUMENT) {
        return remote::push_in_background(&env);
    }
    let environment = Environment {
        arguments,
        env: &env,
        working_directory: working_directory(),
        terminal: terminal(&env),
        input: &mut io::stdin().lock(),
        out: &mut io::stdout(),
        err: &mut io::stderr(),
    };
    cli::run(environment).report()
}

fn terminal(env: &Env) -> Terminal {
    let shows_color = |choice| choice != ColorChoice::Never;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let width = terminal_size::terminal_size_of(&stdout);
    let is_dumb = env.text("TERM") == Some("dumb");
    Terminal {
        can_ask: stdin.is_terminal() && stderr.is_terminal(),
        shows_progress: stderr.is_terminal() && !is_dumb,
        output: Screen {
            width: width.map(|(width, _)| width.0.into()),
            color: shows_color(AutoStream::choice(&stdout)),
        },
        errors: Screen {
            width: None,
            color: shows_color(AutoStream::choice(&stderr)),
        },
    }
}

/// The same number as rayon would choose.
fn thread_count(env: &Env) -> usize {
    let wanted = env.text("RAYON_NUM_THREADS");
    let wanted = wanted.and_then(|count| count.parse().ok());
    let available = || thread::available_parallelism().map_or(1, NonZero::get);
    wanted.filter(|count| *count > 0).unwrap_or_else(available)
}

fn has_command(arguments: &[OsString], command: &str) -> bool {
    arguments.get(1).is_some_and(|argument| argument == command)
}

/// Turns the entrypoint `/main cache` into the command `local-cache action main cache`.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments
        .first()
        .map(|name| program_name(name).to_owned())
        .unwrap_or_default();
    // The argument of a worker counts more than the name of the program.
    let is_worker = has_command(&arguments, worker::ARGUMENT);
    match std::str::from_utf8(&name) {
        Ok(name) if name.parse::<Phase>().is_ok() && !is_worker => {
            arguments.splice(..1, ["local-cache".into(), "action".into(), name.into()]);
        }
        _ => {}
    }
    arguments
}

/// Libraries log only warnings and errors, and only if the variable asks for them: what fails in a
/// library is in a message of this program. At finer levels, those for HTTP log headers with
/// credentials.
fn start_logging() {
    let is_shown = |record: &log::Record<'_>| {
        record.level() <= log::Level::Warn || record.target().starts_with("local_cache")
    };
    let levels = env_logger::Env::new().filter_or("LOCAL_CACHE_LOG", "local_cache=warn");
    env_logger::Builder::from_env(levels)
        .format(move |out, record| {
            use io::Write;
            if !is_shown(record) {
                return Ok(());
            }
            writeln!(
                out,
                "local-cache: {}: {}",
                record.level().as_str().to_lowercase(),
                record.args()
            )
        })
        .init();
}

/// Raises the soft limit of open files to the hard limit: a deep tree has one directory open per
/// level.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // If this fails, only very deep trees fail later, with an error of their own.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
fn working_directory() -> std::path::PathBuf {
    std::env::current_dir().unwrap_or_default()
}
