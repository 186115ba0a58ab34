//! Reports the crates that the check at the end of a job found to be possibly stale.

use super::context::StepContext;
use super::messages;
use crate::job::StaleUnit;

/// Warns of each crate, and fails the step if the user asked for that.
pub(super) fn report(step: &StepContext<'_, '_>, stale: &[StaleUnit]) {
    for warning in stale {
        step.warn(&warning.to_string());
    }
    if step.inputs.fail_on_stale && !stale.is_empty() {
        step.fail(&messages::stale(stale.len()));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, OnceCell};

    use log::LevelFilter;

    use super::*;
    use crate::action::console::{Console, Verbosity};
    use crate::action::context::WorkflowContext;
    use crate::action::dispatcher::LazyDispatcher;
    use crate::action::env::Env;
    use crate::action::inputs::Inputs;
    use crate::action::kind::ActionKind;
    use crate::action::phase::context::StepResult;
    use crate::action::phase::state::StepState;
    use crate::action::phase::summary;
    use crate::job::JobReply;
    use crate::stats::event::Phase;

    /// What a post phase with the input does with a reply: its result, its log and its summary.
    fn end_of_job(fail_on_stale: &str, reply: &JobReply) -> (StepResult, String, String) {
        let files = tempfile::tempdir().unwrap();
        let summary = files.path().join("summary");
        std::fs::write(&summary, "").unwrap();
        let env = Env::from_iter([
            ("INPUT_FAIL-ON-STALE", fail_on_stale.into()),
            ("GITHUB_STEP_SUMMARY", summary.clone().into_os_string()),
        ]);
        let inputs = Inputs::parse(&env, ActionKind::Cache).unwrap();
        let workflow = WorkflowContext::from_env(&env);
        let mut log = Vec::new();
        let console = Console::new(&mut log, Verbosity::new(LevelFilter::Info, false));
        let step = StepContext {
            phase: Phase::Post,
            env: &env,
            workflow: &workflow,
            inputs: &inputs,
            state: &StepState::default(),
            console: &console,
            dispatcher: &LazyDispatcher::new(&env, &inputs, workflow.clone(), None, &console),
            event: OnceCell::new(),
            has_failed: Cell::new(false),
        };
        report(&step, &reply.stale);
        summary::write_at_end(&step, reply);
        let result = step.result();
        let summary = std::fs::read_to_string(summary).unwrap();
        (result, String::from_utf8(log).unwrap(), summary)
    }

    fn reply(packages: &[&str]) -> JobReply {
        let unit = |package: &&str| StaleUnit {
            package: (*package).to_owned(),
            input: format!("{package}/src/lib.rs"),
            advice: "unpack the sources before the cache step".to_owned(),
        };
        JobReply {
            stale: packages.iter().map(unit).collect(),
            ..JobReply::default()
        }
    }

    #[test]
    fn each_stale_crate_is_a_warning_and_in_the_summary() {
        let (result, log, summary) = end_of_job("false", &reply(&["api", "core"]));
        assert_eq!(result, StepResult::Passed);
        assert_eq!(log.matches("::warning ").count(), 2, "{log}");
        assert!(log.contains(
            "api may be stale in this job: api/src/lib.rs changed and cargo did not compile it \
             again; unpack the sources before the cache step"
        ));
        assert_eq!(summary.matches("> ⚠️ ").count(), 2, "{summary}");
    }

    #[test]
    fn stale_crates_fail_the_step_with_fail_on_stale() {
        let (result, log, _) = end_of_job("true", &reply(&["api", "core"]));
        assert_eq!(result, StepResult::Failed);
        assert!(
            log.contains("2 crates may be stale in this job, and fail-on-stale is set"),
            "{log}"
        );
    }

    #[test]
    fn without_stale_crates_fail_on_stale_changes_nothing() {
        let (result, log, summary) = end_of_job("true", &reply(&[]));
        assert_eq!(
            (result, log, summary),
            (StepResult::Passed, String::new(), String::new())
        );
    }

    #[test]
    fn a_reply_without_the_list_has_no_stale_crates() {
        let mut json = serde_json::to_value(reply(&["api"])).unwrap();
        assert_eq!(
            json.as_object_mut().unwrap().remove("stale").unwrap()[0]["package"],
            "api"
        );
        assert_eq!(
            serde_json::from_value::<JobReply>(json).unwrap(),
            reply(&[])
        );
    }
}
