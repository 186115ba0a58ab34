//! `push=background` in the native action.

use super::phases::released;
use crate::remote::background::{pushers, wait_until};
use crate::support::machine::Machine;
use crate::support::memory_s3::{Faults, MemoryS3};
use crate::support::s3::{KEY, SECRET};
use crate::support::tools::{is_installed, skip};

#[test]
fn post_ends_before_the_copy() {
    if !is_installed("node", "push=background in the native action") {
        return;
    }
    let server = MemoryS3::start(Faults {
        held: Some("/segments/"),
        ..Faults::default()
    });
    let (machine, action) = (Machine::new(), released());
    let job = machine.job();
    job.file("data/file", "contents");
    let mut step = job
        .cache()
        .native(action.path())
        .with("path", "data")
        .with("key", "k")
        .with("remote", &server.remote("&push=background"))
        .var("AWS_ACCESS_KEY_ID", KEY)
        .var("AWS_SECRET_ACCESS_KEY", SECRET)
        .var("RUNNER_TRACKING_ID", "github_1234");
    step.pre().passed();
    step.main().passed();
    let post = step.post().passed().logs("saved").does_not_log("::warning");
    if post.log.contains("push=background is like push=wait") {
        skip("a host", "push=background in the native action");
        return;
    }
    let post = post.logs("1 entry copied in the background");
    assert!(!post.log.contains(SECRET));
    server.wait_until_held();
    assert!(server.names("/entries/").is_empty());
    assert_eq!(pushers(&machine.store()).len(), 1);
    server.release();
    wait_until("the process ends", || pushers(&machine.store()).is_empty());
    assert_eq!(server.names("/entries/").len(), 1);
}
