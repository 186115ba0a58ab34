//! `local-cache action`: a phase of the GitHub Action. The entrypoints of the image, `/pre`,
//! `/main` and `/post`, run this command.

use std::panic;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use crate::action::commands::{Annotation, warning};
use crate::action::look::look;
use crate::action::phase::{self, StepResult};
use crate::action::{ActionKind, Invocation};
use crate::stats::event::Phase;

/// Run a phase of the GitHub Action
#[derive(Debug, Args)]
pub(super) struct ActionArgs {
    /// Phase of the step to run
    #[arg(value_parser = phase_parser())]
    phase: Phase,
    /// Which action it is: cache, restore or save
    #[arg(default_value = "cache")]
    kind: String,
    /// Run beside the steps of the job, as the native action does, not in a container
    #[arg(long)]
    native: bool,
    /// Print what the phase would see as JSON, and do nothing
    #[arg(long)]
    look: bool,
}

fn phase_parser() -> impl TypedValueParser<Value = Phase> {
    PossibleValuesParser::new([
        PossibleValue::new("pre").help("Before the steps of the job"),
        PossibleValue::new("main").help("The step itself"),
        PossibleValue::new("post").help("After the steps of the job"),
    ])
    .try_map(|name| name.parse::<Phase>())
}

pub(super) fn action(context: &mut CommandContext<'_>, args: &ActionArgs) -> Result<Exit> {
    let kind =
        ActionKind::from_args(&[&args.kind]).map_err(|error| usage_error(error.to_string()))?;
    let invocation = Invocation {
        phase: args.phase,
        kind,
        beside_steps: args.native,
    };
    if args.look {
        let view = serde_json::to_value(look(invocation, context.env))?;
        context.print_json(&view)?;
        return Ok(Exit::Done);
    }
    let run = panic::AssertUnwindSafe(|| phase::run(invocation, context.env, context.out));
    match panic::catch_unwind(run) {
        Ok(StepResult::Passed) => Ok(Exit::Done),
        Ok(StepResult::Failed) => Ok(Exit::Failed),
        // A bug in the cache must not fail the job.
        Err(_) => {
            let text = "local-cache stopped because of a bug; please report the lines above";
            let warning = warning(&Annotation::new(text).title("local-cache"));
            context.write(format!("{warning}\n").as_bytes())?;
            Ok(Exit::Done)
        }
    }
}
