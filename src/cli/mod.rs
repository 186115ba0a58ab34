//! The command line: arguments in, text or JSON out.

mod args;
mod cargo;
mod commands;
mod demo;
mod doctor;
mod exit;
mod import;
mod interrupt;
mod key;
mod progress;
mod report;
mod show;
mod stats;

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

pub use exit::Exit;

use crate::action::commands::{self as workflow, Annotation};
use crate::action::phase::{self, StepResult};
use crate::action::{ActionKind, Env};
use crate::error::Error;
use crate::glob::Base;
use args::{Arguments, Command};
use progress::Progress;

/// What the program is given by its surroundings.
pub struct Surroundings<'a> {
    /// The arguments, the program's name first.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub env: &'a Env,
    /// The current directory.
    pub working_directory: PathBuf,
    /// Whether standard error is a terminal.
    pub is_terminal: bool,
    /// Standard output.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error.
    pub err: &'a mut dyn Write,
}

/// Runs a command.
pub fn run(surroundings: Surroundings<'_>) -> Exit {
    let Surroundings {
        arguments,
        env,
        working_directory,
        is_terminal,
        out,
        err,
    } = surroundings;
    let arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, out, err),
    };
    let home = env.path("HOME").unwrap_or(std::path::Path::new(""));
    let base = Base::new(working_directory, home);
    let progress = Progress::new(is_terminal && !arguments.common.json);
    // A phase hears signals for itself, wherever its work is done.
    if !matches!(arguments.command, Command::Action(_))
        && interrupt::listen(&progress.interruption()).is_err()
    {
        log::debug!("signals can't be caught, so one ends the program at once");
    }
    let mut context = commands::CommandContext {
        common: &arguments.common,
        base: &base,
        monitor: &progress,
        out,
    };
    let result = match &arguments.command {
        Command::Restore(restore) => commands::restore(&mut context, restore),
        Command::Save(save) => commands::save(&mut context, save),
        Command::List => commands::list(&mut context),
        Command::Show(show) => commands::show(&mut context, show),
        Command::Verify(verify) => commands::verify(&mut context, verify),
        Command::Prune(prune) => commands::prune(&mut context, prune),
        Command::Doctor(args) => doctor::doctor(&mut context, args, env),
        Command::Report(args) => report::report(&mut context, args),
        Command::Import(args) => import::import(&mut context, args, env),
        Command::Stats(args) => stats::stats(&mut context, args),
        Command::Completions(completions) => {
            // Into memory first: where nobody reads on, the generator panics.
            let mut text = Vec::new();
            clap_complete::generate(
                completions.shell,
                &mut Arguments::command(),
                "local-cache",
                &mut text,
            );
            context
                .out
                .write_all(&text)
                .map(|()| Exit::Done)
                .map_err(Failure::from)
        }
        Command::Man => {
            let rendered = clap_mangen::Man::new(Arguments::command()).render(context.out);
            rendered.map(|()| Exit::Done).map_err(Failure::from)
        }
        Command::Action(action) => run_action(&mut context, action, env),
        Command::Paths(paths) => commands::paths(&mut context, paths),
        Command::HashFiles(hash_files) => commands::hash_files(&mut context, hash_files),
        Command::Demo(args) => demo::demo(&mut context, args, env),
        Command::Key(args) => key::key(&mut context, args, env),
        Command::Cargo(args) => cargo::cargo(&mut context, args, env),
    };
    progress.finish();
    result.unwrap_or_else(|failure| {
        let exit = failure.exit();
        // Where standard error is gone, there is nobody to tell.
        drop(writeln!(err, "local-cache: {failure}"));
        exit
    })
}

/// Runs a phase of the action; the entrypoints of the image, `/pre`, `/main` and `/post`, are this
/// too.
fn run_action(
    context: &mut commands::CommandContext<'_>,
    args: &args::ActionArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let kind =
        ActionKind::from_args(&[&args.kind]).map_err(|error| Failure::Usage(error.to_string()))?;
    let run = panic::AssertUnwindSafe(|| phase::run(args.phase, kind, env, context.out));
    match panic::catch_unwind(run) {
        Ok(StepResult::Passed) => Ok(Exit::Done),
        Ok(StepResult::Failed) => Ok(Exit::Failed),
        // A fault of the cache is no reason for a job to fail.
        Err(_) => {
            let text = "local-cache has a fault and gave up; please report the lines above";
            writeln!(
                context.out,
                "{}",
                workflow::warning(&Annotation::new(text).title("local-cache"))
            )?;
            Ok(Exit::Done)
        }
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    let of_demo = matches.subcommand_matches("demo");
    if of_demo.and_then(|demo| demo.value_source("cache_root")) == Some(ValueSource::CommandLine) {
        return Err(Arguments::command().error(
            ErrorKind::ArgumentConflict,
            "the demo keeps its store in its own temporary directory; leave --cache-root out, TMPDIR chooses the disk",
        ));
    }
    Arguments::from_arg_matches(&matches)
}

/// Tells how the program is used; help that was asked for is no error.
fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
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

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// It was not asked properly.
    Usage(String),
    /// The store, or a path, is at fault.
    Store(Error),
    /// Anything else.
    Other(String),
    /// Another program failed: one line, and then what it said.
    Program(String, Vec<String>),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Store(_) | Self::Other(_) | Self::Program(..) => Exit::Failed,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::Other(text) => f.write_str(&show::one_line(text)),
            Self::Store(error) => f.write_str(&show::one_line(&error.with_advice())),
            Self::Program(text, said) => {
                f.write_str(&show::one_line(text))?;
                said.iter()
                    .try_for_each(|line| write!(f, "\n  | {}", show::one_line(line)))
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_texts_begin_with_a_capital_and_have_no_full_stop() {
        fn check(command: &clap::Command) {
            let about = command.get_about().map(ToString::to_string).into_iter();
            let helps = command
                .get_arguments()
                .filter_map(|arg| arg.get_help().map(ToString::to_string));
            for help in about.chain(helps) {
                assert!(
                    help.starts_with(|first: char| !first.is_lowercase()),
                    "{help}"
                );
                assert!(!help.ends_with('.'), "{help}");
            }
            command.get_subcommands().for_each(check);
        }
        let command = Arguments::command();
        command.clone().debug_assert();
        command.get_subcommands().for_each(check);
    }
}
