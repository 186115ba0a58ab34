//! Jobs one after another: what each finds, restores and saves.

use std::fs;

use super::support::{
    LOCK, TARGET_OUTPUT, build, build_unit, cargo_home, clear_machine, first_job, hits, machine,
    project, run,
};
use crate::support::machine::Job;

#[test]
fn a_first_job_finds_nothing_and_the_next_one_everything() {
    let machine = machine();
    let job = project(&machine);
    let (main, post) = run(&job, &[], |_| build(&job));
    assert_eq!(hits(&main), ["false", "", "", ""]);
    for name in ["registry", "target"] {
        assert!(
            main.log
                .contains(&format!("💿 {name}: no entry for v0-rust-{name}-")),
            "{}",
            main.log
        );
    }
    assert_eq!(main.output("cache-matched-key"), "");
    let post = post.logs("💾 registry: 3 files").logs("💾 target: 4 files");
    // There is no line about git in a project without git dependencies.
    drop(post.does_not_log("git"));
    assert!(!main.log.contains("💿 git"), "{}", main.log);
    assert_eq!(machine.entries(), 3);

    clear_machine(&machine);
    let job = project(&machine);
    let (main, post) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    assert_eq!(
        main.output("cache-matched-key"),
        main.output("cache-primary-key")
    );
    assert_eq!(main.output("cache-key"), main.output("cache-primary-key"));
    assert!(
        main.output("cache-key")
            .starts_with("v0-rust-target-build-linux-"),
        "{}",
        main.log
    );
    assert_eq!(main.output("restored-files"), "7");
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "program");
    assert_eq!(
        job.read("~/.cargo/registry/cache/index-1/dep-1.0.0.crate")
            .unwrap(),
        "archive"
    );
    let main = main
        .logs("🚀 all restored: ")
        .logs("🚀 target: 4 files, 88 B restored in ")
        .does_not_log("🚀 git");
    drop(main);
    for name in ["registry", "target"] {
        assert!(
            post.log
                .contains(&format!("✅ {name}: unchanged since it was saved as v0-")),
            "{}",
            post.log
        );
    }
    assert_eq!(machine.entries(), 3);
}

#[test]
fn a_target_directory_is_moved_into_the_store_and_back_by_renames() {
    use std::os::unix::fs::MetadataExt;
    let machine = machine();
    let job = project(&machine);
    let inode = std::cell::Cell::new(0);
    run(&job, &[("reuse", "move")], |_| {
        build(&job);
        inode.set(fs::metadata(job.locate(TARGET_OUTPUT)).unwrap().ino());
    });
    assert!(!job.locate("target").exists());
    let other = project(&machine);
    let (main, _) = run(&other, &[("reuse", "move")], |_| {
        assert_eq!(
            fs::metadata(other.locate(TARGET_OUTPUT)).unwrap().ino(),
            inode.get()
        );
    });
    assert_eq!(main.output("target-cache-hit"), "true");
    main.logs("🚀 target: 4 files, 88 B restored by a rename and checked in ");
    // The entry is complete without the ready copy.
    fs::remove_dir_all(machine.store().join("local-cache-v1/ready")).unwrap();
    let third = project(&machine);
    let (main, _) = run(&third, &[], |_| {
        assert_eq!(third.read(TARGET_OUTPUT).unwrap(), "program");
    });
    main.logs("🚀 target: 4 files, 88 B restored in ");
}

#[test]
fn a_directory_that_cargo_did_not_make_is_not_moved() {
    let machine = machine();
    let job = project(&machine);
    run(&job, &[("reuse", "move")], |_| {
        drop(job.file("target/notes.txt", "mine"));
    });
    assert!(job.locate("target/notes.txt").exists());
}

#[test]
fn keep_outputs_saves_what_no_build_can_use() {
    const OLD: &str = "target/debug/deps/old-fedcba9876543210";
    for (inputs, is_kept) in [
        (&[][..], false),
        (&[("keep-outputs", "debug/deps/old-*")][..], true),
        (
            &[("keep-outputs", "other\n*/deps\n!debug/deps/old-*")][..],
            false,
        ),
    ] {
        let machine = machine();
        let job = project(&machine);
        run(&job, inputs, |_| {
            build(&job);
            drop(job.file(
                "target/debug/.fingerprint/app-1111111111111111/lib-app",
                "1",
            ));
            drop(job.file(OLD, "old"));
        });
        clear_machine(&machine);
        let job = project(&machine);
        let (main, _) = run(&job, inputs, |_| ());
        assert_eq!(main.output("target-cache-hit"), "true");
        assert_eq!(job.locate(OLD).exists(), is_kept, "{inputs:?}");
    }
}

#[test]
fn a_pattern_of_keep_outputs_that_leads_out_of_the_target_directory_is_an_error() {
    let machine = machine();
    let job = project(&machine);
    let mut step = job.cache().with("keep-outputs", "~/.ssh");
    step.main()
        .passed()
        .logs("keep-outputs: ~/.ssh is not relative to the target directory");
}

#[test]
fn a_step_with_replay_mtimes_is_told_to_use_freshness() {
    let machine = machine();
    let job = project(&machine);
    let text = "input replay-mtimes has no effect: `freshness` replaces it";
    let (main, post) = run(&job, &[("replay-mtimes", "false")], |_| ());
    main.logs(&format!("::warning title=local-cache::{text}"));
    post.does_not_log(text);
}

#[test]
fn files_that_are_already_correct_are_only_compared() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    run(&job, &[], |_| ());
    let mut again = job.cache();
    again
        .main()
        .passed()
        .logs("🚀 target: 4 files, 88 B already up to date with v0-rust-target-");
}

#[test]
fn a_target_that_changed_is_saved_again_under_its_key() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let (_, post) = run(&job, &[], |_| {
        build_unit(&job, "target", "newer program");
    });
    post.logs("💾 target: 4 files")
        .logs("✅ registry: unchanged");
    assert_eq!(machine.entries(), 3);
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(main.output("target-cache-hit"), "true");
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "newer program");
}

#[test]
fn crates_that_were_added_are_saved_under_the_same_key() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let added = "~/.cargo/registry/cache/index-1/other-1.0.0.crate";
    let (_, post) = run(&job, &[("cache-all-crates", "true")], |_| {
        drop(job.file(added, "other"));
    });
    post.logs("💾 registry: 4 files")
        .logs("✅ target: unchanged");
    clear_machine(&machine);
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert_eq!(job.read(added).unwrap(), "other");
}

#[test]
fn crates_that_no_lock_file_needs_are_not_saved_and_not_removed() {
    let machine = machine();
    let job = project(&machine);
    let [needed, other] = ["dep-1.0.0", "dep-0.9.0"]
        .map(|package| format!("~/.cargo/registry/cache/index-1/{package}.crate"));
    run(&job, &[], |_| {
        build(&job);
        drop(job.file(&other, "other"));
    });
    assert!(job.locate(&other).exists(), "a live directory was pruned");
    clear_machine(&machine);
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert!(job.locate(&needed).exists() && !job.locate(&other).exists());
}

#[test]
fn with_another_lock_file_the_nearest_earlier_entries_are_restored() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    job.file("Cargo.lock", &LOCK.replace("1.0.0", "1.0.1"));
    let (main, post) = run(&job, &[("cache-all-crates", "true")], |_| {
        build_unit(&job, "target", "newer");
    });
    // The project has no git dependencies in either lock file.
    assert_eq!(hits(&main), ["false", "false", "true", "false"]);
    assert_ne!(
        main.output("cache-matched-key"),
        main.output("cache-primary-key")
    );
    assert_eq!(
        main.output("cache-matched-key").rsplit_once('-').unwrap().0,
        { main.output("cache-primary-key").rsplit_once('-').unwrap().0 }
    );
    main.logs("(prefix)");
    post.logs("💾 target: 4 files")
        .logs("💾 registry: 3 files")
        .logs("✅ git: unchanged");
    assert_eq!(machine.entries(), 5);
}

#[test]
fn files_are_removed_from_target_directories_only() {
    let machine = machine();
    first_job(&machine);
    for (mirror, stays) in [("auto", false), ("true", false), ("false", true)] {
        let job = project(&machine);
        job.file(
            "target/CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55",
        );
        let extra = job.file("target/debug/old", "of another branch");
        let others = job.file(
            "~/.cargo/registry/cache/index-1/others-1.0.0.crate",
            "of another job",
        );
        let config = job.file("~/.cargo/config.toml", "");
        let mut step = job.cache().with("mirror", mirror);
        step.main().passed();
        assert_eq!(extra.exists(), stays, "mirror: {mirror}");
        assert!(others.exists() && config.exists(), "mirror: {mirror}");
        assert!(job.locate(TARGET_OUTPUT).exists());
    }
}

#[test]
fn nothing_is_removed_from_a_directory_that_cargo_did_not_make() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let precious = job.file("target/notes.txt", "mine");
    let mut step = job.cache();
    step.main()
        .passed()
        .logs("shows that cargo created it, so nothing is removed there");
    assert!(precious.exists() && job.locate(TARGET_OUTPUT).exists());
}

#[test]
fn a_failed_job_saves_and_a_cancelled_one_does_not() {
    for (status, given, saves) in [
        ("failure", &[][..], true),
        ("cancelled", &[][..], false),
        ("cancelled", &[("save", "always")][..], true),
        ("failure", &[("save", "on-success")][..], false),
        ("failure", &[("cache-on-failure", "false")][..], false),
        ("failure", &[("cache-on-failure", "true")][..], true),
        ("success", &[("save-if", "false")][..], false),
        ("success", &[("save-if", "0")][..], false),
        ("success", &[("save-if", "")][..], true),
        ("success", &[("save", "never")][..], false),
    ] {
        let machine = machine();
        let job = project(&machine).status(status);
        run(&job, given, |_| build(&job));
        assert_eq!(
            machine.entries(),
            if saves { 3 } else { 0 },
            "{status} {given:?}"
        );
    }
}

#[test]
fn two_steps_in_one_job_work_like_one() {
    let machine = machine();
    let job = project(&machine);
    let (mut one, mut other) = (job.cache(), job.cache());
    one.main().passed();
    other.main().passed();
    build(&job);
    other.post().passed().logs("💾 target: 4 files");
    one.post()
        .passed()
        .logs("✅ target: another job has saved v0-rust-target-")
        .does_not_log("::warning");
    assert_eq!(machine.entries(), 3);
}

#[test]
fn a_pull_request_restores_the_branches_entries_and_saves_its_own() {
    let machine = machine();
    first_job(&machine);
    let pull_request = || project(&machine).pull_request(7, "acme/widget", "main");
    let job = pull_request();
    let (main, post) = run(&job, &[], |_| {
        build_unit(&job, "target", "of the request");
    });
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    // Unchanged files are found in place.
    post.logs("✅ registry: unchanged")
        .logs("💾 target: 4 files");
    assert_eq!(machine.entries(), 4);
    let job = pull_request();
    run(&job, &[], |_| ());
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "of the request");
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "program");
}

#[test]
fn each_kind_keeps_its_number_of_generations() {
    let machine = machine();
    for version in ["1.0.0", "1.0.1", "1.0.2", "1.0.3"] {
        let job = project(&machine);
        job.file("Cargo.lock", &LOCK.replace("1.0.0", version));
        let with = &[("keep-registry", "2"), ("keep-target", "1")];
        run(&job, with, |_| build(&job));
    }
    assert_eq!(machine.entries(), 2 + 1 + 1);
}

#[test]
fn the_store_keeps_the_state_of_main_if_the_runner_does_not() {
    let machine = machine();
    let act = || project(&machine).var("ACT", "true");
    let job = act();
    let mut step = job.cache();
    step.pre();
    let main = step.main().passed();
    build(&job);
    job.file("Cargo.lock", &LOCK.replace("1.0.0", "1.0.1"));
    step.drop_state(&main.state);
    step.post().passed().logs(main.output("cache-key"));
    clear_machine(&machine);
    let job = act();
    let mut step = job.cache();
    assert_eq!(
        hits(&step.main().passed()),
        ["true", "true", "true", "true"]
    );
}

#[test]
fn only_registry_and_git_of_a_cargo_home_are_saved() {
    let machine = machine();
    let job = project(&machine);
    run(&job, &[("cache-all-crates", "true")], |_| {
        build(&job);
        job.file("~/.cargo/credentials.toml", "secret");
        job.file("~/.cargo/bin/rustup", "proxy");
        job.file("~/.cargo/git/db/dep-1/HEAD", "ref");
        job.file("~/.cargo/git/checkouts/dep-1/0123/lib.rs", "source");
    });
    clear_machine(&machine);
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(main.output("git-cache-hit"), "true");
    let home = cargo_home(&machine);
    assert!(home.join("git/checkouts/dep-1/0123/lib.rs").exists());
    assert!(!home.join("bin").exists() && !home.join("credentials.toml").exists());
}

#[test]
fn caches_that_exceed_the_limit_of_the_store_together_are_not_saved_in_turn() {
    let machine = machine();
    let with = &[("max-cache-size", "500kB")];
    let build = |job: &Job<'_>| {
        build(job);
        build_unit(job, "target", &"t".repeat(300_000));
        let archive = "~/.cargo/registry/cache/index-1/dep-1.0.0.crate";
        job.file(archive, &"r".repeat(300_000));
    };
    let job = project(&machine);
    let (_, post) = run(&job, with, |_| build(&job));
    post.logs("registry is not saved: its files take 300 kB, and `max-cache-size` leaves 1")
        .logs("💾 target: 4 files")
        .does_not_log("removed");
    for _ in 0..2 {
        clear_machine(&machine);
        let job = project(&machine);
        let (main, post) = run(&job, with, |_| build(&job));
        assert_eq!(hits(&main)[1..], ["", "true", "true"]);
        post.logs("registry is not saved")
            .does_not_log("target is not saved")
            .does_not_log("removed");
    }
}
