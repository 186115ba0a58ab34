//! `local-cache doctor`: checks of the machine and the store, each with advice.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use super::text::one_line;
use crate::cargo::project::workspace::normalize_path;
use crate::doctor::{ActionImage, DoctorOptions, Finding, Status, run_checks, worst};
use crate::fmt::human::plural;

/// Check everything the cache needs and say how to fix what is wrong
#[derive(Debug, Args)]
#[command(
    after_help = "Run it as the user who runs jobs. The exit code is 1 if a problem keeps the cache from working.\n\nExamples:\n  local-cache doctor\n  sudo -u runner local-cache doctor --workspace ~runner/actions-runner/_work/repo/repo --as-action"
)]
pub(super) struct DoctorArgs {
    /// A checkout or the work directory of jobs [default: current directory]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Start the action's image once, as the runner does, and say what it sees
    #[arg(long)]
    as_action: bool,
    /// Image for --as-action [default: the newest one of the action on this machine]
    #[arg(long, value_name = "IMAGE", requires = "as_action")]
    image: Option<String>,
}

pub(super) fn doctor(context: &mut CommandContext<'_>, args: &DoctorArgs) -> Result<Exit> {
    let directory = &context.base.working_directory;
    let options = DoctorOptions {
        cache_root: context.cache_root.to_owned(),
        workspace: args.workspace.as_ref().map_or_else(
            || directory.clone(),
            |path| normalize_path(&directory.join(path)),
        ),
        home: context.base.home.clone(),
        env: context.env.clone(),
        as_action: args.as_action.then(|| match &args.image {
            Some(image) => ActionImage::Named(image.clone()),
            None => ActionImage::Newest,
        }),
    };
    let findings = run_checks(&options);
    let worst = worst(&findings);
    let json = json!({ "status": worst, "checks": findings });
    context.print(&text(&findings), &json)?;
    Ok(if worst == Status::Problem {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or_default();
    for Finding {
        check,
        status,
        found,
        advice,
    } in findings
    {
        let mark = match status {
            Status::Ok => "✅",
            Status::Warning => "⚠️",
            Status::Problem => "❌",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{mark} {check:width$}  {}", one_line(found));
        if let Some(advice) = advice {
            let _ = writeln!(text, "   {:width$}  → {}", "", one_line(advice));
        }
    }
    let _ = writeln!(
        text,
        "\n{}, {}",
        plural(count(findings, Status::Problem), "problem", "problems"),
        plural(count(findings, Status::Warning), "warning", "warnings")
    );
    text
}

fn count(findings: &[Finding], status: Status) -> u64 {
    findings
        .iter()
        .filter(|finding| finding.status == status)
        .count() as u64
}
