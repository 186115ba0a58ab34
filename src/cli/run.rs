//! From the arguments of the program to its exit code.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::args::{Arguments, Command, parse};
use super::context::CommandContext;
use super::exit::Exit;
use super::progress::Progress;
use super::{
    action, cargo, completions, demo, doctor, failure, import, interrupt, key, list, patterns,
    prune, report, restore, save, show, stats, verify,
};
use crate::action::Env;
use crate::glob::Base;

/// What the program gets from the process that started it.
pub struct Environment<'a> {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    pub env: &'a Env,
    pub working_directory: PathBuf,
    /// Whether standard error is a terminal, which then shows progress.
    pub is_terminal: bool,
    pub out: &'a mut (dyn Write + Send),
    pub err: &'a mut dyn Write,
}

/// Runs the command that the arguments name, and reports on standard error if it fails.
pub fn run(environment: Environment<'_>) -> Exit {
    let Environment {
        arguments,
        env,
        working_directory,
        is_terminal,
        out,
        err,
    } = environment;
    let arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return print_usage(&error, out, err),
    };
    let home = env.path("HOME").unwrap_or(Path::new(""));
    let progress = Progress::new(is_terminal && !arguments.global.json);
    listen_for_signals(&arguments.command, &progress);
    let base = Base::new(working_directory, home);
    let mut context = CommandContext {
        cache_root: &absolute_cache_root(&arguments.global.cache_root, &base),
        json: arguments.global.json,
        base: &base,
        env,
        monitor: &progress,
        out,
    };
    let result = dispatch(&mut context, &arguments.command);
    progress.finish();
    result.unwrap_or_else(|error| {
        // If standard error is closed, nobody can be told.
        drop(writeln!(err, "local-cache: {}", failure::message(&error)));
        failure::exit_code(&error)
    })
}

/// A `~` in a variable or in quotes reaches the program, as the shell does not replace it there.
fn absolute_cache_root(path: &Path, base: &Base) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) if base.home.is_absolute() => base.home.join(rest),
        _ => base.working_directory.join(path),
    }
}

fn dispatch(context: &mut CommandContext<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Restore(args) => restore::restore(context, args),
        Command::Save(args) => save::save(context, args),
        Command::List(_) => list::list(context),
        Command::Show(args) => show::show(context, args),
        Command::Verify(args) => verify::verify(context, args),
        Command::Prune(args) => prune::prune(context, args),
        Command::Paths(args) => patterns::paths(context, args),
        Command::HashFiles(args) => patterns::hash_files(context, args),
        Command::Key(args) => key::key(context, args),
        Command::Cargo(args) => cargo::cargo(context, args),
        Command::Demo(args) => demo::demo(context, args),
        Command::Stats(args) => stats::stats(context, args),
        Command::Report(args) => report::report(context, args),
        Command::Doctor(args) => doctor::doctor(context, args),
        Command::Import(args) => import::import(context, args),
        Command::Completions(args) => completions::completions(context, args, Arguments::command()),
        Command::Man(_) => completions::man(context, Arguments::command()),
        Command::Action(args) => action::action(context, args),
    }
}

/// A phase of the action handles signals itself, because its work may run in another process.
fn listen_for_signals(command: &Command, progress: &Progress) {
    if matches!(command, Command::Action(_)) {
        return;
    }
    if let Err(error) = interrupt::listen(&progress.interrupted()) {
        log::debug!("cannot handle signals ({error}); a signal ends the program at once");
    }
}

/// Prints the requested help, or what is wrong with the arguments.
fn print_usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            drop(write!(out, "{}", error.render()));
            Exit::Done
        }
        _ => {
            drop(write!(err, "{}", error.render()));
            Exit::Usage
        }
    }
}
