//! `local-cache completions` and `local-cache man`, generated from the arguments of all commands.

use anyhow::{Context as _, Result};
use clap::Args;

use super::context::CommandContext;
use super::exit::Exit;

/// Print shell completions
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  local-cache completions bash > ~/.local/share/bash-completion/completions/local-cache"
)]
pub(super) struct CompletionsArgs {
    /// Shell to print completions for
    shell: clap_complete::Shell,
}

/// Print the man page
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache man | man -l -")]
pub(super) struct ManArgs {}

pub(super) fn completions(
    context: &mut CommandContext<'_>,
    args: &CompletionsArgs,
    mut command: clap::Command,
) -> Result<Exit> {
    // Into memory first: the generator panics if it can't write, for example to a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "local-cache", &mut text);
    context.write(&text)?;
    Ok(Exit::Done)
}

pub(super) fn man(context: &mut CommandContext<'_>, command: clap::Command) -> Result<Exit> {
    clap_mangen::Man::new(command)
        .render(context.out)
        .context("cannot write the output")?;
    Ok(Exit::Done)
}
