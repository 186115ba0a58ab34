//! From the arguments of the program to its exit code.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::args::{Arguments, Command, parse};
use super::context::CommandContext;
use super::exit::Exit;
use super::progress::Progress;
use super::terminal::Terminal;
use super::{
    action, cargo, completions, demo, doctor, failure, import, interrupt, key, list, man, patterns,
    prune, report, restore, rm, save, show, stats, verify,
};
use crate::action::Env;
use crate::fmt::screen::Screen;
use crate::glob::Base;

/// What the program gets from the process that started it.
pub struct Environment<'a> {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    pub env: &'a Env,
    pub working_directory: PathBuf,
    pub terminal: Terminal,
    pub input: &'a mut dyn BufRead,
    pub out: &'a mut (dyn Write + Send),
    pub err: &'a mut dyn Write,
}

/// Runs the command that the arguments name, and reports on standard error if it fails.
pub fn run(environment: Environment<'_>) -> Exit {
    let Environment {
        arguments,
        env,
        working_directory,
        terminal,
        input,
        out,
        err,
    } = environment;
    let arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return print_usage(&error, terminal, out, err),
    };
    let home = env.path("HOME").unwrap_or(Path::new(""));
    let progress = Progress::new(terminal.shows_progress && !arguments.global.json);
    listen_for_signals(&arguments.command, &progress);
    let base = Base::new(working_directory, home);
    let mut context = CommandContext {
        cache_root: &absolute_cache_root(&arguments.global.cache_root, &base),
        json: arguments.global.json,
        base: &base,
        env,
        monitor: &progress,
        terminal,
        input,
        out,
        err,
    };
    let result = dispatch(&mut context, &arguments.command);
    progress.finish();
    result.unwrap_or_else(|error| {
        // A reader such as `head` has what it wanted.
        if !failure::is_broken_pipe(&error) {
            let name = terminal.errors.red("local-cache:");
            // If standard error is closed, nobody can be told.
            drop(writeln!(err, "{name} {}", failure::message(&error)));
        }
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
        Command::List(args) => list::list(context, args),
        Command::Show(args) => show::show(context, args),
        Command::Rm(args) => rm::rm(context, args),
        Command::Verify(args) => verify::verify(context, args),
        Command::Prune(args) => prune::prune(context, args),
        Command::Paths(args) => patterns::paths(context, args),
        Command::HashFiles(args) => patterns::hash_files(context, args),
        Command::Key(args) => key::key(context, args),
        Command::Cargo(args) => cargo::cargo(context, args),
        #[cfg(feature = "remote")]
        Command::Remote(args) => super::remote::remote(context, args),
        Command::Demo(args) => demo::demo(context, args),
        Command::Stats(args) => stats::stats(context, args),
        Command::Report(args) => report::report(context, args),
        Command::Doctor(args) => doctor::doctor(context, args),
        Command::Import(args) => import::import(context, args),
        Command::Completions(args) => completions::completions(context, args, Arguments::command()),
        Command::Man(args) => man::man(context, args, Arguments::command()),
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
fn print_usage(
    error: &clap::Error,
    terminal: Terminal,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let text = |screen: Screen| {
        let text = error.render();
        if screen.color {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            drop(write!(out, "{}", text(terminal.output)));
            Exit::Done
        }
        _ => {
            drop(write!(err, "{}", text(terminal.errors)));
            Exit::Usage
        }
    }
}
