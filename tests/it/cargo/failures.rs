//! Broken projects: a clear warning, and everything else is still cached.

use std::fs;

use super::support::{
    build, clear_machine, first_job, hits, install_toolchain, machine, project, run,
};
use crate::support::machine::{Machine, set_mode};

#[test]
fn broken_files_are_reported_and_hashed_as_bytes() {
    let machine = machine();
    for (file, text) in [
        ("Cargo.lock", "<<<<<<< HEAD\n"),
        ("Cargo.toml", "[package\n"),
    ] {
        let jobs = || {
            let job = project(&machine);
            job.file(file, text);
            job
        };
        let job = jobs();
        let (main, _) = run(&job, &[], |_| build(&job));
        main.logs(&format!("cannot parse {}: ", job.locate(file).display()));
        clear_machine(&machine);
        let job = jobs();
        let (main, _) = run(&job, &[], |_| ());
        assert_eq!(
            hits(&main),
            ["true", "true", "true", "true"],
            "{file}: {}",
            main.log
        );
        clear_machine(&machine);
    }
}

#[test]
fn a_missing_workspace_is_reported_and_the_other_one_is_cached() {
    let machine = machine();
    let with = &[("workspaces", "gone\n.")];
    let job = project(&machine);
    let (main, post) = run(&job, with, |_| build(&job));
    main.logs(&format!(
        "there is no Cargo project in {}/gone, so it has no cache",
        job.workspace.display()
    ));
    post.logs("💾 target: 4 files");
}

#[test]
fn a_target_that_is_a_symlink_or_a_file_is_reported_and_the_rest_is_cached() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    job.file("elsewhere/precious", "1");
    job.link("target", "elsewhere");
    let (main, post) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "true", "true", ""]);
    let real = job.workspace.join("elsewhere");
    let text = format!(
        "target is not restored: {}/target is a symlink; name the directory that it leads to in `workspaces`",
        job.workspace.display()
    );
    main.logs(&text);
    post.logs("target is not saved: ")
        .logs("✅ registry: unchanged");
    assert!(real.join("precious").exists() && !real.join("debug").exists());

    let job = project(&machine);
    job.file("target", "a file");
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "true", "true", ""]);
    main.logs("target is a file; remove it, or name a directory in `workspaces`");
    assert_eq!(job.read("target").unwrap(), "a file");
}

#[test]
fn a_build_directory_is_checked_as_a_target_is() {
    let machine = machine();
    for (template, said) in [
        ("..", " cannot be a build directory, because it contains "),
        (
            "{workspace-root}/elsewhere",
            "/elsewhere is a symlink; name the directory that it leads to in `build.build-dir`",
        ),
        (
            "file",
            "/file is a file; remove it, or name a directory in `build.build-dir`",
        ),
        (
            "{unknown}",
            "build.build-dir is `{unknown}`, which cargo rejects",
        ),
    ] {
        let job = project(&machine);
        job.file(
            ".cargo/config.toml",
            &format!("[build]\nbuild-dir = '{template}'\n"),
        );
        job.file("file", "a file");
        job.file("led-to/precious", "1");
        job.link("elsewhere", "led-to");
        let (main, post) = run(&job, &[], |_| build(&job));
        main.logs(said);
        post.logs(said).logs(" registry: ");
        assert_eq!(job.read("led-to/precious").unwrap(), "1");
        clear_machine(&machine);
    }
}

#[test]
fn a_target_that_holds_the_sources_a_home_or_the_store_is_refused() {
    let machine = machine();
    let store = machine.store();
    let homes = machine.home();
    for target in [
        ".",
        "..",
        "/",
        homes.to_str().unwrap(),
        store.parent().unwrap().to_str().unwrap(),
    ] {
        let job = project(&machine);
        let line = format!(". -> {target}");
        let (main, post) = run(&job, &[("workspaces", line.as_str())], |_| build(&job));
        main.logs(" cannot be a build directory, because it contains ");
        post.logs(" cannot be a build directory, because it contains ")
            .logs(" registry: ");
        assert!(job.locate("src/main.rs").exists(), "{target}");
        clear_machine(&machine);
    }
}

#[test]
fn a_failure_of_one_cache_fails_the_step_only_with_fail_on_error() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    job.file("target", "a file");
    job.cache().main().passed();
    let done = job.cache().with("fail-on-error", "true").main();
    assert_eq!(done.exit, 1);
    done.logs("::error title=local-cache::target is not restored: ")
        .logs("🚀 registry: 3 files");
}

#[test]
fn a_missing_toolchain_is_hashed_by_its_name() {
    let machine = machine();
    let jobs = || {
        let job = project(&machine);
        job.file("rust-toolchain", "1.77.7\n");
        job
    };
    let job = jobs();
    let (_, post) = run(&job, &[], |_| build(&job));
    post.logs("the compiler is not part of the keys (")
        .logs("if the steps use another RUSTUP_HOME");
    let job = jobs();
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(main.output("target-cache-hit"), "true");
    install_toolchain(&machine, "11aa");
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(main.output("target-cache-hit"), "");
}

#[test]
fn a_build_with_another_cargo_home_is_reported_and_no_empty_registry_is_saved() {
    let machine = machine();
    let job = project(&machine);
    let (_, unbuilt) = run(&job, &[], |_| ());
    unbuilt.does_not_log("::warning");
    let (_, post) = run(&job, &[], |_| {
        build(&job);
        clear_machine(&machine);
    });
    post.logs("registry/cache is empty although Cargo.lock names 1 package; ")
        .logs("if the steps use another CARGO_HOME")
        .logs("💾 target: 4 files");
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "", "true", "true"], "{}", main.log);
}

#[test]
fn a_build_that_goes_on_during_the_save_is_reported() {
    use local_cache::fs::{FileLock, LockMode};
    for is_held in [false, true] {
        let machine = machine();
        let job = project(&machine);
        let held = std::cell::Cell::new(None);
        let (_, post) = run(&job, &[("reuse", "move")], |_| {
            build(&job);
            let file = fs::File::create(job.locate("target/debug/.cargo-lock")).unwrap();
            if is_held {
                // Shared, as a cargo that locks each unit by itself.
                held.set(FileLock::try_acquire(file, LockMode::Shared).unwrap());
            }
        });
        let text = "target: a cargo that a step left running is building in ";
        let post = if is_held {
            post.logs(text)
        } else {
            post.does_not_log("::warning")
        };
        drop(post.logs("💾 target: 4 files"));
        // That cargo writes into the directory.
        assert_eq!(job.locate("target").exists(), is_held);
    }
}

#[test]
fn packages_that_this_platform_does_not_download_are_not_missed() {
    let machine = machine();
    let job = project(&machine);
    let (_, post) = run(&job, &[], |_| {
        build(&job);
        clear_machine(&machine);
        job.file("~/.cargo/registry/index/index-1/.cache/de/p-/dep", "index");
    });
    drop(post.logs("💾 registry: 1 file").does_not_log("::warning"));
}

#[test]
fn read_only_crates_are_saved_and_restored_and_an_unwritable_registry_is_reported() {
    let machine = Machine::unprivileged();
    install_toolchain(&machine, "11aa");
    let job = project(&machine);
    run(&job, &[], |_| {
        build(&job);
        let source = job.locate("~/.cargo/registry/src/index-1/dep-1.0.0");
        set_mode(&source.join("src/lib.rs"), 0o444);
        set_mode(&source, 0o555);
    });
    set_mode(
        &job.locate("~/.cargo/registry/src/index-1/dep-1.0.0"),
        0o755,
    );
    clear_machine(&machine);
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    let source = job.locate("~/.cargo/registry/src/index-1/dep-1.0.0");
    assert_eq!(crate::support::machine::mode(&source), 0o555);
    // Again, over the existing directory.
    let job = project(&machine);
    run(&job, &[], |_| ());
    set_mode(&source, 0o755);
    clear_machine(&machine);
    if !nix::unistd::geteuid().is_root() {
        return;
    }

    let registry = machine.home().join(".cargo/of-root-registry");
    fs::create_dir_all(&registry).unwrap();
    std::os::unix::fs::symlink("of-root-registry", machine.home().join(".cargo/registry")).unwrap();
    let job = project(&machine);
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["false", "", "true", "true"], "{}", main.log);
    main.logs("registry is not restored: cannot ")
        .logs("🚀 target: 4 files");
}

#[test]
fn an_unknown_home_is_reported() {
    let machine = machine();
    let job = project(&machine).without("HOME");
    let done = job.cache().with("preset", "cargo").main();
    assert_eq!(done.exit, 0, "{}", done.log);
}

#[test]
fn a_damaged_entry_is_a_miss_for_its_cache_alone() {
    let machine = machine();
    first_job(&machine);
    let manifests = machine.store().join("local-cache-v1/manifests");
    let largest = fs::read_dir(&manifests)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let largest = largest
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    fs::write(&largest, "damage").unwrap();
    let job = project(&machine);
    // In the pre phase, the warning would be in its log.
    let (main, post) = run(&job, &[("restore-in-pre", "false")], |_| build(&job));
    assert_eq!(hits(&main)[0], "false");
    assert_eq!(
        hits(&main)[1..]
            .iter()
            .filter(|hit| **hit == "true")
            .count(),
        2,
        "{}",
        main.log
    );
    main.logs("is quarantined and treated as a miss");
    post.logs("💾 ");
}
