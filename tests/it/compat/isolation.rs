//! Which runs see which entries, and under which scope a run saves.

use std::process::Command;

use crate::support::machine::{Job, Machine, pull_request};

type Run = for<'m> fn(Job<'m>) -> Job<'m>;

const HOME: &str = "acme/widget";
const FORK: &str = "eve/widget";
const TARGET: &str = "pull_request_target";

fn main(job: Job<'_>) -> Job<'_> {
    job.push("main")
}

fn release(job: Job<'_>) -> Job<'_> {
    job.push("release")
}

fn topic(job: Job<'_>) -> Job<'_> {
    job.push("topic")
}

/// Pull request 7 from the branch `topic` to `release`.
fn pull(job: Job<'_>) -> Job<'_> {
    job.pull_request(7, HOME, "release")
}

fn other_pull(job: Job<'_>) -> Job<'_> {
    job.pull_request(8, HOME, "release")
}

fn fork(job: Job<'_>) -> Job<'_> {
    job.pull_request(7, FORK, "release")
}

fn other_fork(job: Job<'_>) -> Job<'_> {
    job.pull_request(8, FORK, "release")
}

/// A pull request of the same number in another repository of the same owner.
fn pull_elsewhere(job: Job<'_>) -> Job<'_> {
    let payload = pull_request(7, "acme/gadget", "release").replace("acme/widget", "acme/gadget");
    job.pull_request(7, HOME, "release")
        .repository("acme/gadget")
        .on("pull_request", "refs/pull/7/merge", &payload)
}

/// A fork's pull request that runs with the base branch's ref; only the event shows that.
fn fork_target(job: Job<'_>) -> Job<'_> {
    job.on(
        TARGET,
        "refs/heads/release",
        &pull_request(7, FORK, "release"),
    )
    .var("GITHUB_BASE_REF", "release")
}

fn pull_target(job: Job<'_>) -> Job<'_> {
    job.on(
        TARGET,
        "refs/heads/release",
        &pull_request(7, HOME, "release"),
    )
    .var("GITHUB_BASE_REF", "release")
}

fn workflow_run<'m>(job: Job<'m>, head: &str) -> Job<'m> {
    let payload = format!(
        r#"{{"workflow_run": {{"head_repository": {head}, "pull_requests": [], "head_branch": "topic"}},
             "repository": {{"full_name": "acme/widget", "default_branch": "main"}}}}"#
    );
    job.on("workflow_run", "refs/heads/main", &payload)
}

fn after_fork(job: Job<'_>) -> Job<'_> {
    workflow_run(job, r#"{"full_name": "eve/widget"}"#)
}

fn after_other_fork(job: Job<'_>) -> Job<'_> {
    workflow_run(job, r#"{"full_name": "mallory/widget"}"#)
}

fn after_gone_fork(job: Job<'_>) -> Job<'_> {
    workflow_run(job, "null")
}

fn after_branch(job: Job<'_>) -> Job<'_> {
    workflow_run(job, r#"{"full_name": "acme/widget"}"#)
}

fn comment<'m>(job: Job<'m>, issue: &str) -> Job<'m> {
    let payload = format!(r#"{{"issue": {issue}, "repository": {{"default_branch": "main"}}}}"#);
    job.on("issue_comment", "refs/heads/main", &payload)
}

fn comment_on_pull(job: Job<'_>) -> Job<'_> {
    comment(
        job,
        r#"{"number": 7, "pull_request": {"url": "https://api.github.com/x"}}"#,
    )
}

fn other_comment_on_pull(job: Job<'_>) -> Job<'_> {
    comment_on_pull(job).var("GITHUB_RUN_ID", "4712")
}

fn comment_on_issue(job: Job<'_>) -> Job<'_> {
    comment(job, r#"{"number": 9}"#)
}

fn tag(job: Job<'_>) -> Job<'_> {
    job.on(
        "push",
        "refs/tags/v1",
        r#"{"repository": {"default_branch": "main"}}"#,
    )
}

fn other_tag(job: Job<'_>) -> Job<'_> {
    job.on(
        "push",
        "refs/tags/v2",
        r#"{"repository": {"default_branch": "main"}}"#,
    )
}

fn schedule(job: Job<'_>) -> Job<'_> {
    let payload = r#"{"schedule": "0 3 * * *", "repository": {"default_branch": "main"}}"#;
    job.on("schedule", "refs/heads/main", payload)
}

fn dispatch(job: Job<'_>) -> Job<'_> {
    let payload = r#"{"action": "go", "repository": {"default_branch": "main"}}"#;
    job.on("repository_dispatch", "refs/heads/main", payload)
}

fn queue(job: Job<'_>) -> Job<'_> {
    let git_ref = "refs/heads/gh-readonly-queue/release/pr-7-0123";
    let payload = r#"{"merge_group": {"base_ref": "refs/heads/release"}, "repository": {"default_branch": "main"}}"#;
    job.on("merge_group", git_ref, payload)
}

fn no_event(job: Job<'_>) -> Job<'_> {
    job.push("topic").no_event_file()
}

fn pull_no_event(job: Job<'_>) -> Job<'_> {
    pull(job).no_event_file()
}

fn target_no_event(job: Job<'_>) -> Job<'_> {
    fork_target(job).no_event_file()
}

fn comment_no_event(job: Job<'_>) -> Job<'_> {
    comment_on_pull(job).no_event_file()
}

fn gadget(job: Job<'_>) -> Job<'_> {
    job.repository("acme/gadget")
}

fn stranger(job: Job<'_>) -> Job<'_> {
    job.repository("eve/widget")
}

fn loud(job: Job<'_>) -> Job<'_> {
    job.repository("Acme/Widget")
}

fn check(with: &str, writer: Run, reader: Run, sees: bool) {
    let machine = Machine::new();
    let job = writer(machine.job());
    let mut step = job
        .cache()
        .with("path", "data")
        .with("key", "k")
        .with_yaml(with);
    step.main().passed();
    job.file("data/file", "1");
    step.post()
        .passed()
        .logs("Cache saved with key: k")
        .does_not_log("::warning");
    let job = reader(machine.job());
    let done = job
        .restore()
        .with("path", "data")
        .with("key", "k")
        .with_yaml(with)
        .main()
        .passed();
    assert_eq!(done.hit(), if sees { "true" } else { "" }, "{}", done.log);
}

macro_rules! sees {
    ($with:expr; $($name:ident: $writer:ident, $reader:ident, $sees:expr;)*) => {
        $(#[test]
        fn $name() {
            check($with, $writer, $reader, $sees);
        })*
    };
}

const ISOLATED: &str = "{}";
const SHARED: &str = "branch-isolation: false";
const OWNER: &str = "scope: owner";
const RUNNER: &str = "scope: runner";
const ALL: &str = "{scope: runner, branch-isolation: false}";

// The inputs of both runs, the saving run, the restoring run, and whether it finds the entry.
sees! {
    ISOLATED;
    a_branch_sees_its_own: topic, topic, true;
    a_branch_does_not_see_another_branch: topic, release, false;
    a_branch_sees_the_default_branch: main, topic, true;
    the_default_branch_sees_no_other: topic, main, false;
    a_pull_request_sees_its_own: pull, pull, true;
    a_pull_request_sees_its_base: release, pull, true;
    a_pull_request_sees_the_default_branch: main, pull, true;
    a_pull_request_does_not_see_its_head: topic, pull, false;
    a_pull_request_does_not_see_another: pull, other_pull, false;
    a_base_does_not_see_a_pull_request: pull, release, false;
    the_default_branch_does_not_see_a_pull_request: pull, main, false;
    a_head_does_not_see_its_pull_request: pull, topic, false;
    a_fork_sees_its_own: fork, fork, true;
    a_fork_sees_its_base: release, fork, true;
    a_fork_sees_the_default_branch: main, fork, true;
    a_base_does_not_see_a_fork: fork, release, false;
    the_default_branch_does_not_see_a_fork: fork, main, false;
    a_pull_request_does_not_see_a_fork: fork, other_pull, false;
    a_fork_does_not_see_another_of_its_pull_requests: fork, other_fork, false;
    a_fork_with_the_bases_rights_sees_its_own: fork_target, fork_target, true;
    a_fork_with_the_bases_rights_sees_its_base: release, fork_target, true;
    a_fork_with_the_bases_rights_does_not_see_what_it_wrote_without: fork, fork_target, false;
    a_base_does_not_see_a_fork_with_its_rights: fork_target, release, false;
    the_default_branch_does_not_see_a_fork_with_the_bases_rights: fork_target, main, false;
    a_base_sees_a_pull_request_of_its_own_repository_with_its_rights: pull_target, release, true;
    a_run_after_a_forks_sees_its_own: after_fork, after_fork, true;
    a_run_after_a_forks_sees_the_default_branch: main, after_fork, true;
    a_run_after_a_forks_does_not_see_another_forks: after_fork, after_other_fork, false;
    the_default_branch_does_not_see_a_run_after_a_forks: after_fork, main, false;
    the_default_branch_does_not_see_a_run_after_a_fork_that_is_gone: after_gone_fork, main, false;
    the_default_branch_sees_a_run_after_a_branchs: after_branch, main, true;
    the_default_branch_does_not_see_a_run_for_a_comment_on_a_pull_request: comment_on_pull, main, false;
    a_run_for_a_comment_sees_its_own: comment_on_pull, comment_on_pull, true;
    a_run_for_a_comment_does_not_see_another: comment_on_pull, other_comment_on_pull, false;
    a_run_for_a_comment_sees_the_default_branch: main, comment_on_pull, true;
    the_default_branch_sees_a_run_for_a_comment_on_an_issue: comment_on_issue, main, true;
    a_tag_sees_its_own: tag, tag, true;
    a_tag_sees_the_default_branch: main, tag, true;
    a_tag_does_not_see_another_tag: tag, other_tag, false;
    the_default_branch_does_not_see_a_tag: tag, main, false;
    a_schedule_writes_for_the_default_branch: schedule, topic, true;
    a_schedule_sees_the_default_branch: main, schedule, true;
    a_repository_dispatch_writes_for_the_default_branch: dispatch, main, true;
    a_merge_queue_sees_its_base: release, queue, true;
    a_merge_queue_sees_the_default_branch: main, queue, true;
    a_base_does_not_see_a_merge_queue: queue, release, false;
    without_an_event_file_a_branch_sees_its_own: no_event, topic, true;
    without_an_event_file_the_default_branch_is_not_known: main, no_event, false;
    without_an_event_file_a_pull_request_sees_its_base: release, pull_no_event, true;
    without_an_event_file_a_pull_request_keeps_to_itself: pull_no_event, release, false;
    without_an_event_file_a_pull_request_with_the_bases_rights_keeps_to_itself: target_no_event, release, false;
    without_an_event_file_a_run_for_a_comment_keeps_to_itself: comment_no_event, main, false;
    a_repository_does_not_see_another: main, gadget, false;
    the_case_of_a_repositorys_name_does_not_count: main, loud, true;
}

sees! {
    SHARED;
    when_shared_a_branch_sees_another: topic, release, true;
    when_shared_the_default_branch_sees_a_pull_request_of_the_repository: pull, main, true;
    when_shared_a_fork_sees_the_branches: topic, fork, true;
    when_shared_a_fork_sees_its_own: fork, fork, true;
    when_shared_a_branch_does_not_see_a_fork: fork, main, false;
    when_shared_a_base_does_not_see_a_fork_with_its_rights: fork_target, release, false;
    when_shared_the_default_branch_does_not_see_a_run_after_a_forks: after_fork, main, false;
    when_shared_the_default_branch_does_not_see_a_comment: comment_on_pull, main, false;
    when_shared_a_pull_request_without_an_event_file_keeps_to_itself: pull_no_event, main, false;
    when_shared_a_repository_does_not_see_another: main, gadget, false;
}

sees! {
    OWNER;
    of_one_owner_a_repository_sees_another: main, gadget, true;
    of_one_owner_branches_are_kept_apart: topic, gadget, false;
    of_one_owner_a_repository_does_not_see_that_of_another_owner: main, stranger, false;
    of_one_owner_a_pull_request_does_not_see_a_fork_of_its_number: fork, pull_elsewhere, false;
    of_one_owner_a_fork_sees_its_own: fork, fork, true;
    of_one_owner_a_fork_sees_the_default_branch: gadget, fork, true;
}

sees! {
    RUNNER;
    of_one_runner_a_repository_sees_any_other: main, stranger, true;
    of_one_runner_branches_are_kept_apart: topic, stranger, false;
    of_one_runner_a_pull_request_does_not_see_a_fork_of_its_number: fork, pull_elsewhere, false;
    of_one_runner_a_base_does_not_see_a_fork: fork, release, false;
}

sees! {
    ALL;
    with_all_shared_any_branch_sees_any: topic, stranger, true;
    with_all_shared_nobody_sees_a_fork: fork, main, false;
    with_all_shared_a_pull_request_elsewhere_does_not_see_a_fork: fork, pull_elsewhere, false;
    with_all_shared_a_fork_sees_its_own: fork, fork, true;
}

/// The scope and the ref of the only entry of a store.
fn written(machine: &Machine) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
    let listed = command
        .arg("--cache-root")
        .arg(machine.store())
        .args(["list", "--json"])
        .output()
        .unwrap();
    let entries: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let [entry] = entries.as_array().unwrap().as_slice() else {
        panic!("{entries}")
    };
    (
        entry["scope"].as_str().unwrap().to_owned(),
        entry["ref"].as_str().unwrap().to_owned(),
    )
}

macro_rules! writes {
    ($($name:ident: $with:expr, $writer:ident => $scope:expr, $git_ref:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = $writer(machine.job());
            job.file("data/file", "1");
            let done = job.save().with("path", "data").with("key", "k").with_yaml($with).main();
            done.passed().logs("Cache saved");
            assert_eq!(written(&machine), ($scope.to_owned(), $git_ref.to_owned()));
        })*
    };
}

writes! {
    a_push_writes_to_its_branch: ISOLATED, topic => HOME, "refs/heads/topic";
    a_pull_request_writes_to_its_merge_ref: ISOLATED, pull => HOME, "refs/pull/7/merge";
    a_fork_writes_to_its_merge_ref: ISOLATED, fork => HOME, "refs/pull/7/merge";
    a_fork_writes_to_its_merge_ref_when_branches_share: SHARED, fork => HOME, "refs/pull/7/merge";
    a_fork_writes_to_its_repository_when_an_owner_shares: OWNER, fork => HOME, "refs/pull/7/merge";
    a_fork_writes_to_its_repository_when_the_runner_shares: RUNNER, fork => HOME, "refs/pull/7/merge";
    a_fork_writes_to_its_repository_when_all_is_shared: ALL, fork => HOME, "refs/pull/7/merge";
    a_fork_with_the_bases_rights_writes_to_no_branch: ALL, fork_target => HOME, "untrusted/pull/7";
    a_run_after_a_forks_writes_to_no_branch: ALL, after_fork => HOME, "untrusted/repository/eve/widget";
    a_run_for_a_comment_writes_to_no_branch: ALL, comment_on_pull => HOME, "untrusted/run/4711";
    a_branch_that_shares_writes_to_no_ref: SHARED, topic => HOME, "";
    an_owner_that_shares_is_the_scope: OWNER, topic => "acme", "refs/heads/topic";
    a_runner_that_shares_has_no_scope: ALL, topic => "", "";
}

#[test]
fn the_scope_of_post_is_decided_before_the_job_can_change_the_event_file() {
    let machine = Machine::new();
    let job = fork_target(machine.job());
    let mut step = job.cache().with("path", "data").with("key", "k");
    step.main().passed();
    job.file("data/file", "poison");
    job.rewrite_event(&pull_request(7, HOME, "release"));
    step.post().passed().logs("Cache saved with key: k");
    assert_eq!(written(&machine).1, "untrusted/pull/7");
}

#[test]
fn a_run_without_a_repository_restores_and_saves_nothing_and_does_not_fail() {
    let machine = Machine::new();
    let job = machine
        .job()
        .without("GITHUB_REPOSITORY")
        .without("GITHUB_REPOSITORY_OWNER");
    job.file("data/file", "1");
    let mut step = job.cache().with("path", "data").with("key", "k");
    step.main()
        .passed()
        .logs("::warning title=local-cache::GITHUB_REPOSITORY is not set");
    step.post().passed();
    assert_eq!(machine.entries(), 0);
}

#[test]
fn a_run_of_an_unknown_fork_restores_and_saves_nothing() {
    let machine = Machine::new();
    let job = comment_on_pull(machine.job()).without("GITHUB_RUN_ID");
    job.file("data/file", "1");
    let mut step = job
        .cache()
        .with("path", "data")
        .with("key", "k")
        .with("branch-isolation", "false");
    step.main()
        .passed()
        .logs("this run may be a fork's")
        .does_not_log("set `branch-isolation: false`");
    step.post().passed();
    assert_eq!(machine.entries(), 0);
}
