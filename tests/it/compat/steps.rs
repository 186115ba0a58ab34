//! Steps as public workflows write them, their expressions evaluated, through the three phases:
//! keys and whole jobs. The number in a name is that of the point in README.md that the step is an
//! example of.

use std::fs;

use crate::support::machine::{Job, Machine};

/// A step of the action itself.
pub(super) struct Form {
    pub(super) with: &'static str,
    /// The files that the job makes: in the workspace, in home (`~/`), or elsewhere on the machine
    /// (`$TMP/`).
    pub(super) makes: &'static [&'static str],
    /// Those that the next job does not get.
    pub(super) left_out: &'static [&'static str],
}

/// A first job finds nothing and saves, a second one finds it and does not save.
pub(super) fn check(form: &Form) {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with_yaml(form.with);
    step.pre().passed();
    let done = step
        .main()
        .passed()
        .logs("Cache not found")
        .does_not_log("::warning");
    assert!(!done.outputs.contains_key("cache-hit"));
    form.makes
        .iter()
        .for_each(|name| drop(job.file(name, name)));
    step.post()
        .passed()
        .logs("Cache saved with key: ")
        .does_not_log("::warning");

    form.makes
        .iter()
        .for_each(|name| fs::remove_file(job.locate(name)).unwrap());
    let job = machine.job().var("GITHUB_JOB", "second");
    let mut step = job.cache().with_yaml(form.with);
    step.pre().passed();
    assert_eq!(step.main().passed().does_not_log("::warning").hit(), "true");
    for name in form.makes {
        let expected = (!form.left_out.contains(name)).then_some(*name);
        assert_eq!(job.read(name).as_deref(), expected, "{name}");
    }
    step.post()
        .passed()
        .logs("Cache hit occurred on the primary key ")
        .does_not_log("::warning");
    assert_eq!(machine.entries(), 1);
}

macro_rules! forms {
    ($($name:ident: $with:expr, [$($makes:expr),*] $(, but $($left_out:expr),+)?;)*) => {
        $(#[test]
        fn $name() {
            $crate::compat::steps::check(&$crate::compat::steps::Form {
                with: $with,
                makes: &[$($makes),*],
                left_out: &[$($($left_out),+)?],
            });
        })*
    };
}
pub(super) use forms;

forms! {
    point_05_a_key_in_a_literal_block:
        "path: target\nkey: |\n  xtask-Linux-0123abcd\n", ["target/xtask"];
    point_05_a_key_in_a_folded_block_with_blanks:
        "path: |\n  app/assets/javascripts/plugins\nkey: >-\n  plugins-js-cache\n  0123\n  4567\n",
        ["app/assets/javascripts/plugins/a.js"];
    point_05_a_key_that_is_a_command_line:
        "{path: target, key: 'cargo clippy --all-targets --no-default-features && cargo test -p (x)'}",
        ["target/a"];
    point_05_a_key_with_pipes_and_slashes:
        "{path: .scons-cache, key: 'editor|refs/heads/feature/x|0123'}", [".scons-cache/a"];
    point_05_a_key_with_a_toolchains_version_in_it:
        "{path: openssl, key: 'rustc 1.90.0 (1159e78c4 2025-09-14)-openssl-3'}", ["openssl/lib/libssl.a"];
    point_08_a_constant_key: "{path: tmp/lintcheck, key: lintcheck-bin}", ["tmp/lintcheck/bin"];
    point_10_inputs_of_other_versions_and_other_actions:
        "path: target\nkey: k\nupload-chunk-size: 1000000\nsave-always: true\nworking-directory: x\ntarget-dir: y\n",
        ["target/a"];
    point_30_a_step_of_version_six: "{path: .deps, key: Linux-deps-0123, enableCrossOsArchive: false}", [".deps/a"];
    point_38_a_flow_mapping_in_any_order:
        "{restore-keys: 'Linux-', key: Linux-1, lookup-only: false, path: '~/.npm'}", ["~/.npm/a"];
}

/// The main step of a job, the files that it makes, its post phase.
fn job_that_saves(job: &Job<'_>, with: &str, makes: &[&str]) {
    let mut step = job.cache().with_yaml(with);
    step.pre().passed();
    step.main().passed();
    makes.iter().for_each(|name| drop(job.file(name, name)));
    step.post().passed().logs("Cache saved with key: ");
}

#[test]
fn point_01_cache_hit_is_empty_on_a_miss_so_that_a_bare_test_of_it_is_false() {
    let machine = Machine::new();
    let job = machine.job();
    let with = "{path: osrandom, key: openssl-1, restore-keys: openssl-}";
    let done = job.cache().with_yaml(with).main().passed();
    assert!(
        !done.outputs.contains_key("cache-hit"),
        "{:?}",
        done.outputs
    );
}

#[test]
fn point_02_a_key_handed_from_restore_to_save() {
    let machine = Machine::new();
    let job = machine.job();
    let restore = job
        .restore()
        .with_yaml("path: |\n  build\nkey: |\n  clang-0123\nrestore-keys: clang-\n")
        .main();
    let (matched, key) = (
        restore.output("cache-matched-key"),
        restore.output("cache-primary-key"),
    );
    assert_eq!((restore.hit(), matched, key), ("", "", "clang-0123"));
    job.file("build/a", "1");
    job.save()
        .with("path", "build")
        .with("key", key)
        .main()
        .passed()
        .logs("Cache saved with key: clang-0123\n");
}

#[test]
fn point_03_one_job_saves_and_another_fails_unless_it_is_there() {
    let machine = Machine::new();
    let builder = machine.job();
    job_that_saves(
        &builder,
        "path: |\n  target/debug/xtask\nkey: |\n  xtask-linux-0123\n",
        &["target/debug/xtask"],
    );
    let tester = machine.job().var("GITHUB_JOB", "test");
    let with = "{path: target/debug/xtask, key: 'xtask-linux-0123', fail-on-cache-miss: true}";
    tester.restore().with_yaml(with).main().passed();
    assert_eq!(
        tester.read("target/debug/xtask").as_deref(),
        Some("target/debug/xtask")
    );
    let with = with.replace("0123", "4567");
    let done = tester.restore().with_yaml(&with).main();
    assert_eq!(done.exit, 1);
    done.logs(&format!(
        "(looked for in {} on this runner)",
        machine.store().display()
    ));
}

#[test]
fn point_04_a_prefix_does_not_reach_into_another_list_of_paths() {
    let machine = Machine::new();
    let job = machine.job();
    job_that_saves(&job, "{path: bin, key: Linux-cargo-binaries-1}", &["bin/a"]);
    job_that_saves(
        &job,
        "{path: blvm-node/target, key: Linux-blvm-node-1}",
        &["blvm-node/target/a"],
    );
    let done = job
        .cache()
        .with_yaml("{path: ~/.cargo, key: Linux-cargo-2, restore-keys: Linux-cargo-}")
        .main();
    assert_eq!(done.passed().hit(), "");
    let done = job
        .cache()
        .with_yaml("{path: blvm/target, key: Linux-blvm-2, restore-keys: Linux-blvm-}")
        .main();
    assert_eq!(done.passed().hit(), "");
}

#[test]
fn point_04_the_step_the_job_and_the_workflow_do_not_count() {
    let machine = Machine::new();
    let with = "{path: ~/.cargo/registry, key: Linux-1}";
    job_that_saves(&machine.job(), with, &["~/.cargo/registry/a"]);
    let job = machine
        .job()
        .var("GITHUB_JOB", "pr")
        .var("GITHUB_WORKFLOW", "PR")
        .var("GITHUB_ACTION", "other");
    assert_eq!(job.cache().with_yaml(with).main().hit(), "true");
}

#[test]
fn point_06_a_key_of_one_blank_finds_by_restore_keys_and_saves_nothing() {
    let machine = Machine::new();
    let job = machine.job();
    job_that_saves(
        &job,
        "{path: .scons-cache, key: linux-editor|main|1}",
        &[".scons-cache/a"],
    );
    let job = machine.job();
    let mut step = job
        .cache()
        .with_yaml("path: .scons-cache\nkey: \" \"\nrestore-keys: |\n  linux-editor|main\n");
    let done = step.main().passed();
    assert_eq!(
        (done.hit(), done.output("cache-matched-key")),
        ("false", "linux-editor|main|1")
    );
    step.post()
        .passed()
        .does_not_log("Cache saved")
        .does_not_log("::warning");
    assert_eq!(machine.entries(), 1);
}

#[test]
fn point_07_the_hashed_file_is_deleted_by_the_job() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job
        .cache()
        .with_yaml("{path: ~/.cabal/packages, key: 'Linux-cabal-0123'}");
    step.main().passed();
    job.file("~/.cabal/packages/a", "1");
    let mut step = step.with("key", "Linux-cabal-");
    step.post()
        .passed()
        .logs("Cache saved with key: Linux-cabal-0123\n");
}

#[test]
fn point_08_jobs_side_by_side_with_one_key() {
    let machine = Machine::new();
    let with = "{path: ~/.cargo/bin/cargo-fuzz, key: fuzz-1}";
    let (one, two) = (machine.job(), machine.job());
    let (mut first, mut second) = (one.cache().with_yaml(with), two.cache().with_yaml(with));
    first.main().passed();
    second.main().passed();
    one.file("~/.cargo/bin/cargo-fuzz", "1");
    first.post().passed().logs("Cache saved with key: fuzz-1");
    second
        .post()
        .passed()
        .does_not_log("::warning")
        .does_not_log("Cache saved");
}

#[test]
fn point_09_folders_of_other_systems_are_not_there() {
    let machine = Machine::new();
    let with = "path: |\n  ~/go/pkg/mod\n  ~/.cache/go-build\n  ~/Library/Caches/go-build\n  ~\\AppData\\Local\\go-build\n\
                key: lnd-Linux-go-1.23-0123\nrestore-keys: |\n  lnd-Linux-go-1.23-0123\n  lnd-Linux-go-1.23-\n  lnd-Linux-go-\n";
    let job = machine.job();
    let mut step = job.cache().with_yaml(with);
    step.main().passed();
    job.file("~/.cache/go-build/a", "1");
    step.post()
        .passed()
        .logs("Cache saved")
        .does_not_log("::warning");
}

#[test]
fn point_09_the_only_folder_is_never_made() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with_yaml("{path: $TMP/rustdesk, key: k}");
    step.main().passed();
    step.post()
        .passed()
        .logs("Path Validation Error")
        .does_not_log("::warning");
}

#[test]
fn point_11_events_without_a_push() {
    let machine = Machine::new();
    let with = "{path: data, key: k}";
    let payload = r#"{"repository": {"default_branch": "main"}}"#;
    let job = machine.job().on("schedule", "refs/heads/main", payload);
    job_that_saves(&job, with, &["data/a"]);
    for event in [
        "repository_dispatch",
        "workflow_dispatch",
        "issue_comment",
        "release",
        "workflow_call",
    ] {
        let job = machine.job().on(event, "refs/heads/main", payload);
        assert_eq!(
            job.cache().with_yaml(with).main().passed().hit(),
            "true",
            "{event}"
        );
    }
}

#[test]
fn point_31_looking_up_before_building() {
    let machine = Machine::new();
    let with = "{path: target, key: bevy-1, lookup-only: true}";
    let job = machine.job();
    assert_eq!(job.restore().with_yaml(with).main().passed().hit(), "");
    job_that_saves(&job, "{path: target, key: bevy-1}", &["target/a"]);
    let job = machine.job();
    assert_eq!(job.restore().with_yaml(with).main().passed().hit(), "true");
    assert!(!job.locate("target").exists());
}

#[test]
fn point_32_a_key_with_the_runs_number_takes_the_newest() {
    let machine = Machine::new();
    for run in 1..=4 {
        let job = machine.job().var("GITHUB_RUN_ID", run.to_string());
        let with =
            format!("{{path: .ccache, key: ccache-linux-{run}, restore-keys: ccache-linux-}}");
        let mut step = job.cache().with_yaml(&with);
        let done = step.main().passed();
        let before = if run == 1 {
            String::new()
        } else {
            format!("ccache-linux-{}", run - 1)
        };
        assert_eq!(done.output("cache-matched-key"), before);
        job.file(".ccache/a", &run.to_string());
        step.post().passed().logs("Cache saved");
    }
}

#[test]
fn point_33_several_restore_keys_with_a_digest_in_one() {
    let machine = Machine::new();
    let job = machine.job();
    job_that_saves(
        &job,
        "{path: deps, key: Linux-mix-1.18-27-aaaa}",
        &["deps/old"],
    );
    job_that_saves(
        &job,
        "{path: deps, key: Linux-mix-1.17-27-bbbb}",
        &["deps/newer"],
    );
    let with = "path: deps\nkey: Linux-mix-1.18-27-cccc\nrestore-keys: |\n  Linux-mix-1.18-27-cc\n  Linux-mix-1.18-27-\n  Linux-mix-\n";
    let done = machine.job().cache().with_yaml(with).main().passed();
    assert_eq!(done.output("cache-matched-key"), "Linux-mix-1.18-27-aaaa");
}

#[test]
fn point_34_two_steps_of_one_job_share_a_directory_and_keep_their_keys() {
    let machine = Machine::new();
    let job = machine.job();
    let mut bitcoind = job
        .cache()
        .with_yaml("{path: bin/bitcoind-Linux, key: bitcoind-Linux}");
    let mut electrs = job
        .cache()
        .with_yaml("{path: bin/electrs-Linux, key: electrs-Linux}");
    bitcoind.main().passed();
    electrs.main().passed();
    job.file("bin/bitcoind-Linux", "b");
    job.file("bin/electrs-Linux", "e");
    electrs
        .post()
        .passed()
        .logs("Cache saved with key: electrs-Linux\n");
    bitcoind
        .post()
        .passed()
        .logs("Cache saved with key: bitcoind-Linux\n");
    let job = machine.job();
    let done = job
        .cache()
        .with_yaml("{path: bin/electrs-Linux, key: electrs-Linux}")
        .main();
    assert_eq!(done.hit(), "true");
    assert!(!job.locate("bin/bitcoind-Linux").exists());
}

#[test]
fn point_35_a_step_whose_if_is_false_saves_nothing_and_has_no_outputs() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("target/a", "1");
    let mut step = job.cache().with_yaml("{path: target, key: k}");
    assert!(step.pre().passed().outputs.is_empty());
    step.post().passed();
    assert_eq!(machine.entries(), 0);
}

#[test]
fn point_36_a_save_on_the_default_branch_only() {
    let machine = Machine::new();
    let with = "{path: target, key: k}";
    let pull = machine.job().pull_request(7, "eve/widget", "main");
    assert_eq!(pull.restore().with_yaml(with).main().passed().hit(), "");
    let main = machine.job().push("main");
    main.file("target/a", "1");
    main.save()
        .with_yaml(with)
        .main()
        .passed()
        .logs("Cache saved");
    assert_eq!(pull.restore().with_yaml(with).main().passed().hit(), "true");
}
