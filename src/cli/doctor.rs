//! `doctor`: checks, each with what to do.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::commands::CommandContext;
use super::{Exit, Failure};
use crate::action::Env;
use crate::doctor::{DoctorOptions, Finding, Status, run_checks, worst};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// A checkout or the directory that jobs work in; the current directory if not given
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

pub(super) fn doctor(
    context: &mut CommandContext<'_>,
    args: &DoctorArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let directory = &context.base.working_directory;
    let asked = DoctorOptions {
        cache_root: directory.join(&context.common.cache_root),
        workspace: args
            .workspace
            .as_ref()
            .map_or_else(|| directory.clone(), |workspace| directory.join(workspace)),
        home: context.base.home.clone(),
        env: env.clone(),
    };
    let findings = run_checks(&asked);
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
        let _ = writeln!(
            text,
            "{mark} {check:width$}  {}",
            super::show::one_line(found)
        );
        if let Some(advice) = advice {
            let _ = writeln!(
                text,
                "   {:width$}  → {}",
                "",
                super::show::one_line(advice)
            );
        }
    }
    let count = |wanted: Status| {
        findings
            .iter()
            .filter(|finding| finding.status == wanted)
            .count() as u64
    };
    let _ = writeln!(
        text,
        "\n{}, {}",
        crate::fmt::human::plural(count(Status::Problem), "problem", "problems"),
        crate::fmt::human::plural(count(Status::Warning), "warning", "warnings")
    );
    text
}
