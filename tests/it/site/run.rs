//! A job at the site that was chosen, without an engine.

use local_cache::env::Env;
use local_cache::site::detect::detect;
use local_cache::site::facts::Confinement;
use local_cache::site::run::{RunOptions, RunOutcome, SiteRunner};
use local_cache::site::worker::WorkerContext;
use std::path::{Path, PathBuf};

use super::detect::{denied, failing, with};

#[test]
fn a_job_that_runs_here_gets_the_request_and_the_home() {
    let facts = with(|facts| facts.confinement = Confinement::No);
    let decision = detect(&facts);
    let env = Env::from_iter([("HOME", "/home/someone")]);
    let work = |request: String, context: &WorkerContext| {
        (
            request,
            context.namespace.resolve(Path::new("~/x")).unwrap(),
            context.is_cancelled(),
        )
    };
    let runner = SiteRunner {
        facts: &facts,
        decision: &decision,
        options: &RunOptions::new(env),
    };
    let outcome = runner.run("hello".to_owned(), &mut |_| (), work).unwrap();
    assert_eq!(
        outcome.reply,
        ("hello".to_owned(), PathBuf::from("/home/someone/x"), false)
    );
    assert_eq!((outcome.stop_reason, outcome.identity), (None, None));
}

#[test]
fn a_job_without_a_site_does_not_run_and_the_reason_is_returned() {
    let facts = failing(denied(), |_| ());
    let work = |(): (), _: &WorkerContext| panic!("must not be called");
    let runner = SiteRunner {
        facts: &facts,
        decision: &detect(&facts),
        options: &RunOptions::new(Env::default()),
    };
    let outcome: Result<RunOutcome<()>, _> = runner.run((), &mut |_| (), work);
    assert_eq!(outcome.unwrap_err().code(), "socket-denied");
}
