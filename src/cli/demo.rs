//! `local-cache demo`: prints a line per step while it runs, then a table and a conclusion.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::context::CommandContext;
use super::demo_output;
use super::exit::Exit;
use crate::demo::{self, DemoEvent, DemoOptions, DemoProject};

/// Run two jobs on a real Cargo project and compare them with and without the cache
#[derive(Debug, Args)]
#[command(
    after_help = "Everything, including the store, is in one temporary directory below TMPDIR (default: /tmp).\n\nExamples:\n  local-cache demo\n  local-cache demo --project ~/src/my-workspace\n  TMPDIR=/mnt/disk local-cache demo --keep"
)]
pub(super) struct DemoArgs {
    /// A Cargo project to use instead of the built-in one; it is copied and not changed
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Copy crates from your own Cargo home instead of downloading them
    #[arg(long)]
    offline: bool,
    /// Keep the temporary directory
    #[arg(long)]
    keep: bool,
}

pub(super) fn demo(context: &mut CommandContext<'_>, args: &DemoArgs) -> Result<Exit> {
    let directory = &context.base.working_directory;
    let options = DemoOptions {
        project: args.project.as_ref().map_or(DemoProject::BuiltIn, |path| {
            DemoProject::Directory(directory.join(path))
        }),
        parent: &directory.join(context.env.path("TMPDIR").unwrap_or(Path::new("/tmp"))),
        keep: args.keep,
        offline: args.offline,
        env: context.env,
    };
    let (is_json, out) = (context.json, &mut *context.out);
    let mut print_event = |event: &DemoEvent<'_>| {
        if !is_json {
            let line = demo_output::event_line(event);
            // If the output is closed, printing the table at the end fails, too, and is reported.
            drop(out.write_all(line.as_bytes()).and_then(|()| out.flush()));
        }
    };
    let report = demo::run(&options, context.monitor, &mut print_event)?;
    context.print(
        &demo_output::report_text(&report),
        &demo_output::report_json(&report),
    )?;
    Ok(Exit::Done)
}
