//! The keys under which jobs save, and which of them a later job finds.

use std::fs;

use super::support::{
    DRIVER, LOCK, TARGET_OUTPUT, build, build_unit, clear_machine, first_job, hits,
    install_toolchain, machine, project, run,
};
use crate::support::machine::Machine;

#[test]
fn a_target_of_another_compiler_or_other_flags_is_never_restored() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine).var("RUSTFLAGS", "-Copt-level=1");
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "true", "true", ""]);
    assert!(!job.locate("target").exists());
    install_toolchain(&machine, "22bb");
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "true", "true", ""]);
}

#[test]
fn the_save_uses_the_keys_of_the_restore() {
    let machine = machine();
    let job = project(&machine);
    // The job changes every input of the keys.
    let (main, _) = run(&job, &[], |_| {
        build(&job);
        job.file("Cargo.lock", &LOCK.replace("1.0.0", "1.0.1"));
        job.file(
            "Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
        );
        job.file(
            "rust-toolchain.toml",
            "[toolchain]\ncomponents = [\"clippy\"]\n",
        );
    });
    clear_machine(&machine);
    let job = project(&machine);
    let (again, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&again), ["true", "true", "true", "true"]);
    assert_eq!(main.output("cache-key"), again.output("cache-key"));
}

#[test]
fn a_library_without_a_lock_file_gets_an_exact_hit() {
    let machine = machine();
    let library = || {
        let job = project(&machine);
        fs::remove_file(job.locate("Cargo.lock")).unwrap();
        job
    };
    let job = library();
    run(&job, &[], |_| {
        build(&job);
        job.file("Cargo.lock", LOCK);
    });
    clear_machine(&machine);
    let job = library();
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
}

#[test]
fn a_toolchain_that_a_later_step_installs_is_in_the_saved_key() {
    for (stays, reuse) in [
        (true, "copy"),
        (false, "copy"),
        (true, "move"),
        (false, "move"),
    ] {
        let machine = Machine::new();
        let job = project(&machine);
        let (main, post) = run(&job, &[("reuse", reuse)], |_| {
            build(&job);
            install_toolchain(&machine, "33cc");
        });
        let unseen = main.output("cache-key").to_owned();
        assert_eq!(
            post.log.matches("target: 4 files").count(),
            2,
            "{}",
            post.log
        );
        clear_machine(&machine);
        if !stays {
            fs::remove_dir_all(machine.home().join(".rustup")).unwrap();
        }
        let job = project(&machine);
        let (main, _) = run(&job, &[], |_| ());
        assert_eq!(
            hits(&main),
            ["true", "true", "true", "true"],
            "{}",
            main.log
        );
        assert_eq!(main.output("cache-key") == unseen, !stays);
    }
}

#[test]
fn builds_of_another_compiler_are_saved_under_its_own_key() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let (main, post) = run(&job, &[], |_| {
        build_unit(&job, "target", "by another compiler");
        install_toolchain(&machine, "22bb");
    });
    assert!(!post.log.contains(main.output("cache-key")), "{}", post.log);
    assert_eq!(machine.entries(), 4);
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "by another compiler");
    install_toolchain(&machine, "11aa");
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "program");
    assert!(DRIVER.contains("11aa"));
}
