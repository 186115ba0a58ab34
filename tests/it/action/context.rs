//! What the environment and the event file tell about a run.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::path::Path;

use local_cache::action::context::CacheMode;
use local_cache::action::{CodeOrigin, Env, EventPayload, WorkflowContext};

fn context(variables: &[(&str, &str)]) -> WorkflowContext {
    WorkflowContext::from_env(&variables.iter().copied().collect())
}

fn event(payload: &str) -> EventPayload {
    EventPayload::parse(payload.as_bytes()).unwrap()
}

#[test]
fn every_variable_of_a_container_action_is_read() {
    let context = context(&[
        ("GITHUB_WORKSPACE", "/github/workspace"),
        ("GITHUB_REPOSITORY", "acme/widget"),
        ("GITHUB_REPOSITORY_OWNER", "Acme"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", "/github/workflow/event.json"),
        ("GITHUB_RUN_ID", "12345678901"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_WORKFLOW", "CI"),
        ("GITHUB_JOB", "build"),
        ("GITHUB_ACTION", "cache"),
        ("GITHUB_OUTPUT", "/github/file_commands/set_output_1"),
        ("RUNNER_DEBUG", "1"),
        ("ACTIONS_CACHE_MODE", "read"),
        ("ACT", "true"),
    ]);
    assert_eq!(
        context.workspace.as_deref(),
        Some(Path::new("/github/workspace"))
    );
    assert_eq!(context.repository.as_deref(), Some("acme/widget"));
    assert_eq!(context.owner.as_deref(), Some("Acme"));
    assert_eq!(context.git_ref.as_deref(), Some("refs/pull/7/merge"));
    assert_eq!(context.base_ref.as_deref(), Some("main"));
    assert_eq!(context.event_name.as_deref(), Some("pull_request"));
    assert_eq!(
        context.event_path.as_deref(),
        Some(Path::new("/github/workflow/event.json"))
    );
    assert_eq!(context.run_id, Some(12_345_678_901));
    assert_eq!(context.run_attempt, Some(2));
    assert_eq!(context.workflow.as_deref(), Some("CI"));
    assert_eq!(context.job.as_deref(), Some("build"));
    assert_eq!(context.action.as_deref(), Some("cache"));
    assert_eq!(
        context.files.output.as_deref(),
        Some(Path::new("/github/file_commands/set_output_1"))
    );
    assert_eq!(context.cache_mode, CacheMode::Read);
    assert!(context.debug && context.forgets_state);
}

#[test]
fn an_empty_environment_gives_an_empty_context() {
    assert_eq!(context(&[]), WorkflowContext::default());
    let empty = [
        "GITHUB_REF",
        "GITHUB_RUN_ID",
        "GITHUB_WORKSPACE",
        "ACTIONS_CACHE_MODE",
        "ACT",
    ];
    assert_eq!(
        context(&empty.map(|name| (name, ""))),
        WorkflowContext::default()
    );
}

#[test]
fn the_owner_is_taken_from_the_repository_if_it_is_not_set() {
    assert_eq!(
        context(&[("GITHUB_REPOSITORY", "acme/widget")])
            .owner
            .as_deref(),
        Some("acme")
    );
    assert_eq!(context(&[("GITHUB_REPOSITORY", "widget")]).owner, None);
}

#[test]
fn invalid_numbers_count_as_absent() {
    let context = context(&[("GITHUB_RUN_ID", "x1"), ("GITHUB_RUN_ATTEMPT", "-1")]);
    assert_eq!((context.run_id, context.run_attempt), (None, None));
}

#[test]
fn either_debug_variable_turns_debug_on() {
    for (name, value, expected) in [
        ("RUNNER_DEBUG", "1", true),
        ("RUNNER_DEBUG", "0", false),
        ("ACTIONS_STEP_DEBUG", "true", true),
        ("ACTIONS_STEP_DEBUG", "false", false),
    ] {
        assert_eq!(context(&[(name, value)]).debug, expected, "{name}={value}");
    }
}

#[test]
fn cache_modes_allow_what_actions_cache_does_in_them() {
    for (value, may_restore, may_save) in [
        ("", true, true),
        ("write", true, true),
        ("read", true, false),
        ("write-only", false, true),
        ("none", false, false),
        ("READ", true, false),
        ("a mode of the future", true, true),
    ] {
        let mode = context(&[("ACTIONS_CACHE_MODE", value)]).cache_mode;
        assert_eq!(
            (mode.may_restore(), mode.may_save()),
            (may_restore, may_save),
            "{value:?}"
        );
    }
}

#[test]
fn the_environment_can_be_walked_in_order() {
    let env = Env::from_iter([("B", "2"), ("A", "1")]);
    let found: Vec<_> = env
        .iter()
        .map(|(name, value)| (name.to_str(), value.to_str()))
        .collect();
    assert_eq!(found, [(Some("A"), Some("1")), (Some("B"), Some("2"))]);
}

#[test]
fn any_event_file_is_read_for_the_fields_it_has() {
    for payload in [
        "{}",
        "[]",
        "7",
        "null",
        "\"text\"",
        r#"{"repository": 1, "pull_request": null, "issue": []}"#,
    ] {
        assert_eq!(event(payload), EventPayload::default(), "{payload}");
    }
    for garbage in ["", "{", "not json", "{\"a\": \u{1}}"] {
        assert!(
            EventPayload::parse(garbage.as_bytes()).is_err(),
            "{garbage:?}"
        );
    }
    let deep = "[".repeat(100_000);
    assert!(
        EventPayload::parse(deep.as_bytes()).is_err(),
        "no stack overflow"
    );
}

#[test]
fn branches_are_named_without_refs_heads() {
    let merge_group = event(
        r#"{"merge_group": {"base_ref": "refs/heads/main"}, "repository": {"default_branch": "d"}}"#,
    );
    assert_eq!(merge_group.base_ref.as_deref(), Some("main"));
    assert_eq!(merge_group.default_branch.as_deref(), Some("d"));
    let pull_request = event(r#"{"pull_request": {"base": {"ref": "release"}}}"#);
    let from_event = context(&[]);
    assert_eq!(from_event.base_branch(Some(&pull_request)), Some("release"));
    let from_env = context(&[("GITHUB_BASE_REF", "main")]);
    assert_eq!(from_env.base_branch(Some(&pull_request)), Some("main"));
    assert_eq!(from_event.base_branch(None), None);
}

#[test]
fn the_number_of_a_pull_request_is_found_in_each_event() {
    let number = |payload| event(payload).source.and_then(|source| source.pull_request);
    assert_eq!(number(r#"{"pull_request": {"number": 7}}"#), Some(7));
    assert_eq!(
        number(r#"{"number": 8, "pull_request": {"number": "7"}}"#),
        Some(8)
    );
    assert_eq!(
        number(r#"{"workflow_run": {"pull_requests": [{"number": 9}]}}"#),
        Some(9)
    );
    assert_eq!(number(r#"{"workflow_run": {"pull_requests": []}}"#), None);
}

/// (event name, ref, payload or `None` if unreadable, origin)
const ORIGINS: &[(&str, &str, Option<&str>, CodeOrigin)] = &[
    ("push", "refs/heads/main", Some("{}"), CodeOrigin::Branch),
    ("push", "refs/heads/main", None, CodeOrigin::Branch),
    ("push", "refs/tags/v1", Some("{}"), CodeOrigin::Branch),
    (
        "schedule",
        "refs/heads/main",
        Some(r#"{"schedule": "0 0 * * *"}"#),
        CodeOrigin::Branch,
    ),
    ("workflow_dispatch", "", None, CodeOrigin::Branch),
    (
        "merge_group",
        "refs/heads/gh-readonly-queue/main/pr-1",
        Some(r#"{"merge_group": {}}"#),
        CodeOrigin::Branch,
    ),
    (
        "pull_request",
        "refs/pull/7/merge",
        Some(
            r#"{"pull_request": {"head": {"repo": {"full_name": "A/w"}}, "base": {"repo": {"full_name": "a/W"}}}}"#,
        ),
        CodeOrigin::SameRepository,
    ),
    (
        "pull_request",
        "refs/pull/7/merge",
        Some(
            r#"{"pull_request": {"head": {"repo": {"full_name": "eve/w"}}, "base": {"repo": {"full_name": "a/w"}}}}"#,
        ),
        CodeOrigin::Fork,
    ),
    // The repository that it came from was deleted.
    (
        "pull_request",
        "refs/pull/7/merge",
        Some(
            r#"{"pull_request": {"head": {"repo": null}, "base": {"repo": {"full_name": "a/w"}}}}"#,
        ),
        CodeOrigin::Fork,
    ),
    // These run with the base branch's ref, and often check out the fork's code.
    (
        "pull_request_target",
        "refs/heads/main",
        Some(
            r#"{"pull_request": {"head": {"repo": {"full_name": "eve/w"}}}, "repository": {"full_name": "a/w"}}"#,
        ),
        CodeOrigin::Fork,
    ),
    (
        "workflow_run",
        "refs/heads/main",
        Some(
            r#"{"workflow_run": {"head_repository": {"full_name": "eve/w"}}, "repository": {"full_name": "a/w"}}"#,
        ),
        CodeOrigin::Fork,
    ),
    (
        "workflow_run",
        "refs/heads/main",
        Some(
            r#"{"workflow_run": {"head_repository": {"full_name": "a/w"}}, "repository": {"full_name": "a/w"}}"#,
        ),
        CodeOrigin::SameRepository,
    ),
    (
        "issue_comment",
        "refs/heads/main",
        Some(r#"{"issue": {"pull_request": {}}}"#),
        CodeOrigin::Unknown,
    ),
    (
        "issue_comment",
        "refs/heads/main",
        Some(r#"{"issue": {"number": 1}}"#),
        CodeOrigin::Branch,
    ),
    (
        "issue_comment",
        "refs/heads/main",
        None,
        CodeOrigin::Unknown,
    ),
    (
        "pull_request",
        "refs/pull/7/merge",
        Some("{}"),
        CodeOrigin::Unknown,
    ),
    (
        "pull_request",
        "refs/pull/7/merge",
        None,
        CodeOrigin::Unknown,
    ),
    (
        "pull_request_review",
        "refs/heads/main",
        None,
        CodeOrigin::Unknown,
    ),
    ("workflow_run", "refs/heads/main", None, CodeOrigin::Unknown),
    (
        "workflow_run",
        "refs/heads/main",
        Some("{}"),
        CodeOrigin::Unknown,
    ),
    ("push", "refs/pull/7/head", Some("{}"), CodeOrigin::Unknown),
    (
        "pull_request",
        "refs/pull/7/merge",
        Some(r#"{"pull_request": {"head": {"repo": {"full_name": "a/w"}}}}"#),
        CodeOrigin::Unknown,
    ),
    ("", "", None, CodeOrigin::Unknown),
];

#[test]
fn forks_are_recognised_and_unknown_runs_are_not_trusted() {
    for (event_name, git_ref, payload, expected) in ORIGINS {
        let context = context(&[("GITHUB_EVENT_NAME", event_name), ("GITHUB_REF", git_ref)]);
        let event = payload.map(event);
        let found = context.origin(event.as_ref());
        assert_eq!(found, *expected, "{event_name} {git_ref} {payload:?}");
        let trusted = matches!(expected, CodeOrigin::Branch | CodeOrigin::SameRepository);
        assert_eq!(found.is_trusted(), trusted);
    }
}
