//! The inputs of the preset, and the locations of its caches.

use std::fs;

use super::support::{
    TARGET_OUTPUT, UNIT_OUTPUT, build, build_unit, cargo_home, clear_machine, first_job, hits,
    machine, project, run,
};

const SECOND: &str = "[package]\nname = \"second\"\nversion = \"0.1.0\"\n";

#[test]
fn the_parts_of_a_key_follow_from_the_inputs() {
    let machine = machine();
    for (with, beginning) in [
        ("{}", "v0-rust-target-build-linux-"),
        ("{prefix-key: v1}", "v1-target-build-linux-"),
        ("{prefix-key: ''}", "v0-rust-target-build-linux-"),
        ("{key: mdns tcp}", "v0-rust-target-mdns tcp-build-linux-"),
        ("{shared-key: all, key: x}", "v0-rust-target-all-linux-"),
        ("{add-job-id-key: false}", "v0-rust-target-linux-"),
        ("{add-job-id-key: 'no', key: x}", "v0-rust-target-x-linux-"),
    ] {
        let job = project(&machine);
        let main = job.cache().with_yaml(with).main().passed();
        assert!(
            main.output("cache-key").starts_with(beginning),
            "{with}: {}",
            main.output("cache-key")
        );
    }
}

#[test]
fn variables_that_are_named_count_and_keys_without_the_environment_have_no_digest_of_it() {
    let machine = machine();
    let key = |with: &str, value: &str| {
        let job = project(&machine)
            .var("FLAVOUR", value)
            .var("GITHUB_TOKEN", value);
        job.cache()
            .with_yaml(with)
            .main()
            .passed()
            .output("cache-key")
            .to_owned()
    };
    assert_eq!(key("{}", "a"), key("{}", "b"));
    assert_ne!(
        key("{env-vars: FLAVOUR}", "a"),
        key("{env-vars: FLAVOUR}", "b")
    );
    let without = key("{add-rust-environment-hash-key: false}", "a");
    assert_eq!(
        without.matches('-').count() + 1,
        key("{}", "a").matches('-').count()
    );
}

#[test]
fn rust_caches_inputs_for_other_stores_are_taken_and_do_nothing() {
    let machine = machine();
    let job = project(&machine);
    let mut step = job
        .cache()
        .with_yaml("{cache-provider: buildjet, cmd-format: 'nix develop -c {0}'}");
    let main = step.with("log-level", "debug").main().passed();
    let main = main.logs("debug: input cache-provider: buildjet has no effect here\n");
    main.does_not_log("::warning");
    step = job.cache();
    step.main().passed();
}

#[test]
fn at_level_trace_the_log_shows_the_request_and_the_reply_in_readable_form() {
    let machine = machine();
    let job = project(&machine);
    job.cache()
        .with("log-level", "debug")
        .main()
        .passed()
        .does_not_log("trace: ");
    let main = job.cache().with("log-level", "trace").main().passed();
    let group = |title: &str| -> serde_json::Value {
        let start = format!("::group::trace: {title}\n");
        let text = main.log.split(&start).nth(1).unwrap();
        let lines = text.split("\n::endgroup::").next().unwrap();
        assert!(lines.lines().count() > 10, "{lines}");
        serde_json::from_str(lines).unwrap()
    };
    assert!(group("request")["task"]["restore"].is_object());
    let answer = group("reply");
    assert_eq!(answer["caches"].as_array().unwrap().len(), 3);
}

#[test]
fn without_targets_only_downloads_are_kept() {
    let machine = machine();
    let job = project(&machine);
    let with = &[("cache-targets", "false")];
    run(&job, with, |_| build(&job));
    assert_eq!(machine.entries(), 2);
    clear_machine(&machine);
    let job = project(&machine);
    let (main, _) = run(&job, with, |_| ());
    assert_eq!(hits(&main), ["true", "true", "true", ""]);
    assert!(main.output("cache-key").starts_with("v0-rust-registry-"));
    assert!(!job.locate("target").exists());
}

#[test]
fn workspaces_may_lie_below_and_beside_the_checkout_and_their_targets_anywhere() {
    let machine = machine();
    let elsewhere = machine.path("elsewhere/build");
    let lines = format!(". -> {}\nfuzz\n../other -> out\n", elsewhere.display());
    let with = &[("workspaces", lines.as_str())];
    let files = [
        "fuzz/target/CACHEDIR.TAG",
        "../other/out/CACHEDIR.TAG",
        "$TMP/elsewhere/build/CACHEDIR.TAG",
    ];
    let projects = || {
        let job = project(&machine);
        job.file("fuzz/Cargo.toml", SECOND);
        job.file("../other/Cargo.toml", SECOND);
        job
    };
    let job = projects();
    let (main, _) = run(&job, with, |_| {
        build(&job);
        files.iter().for_each(|file| drop(job.file(file, file)));
    });
    let main = main
        .logs("target of fuzz: no entry for")
        .logs("target of ../other in out: no entry for");
    assert_eq!(main.output("target-cache-hit"), "");
    clear_machine(&machine);
    fs::remove_dir_all(machine.path("elsewhere")).unwrap();
    fs::remove_dir_all(job.locate("../other")).unwrap();
    let job = projects();
    let (main, _) = run(&job, with, |_| ());
    assert_eq!(
        hits(&main),
        ["true", "true", "true", "true"],
        "{}",
        main.log
    );
    for file in files {
        assert_eq!(job.read(file).unwrap(), file);
    }
    assert!(
        !job.locate("target").exists(),
        "the step does not restore it"
    );
}

#[test]
fn one_target_that_is_missing_makes_the_hit_a_partial_one() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    job.file("fuzz/Cargo.toml", SECOND);
    let mut step = job.cache().with("workspaces", ".\nfuzz");
    let main = step.main().passed();
    assert_eq!(hits(&main)[3], "false", "{}", main.log);
    assert_eq!(hits(&main)[0], "false");
    assert!(job.locate(TARGET_OUTPUT).exists());
}

#[test]
fn workspaces_that_build_into_one_directory_share_its_cache() {
    let machine = machine();
    let shared = machine.path("shared");
    let jobs = || {
        let job = project(&machine).var("CARGO_TARGET_DIR", &shared);
        job.file("fuzz/Cargo.toml", SECOND);
        job
    };
    let with = &[("workspaces", ".\nfuzz")];
    let job = jobs();
    let (main, _) = run(&job, with, |_| {
        build_unit(&job, "$TMP/shared", "1");
    });
    main.logs("💿 target of . and fuzz: no entry for ");
    fs::remove_dir_all(&shared).unwrap();
    let job = jobs();
    let (main, _) = run(&job, with, |_| ());
    assert_eq!(main.output("target-cache-hit"), "true");
    assert!(shared.join(UNIT_OUTPUT).exists());
}

#[test]
fn a_target_below_another_one_is_saved_once() {
    for (reuse, tag) in [("copy", true), ("move", true), ("move", false)] {
        let machine = machine();
        let with = &[
            ("workspaces", "inner -> ../target/inner\n."),
            ("reuse", reuse),
        ];
        let jobs = || {
            let job = project(&machine);
            job.file("inner/Cargo.toml", SECOND);
            job
        };
        let job = jobs();
        let (_, post) = run(&job, with, |_| {
            build(&job);
            job.file(
                if tag {
                    "target/inner/CACHEDIR.TAG"
                } else {
                    "target/inner/.rustdoc_fingerprint.json"
                },
                "Signature",
            );
            build_unit(&job, "target/inner", "1");
        });
        post.logs("💾 target: 4 files")
            .logs("💾 target of inner in ../target/inner: 4 files,");
        let job = jobs();
        run(&job, with, |main| {
            assert_eq!(main.output("target-cache-hit"), "true");
            assert!(
                job.locate("target/inner").join(UNIT_OUTPUT).exists()
                    && job.locate(TARGET_OUTPUT).exists()
            );
        });
    }
}

#[test]
fn cargo_home_and_target_dir_are_where_the_variables_and_settings_say() {
    let machine = machine();
    let jobs = || {
        let job = project(&machine).var("CARGO_HOME", machine.path("moved"));
        job.file(".cargo/config.toml", "[build]\ntarget-dir = \"out\"\n");
        job
    };
    let files = ["$TMP/moved/registry/cache/i/a.crate", "out/CACHEDIR.TAG"];
    let job = jobs();
    run(&job, &[("cache-all-crates", "true")], |_| {
        files.iter().for_each(|file| drop(job.file(file, "1")));
    });
    fs::remove_dir_all(machine.path("moved")).unwrap();
    let job = jobs();
    let (main, _) = run(&job, &[], |_| ());
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    assert!(files.iter().all(|file| job.locate(file).exists()));
    assert!(!cargo_home(&machine).exists());
}

#[test]
fn more_directories_have_a_key_of_their_own() {
    let machine = machine();
    let with = &[("cache-directories", "~/.cache/tool data/*  ../beside")];
    let files = ["~/.cache/tool/a", "data/one/b", "../beside/c"];
    let job = project(&machine);
    let (_, post) = run(&job, with, |_| {
        files.iter().for_each(|file| drop(job.file(file, "1")));
    });
    post.logs("💾 directories: 3 files");
    fs::remove_dir_all(machine.home().join(".cache")).unwrap();
    fs::remove_dir_all(job.locate("../beside")).unwrap();
    let job = project(&machine);
    let (main, _) = run(&job, with, |_| ());
    main.logs("🚀 directories: 3 files");
    assert!(files.iter().all(|file| job.locate(file).exists()));
    let job = project(&machine);
    let mut step = job.cache().with("cache-directories", "~/.cache/tool");
    step.main().passed().logs("💿 directories: no entry for");
}

#[test]
fn installed_programs_are_restored_if_absent_and_proxies_are_not_touched() {
    let machine = machine();
    let with = &[("cache-bin", "true")];
    let job = project(&machine);
    let note = "[v1]\n\"rg 14.0.0 (registry+x)\" = [\"rg\"]\n";
    run(&job, with, |_| {
        job.file("~/.cargo/registry/cache/index-1/dep-1.0.0.crate", "archive");
        job.file("~/.cargo/.crates.toml", note);
        job.file("~/.cargo/bin/rg", "rg 14");
        job.file("~/.cargo/bin/rustup", "old proxy");
    });
    clear_machine(&machine);
    let job = project(&machine);
    job.file("~/.cargo/bin/rustup", "new proxy");
    let (main, _) = run(&job, with, |_| ());
    assert_eq!(main.output("registry-cache-hit"), "true");
    assert_eq!(job.read("~/.cargo/bin/rg").unwrap(), "rg 14");
    assert_eq!(job.read("~/.cargo/bin/rustup").unwrap(), "new proxy");
    // Existing installed programs are not changed.
    job.file("~/.cargo/bin/rg", "rg 15");
    let job = project(&machine);
    let (main, _) = run(&job, with, |_| ());
    assert_eq!(job.read("~/.cargo/bin/rg").unwrap(), "rg 15");
    assert_eq!(hits(&main)[..3], ["false", "true", "true"]);
    // By default programs are not cached.
    clear_machine(&machine);
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert!(!job.locate("~/.cargo/bin").exists());
}

#[test]
fn lookup_only_neither_restores_nor_locks() {
    let machine = machine();
    first_job(&machine);
    let job = project(&machine);
    let mut step = job.cache().with("lookup-only", "true");
    let main = step
        .main()
        .passed()
        .logs("🔍 target: 4 files, 88 B can be restored from v0-rust-target-");
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    assert_eq!(main.output("restored-files"), "0");
    assert!(!job.locate("target").exists() && !cargo_home(&machine).exists());
}

#[test]
fn a_miss_fails_the_step_only_with_fail_on_cache_miss() {
    let machine = machine();
    let job = project(&machine);
    let done = job.cache().with("fail-on-cache-miss", "true").main();
    assert_eq!(done.exit, 1);
    done.logs(
        "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. There is no entry for v0-rust-",
    );
    first_job(&machine);
    let job = project(&machine);
    job.file("Cargo.lock", "version = 4\n");
    job.cache()
        .with("fail-on-cache-miss", "true")
        .main()
        .passed();
}

#[test]
fn a_run_that_may_not_restore_saves_and_one_that_may_not_save_restores() {
    let machine = machine();
    let job = project(&machine).var("ACTIONS_CACHE_MODE", "write-only");
    let (main, _) = run(&job, &[], |_| build(&job));
    assert_eq!(hits(&main), ["false", "", "", ""]);
    assert_eq!(machine.entries(), 3);
    let job = project(&machine).var("ACTIONS_CACHE_MODE", "read");
    let (main, _) = run(&job, &[], |_| build_unit(&job, "target", "other"));
    assert_eq!(hits(&main), ["true", "true", "true", "true"]);
    let job = project(&machine);
    run(&job, &[], |_| ());
    assert_eq!(job.read(TARGET_OUTPUT).unwrap(), "program");
}

#[test]
fn without_a_project_only_the_explicit_preset_caches() {
    let machine = machine();
    let job = machine.job();
    let mut step = job.cache();
    let main = step
        .main()
        .passed()
        .logs("`path` is not set and . has no Cargo.toml or Cargo.lock,");
    assert_eq!(hits(&main), ["false", "", "", ""]);
    step.post().passed();
    assert_eq!(machine.entries(), 0);
    let (_, post) = run(&job, &[("preset", "cargo")], |_| build(&job));
    post.logs("💾 registry: 3 files");
    let done = job.cache().with("preset", "none").main();
    assert_eq!(done.exit, 1);
    done.logs("Input required and not supplied: path");
}
