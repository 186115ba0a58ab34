//! The arguments of the program: its commands and what all of them accept. Each command has its own
//! arguments in its own file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::action::ActionArgs;
use super::cargo::CargoArgs;
use super::completions::CompletionsArgs;
use super::demo::DemoArgs;
use super::doctor::DoctorArgs;
use super::help::with_groups;
use super::import::ImportArgs;
use super::key::KeyArgs;
use super::list::ListArgs;
use super::man::ManArgs;
use super::patterns::{HashFilesArgs, PathsArgs};
use super::prune::PruneArgs;
#[cfg(feature = "remote")]
use super::remote::RemoteArgs;
use super::report::ReportArgs;
use super::restore::RestoreArgs;
use super::rm::RmArgs;
use super::save::SaveArgs;
use super::show::ShowArgs;
use super::stats::StatsArgs;
use super::verify::VerifyArgs;

/// Keeps directories on this machine's disk and restores them in milliseconds.
#[derive(Debug, Parser)]
#[command(
    name = "local-cache",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// Directory of the store
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LOCAL_CACHE_ROOT",
        default_value = "/tmp/runner-cache"
    )]
    pub(super) cache_root: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Restore(RestoreArgs),
    Save(SaveArgs),
    #[command(visible_alias = "ls")]
    List(ListArgs),
    Show(ShowArgs),
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
    Verify(VerifyArgs),
    Prune(PruneArgs),
    Paths(PathsArgs),
    HashFiles(HashFilesArgs),
    Key(KeyArgs),
    Cargo(CargoArgs),
    #[cfg(feature = "remote")]
    Remote(RemoteArgs),
    Demo(DemoArgs),
    Stats(StatsArgs),
    Report(ReportArgs),
    Doctor(DoctorArgs),
    Import(ImportArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[command(hide = true)]
    Action(ActionArgs),
}

pub(super) fn parse(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let command = with_groups(Arguments::command());
    let matches = command.try_get_matches_from(arguments)?;
    // --cache-root may come from the environment, which is fine; the demo ignores it.
    let demo = matches.subcommand_matches("demo");
    if demo.and_then(|demo| demo.value_source("cache_root")) == Some(ValueSource::CommandLine) {
        return Err(Arguments::command().error(
            ErrorKind::ArgumentConflict,
            "the demo has its own store in a temporary directory; omit --cache-root and set TMPDIR to choose the disk",
        ));
    }
    Arguments::from_arg_matches(&matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_help_texts(command: &clap::Command) {
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
        command.get_subcommands().for_each(check_help_texts);
    }

    #[test]
    fn help_texts_begin_with_a_capital_and_have_no_full_stop() {
        let command = Arguments::command();
        command.clone().debug_assert();
        command.get_subcommands().for_each(check_help_texts);
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
