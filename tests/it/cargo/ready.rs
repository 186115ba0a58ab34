//! The input `ready-copies`.

use std::fs;

use super::support::{build, machine, project, run};

#[test]
fn ready_copies_0_leaves_the_target_directory_and_removes_the_copies_of_earlier_jobs() {
    let machine = machine();
    let copies = || {
        fs::read_dir(machine.store().join("local-cache-v1/ready"))
            .unwrap()
            .count()
    };
    let job = project(&machine);
    run(&job, &[("reuse", "move")], |_| build(&job));
    assert_eq!(copies(), 1);
    // It restores none, because its directory exists.
    let other = project(&machine);
    drop(other.file(
        "target/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    ));
    run(&other, &[("reuse", "move"), ("ready-copies", "0")], |_| {});
    assert_eq!(copies(), 0);
    assert!(other.locate("target").exists());
    // With a number, a directory that was no copy is added to those that exist.
    for (number, expected) in [("2", 1), ("2", 2), ("2", 2)] {
        let job = project(&machine);
        drop(job.file(
            "target/CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55",
        ));
        run(&job, &[("reuse", "move"), ("ready-copies", number)], |_| {});
        assert_eq!(copies(), expected);
    }
}
