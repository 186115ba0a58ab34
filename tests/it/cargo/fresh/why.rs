//! `local-cache cargo why`: the decisions of the last restore.

use super::support::{BUILD, Files, Hit, Host};
use crate::cargo::registry::rustup_home;
use crate::support::RunResult;
use crate::support::machine::Machine;
use crate::support::tools::skip;

/// A program, a library, and a library whose build script reads a file.
fn project() -> Files {
    Files::default()
        .with(".gitignore", "/target")
        .with_members(&["app", "lib", "gen"])
        .with_package(
            "app",
            "app",
            "[dependencies]\nlib = { path = \"../lib\" }\ngen = { path = \"../gen\" }",
        )
        .with(
            "app/src/main.rs",
            "fn main() { println!(\"{}{}\", lib::N, gen::TEXT); }",
        )
        .with_package("lib", "lib", "")
        .with("lib/src/lib.rs", "pub const N: u32 = 1;")
        .with("lib/unused.txt", "nothing reads this")
        .with_package("gen", "gen", "")
        .with("gen/src/lib.rs", "pub const TEXT: &str = env!(\"TEXT\");")
        .with("gen/text", "one")
        .with(
            "gen/build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=text\"); \
             println!(\"cargo:rustc-env=TEXT={}\", std::fs::read_to_string(\"text\").unwrap().trim()); }",
        )
}

/// The text of a command without the line that contains how long ago the restore was.
fn packages(ran: RunResult) -> String {
    let text = ran.succeeded().stdout;
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(
        first.starts_with("🚀 target: restored ") && first.ends_with(" ago"),
        "{text}"
    );
    rest.to_owned()
}

fn why(host: &Host, arguments: &[&str]) -> RunResult {
    let arguments = [&["cargo", "why"], arguments].concat();
    host.local_cache(&host.checkout(), &arguments)
}

#[test]
fn the_input_that_decided_is_named_for_each_unit() {
    let host = Host::new();
    let files = host.locked(project());
    host.first_job(&files, BUILD);
    let lib = "app: fresh\ngen: fresh\nlib: compiled again\n  lib-lib: ";
    let cases = [
        (
            files.clone(),
            "app: fresh\ngen: fresh\nlib: fresh\n".to_owned(),
        ),
        (
            files
                .clone()
                .with("lib/src/lib.rs", "pub const N: u32 = 2;"),
            format!("{lib}lib/src/lib.rs changed\n"),
        ),
        (
            files.clone().with("lib/data/new.txt", "new"),
            format!("{lib}lib/data/new.txt is new\n"),
        ),
        (
            files.clone().without("lib/unused.txt"),
            format!("{lib}lib/unused.txt does not exist\n"),
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(host.job(&files).restore(), Hit::Exact);
        assert_eq!(packages(why(&host, &[])), expected);
        // The question changes no answer.
        assert_eq!(packages(why(&host, &[])), expected);
    }
}

#[test]
fn the_input_of_a_build_script_decides_about_its_run() {
    let mut host = Host::new();
    let files = host.locked(project());
    host.first_job(&files, BUILD);
    let job = host.job(&files.with("gen/text", "two"));
    host.restore(&job.directory, &["--freshness", "cargo"]);
    assert_eq!(
        packages(why(&host, &[])),
        "app: fresh\ngen: compiled again\n  build-script-build-script-build: fresh\n  lib-gen: fresh\n  \
         run-build-script-build-script-build: gen/text changed\nlib: fresh\n"
    );
    host.set("CARGO_TARGET_DIR", host.path("place/other"));
    let error = why(&host, &[]).failed(1);
    let directory = host.path("place/other").display().to_string();
    assert!(
        error.contains(&format!("no restore into {directory} is known")),
        "{error}"
    );
}

#[test]
fn one_package_can_be_chosen_and_an_unknown_one_is_an_error() {
    let host = Host::new();
    let files = host.locked(project());
    let error = host.local_cache(&host.place(), &["cargo", "why"]).failed(1);
    assert!(error.contains("there is neither a Cargo.toml"), "{error}");
    let job = host.job(&files);
    let error = why(&host, &[]).failed(1);
    assert!(error.contains("no restore into"), "{error}");
    job.restore();
    let error = why(&host, &[]).failed(1);
    assert!(error.contains("run `local-cache cargo restore`"), "{error}");
    assert!(job.build(BUILD).succeeded);
    job.save(&[]);

    let changed = files.with("lib/src/lib.rs", "pub const N: u32 = 2;");
    host.job(&changed).restore();
    assert_eq!(packages(why(&host, &["app"])), "app: fresh\n");
    let text = "lib: compiled again\n  lib-lib: lib/src/lib.rs changed\n";
    assert_eq!(packages(why(&host, &["lib"])), text);
    let error = why(&host, &["li"]).failed(1);
    assert!(error.contains("of a package li;"), "{error}");
    assert!(error.ends_with("app, gen, lib"), "{error}");
    // An option that would have no effect.
    assert_eq!(why(&host, &["--freshness", "off"]).code, Some(2));

    let json = why(&host, &["lib", "--json"]).succeeded().json();
    let target = &json["targets"][0];
    assert_eq!(target["directory"], "target");
    assert!(target["restored"].as_i64().unwrap() > 1_600_000_000);
    assert_eq!(
        target["units"],
        serde_json::json!([
            { "package": "lib", "unit": "lib-lib", "reason": "lib/src/lib.rs changed" },
        ])
    );
    let json = why(&host, &["app", "--json"]).json();
    assert!(json["targets"][0]["units"][0]["reason"].is_null());
}

#[test]
fn workspaces_have_a_section_each() {
    let host = Host::new();
    let one = |name: &str, files: Files| {
        files
            .with_package(name, name, "")
            .with(&format!("{name}/src/lib.rs"), "")
    };
    let files = one("a", one("b", Files::default()));
    let files = host.locked_in(files, &["a", "b"]);
    let both = ["--workspace", "a", "--workspace", "b"];
    let job = host.job(&files);
    for name in ["a", "b"] {
        assert!(host.cargo(&job.path(name), BUILD).succeeded);
    }
    job.save(&both);
    let job = host.job(&files.with("b/src/lib.rs", "// changed"));
    host.restore(&job.directory, &both);
    let text = why(&host, &both).succeeded().stdout;
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split(" restored ").next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "🚀 a/target:",
            "a: fresh",
            "🚀 b/target:",
            "b: compiled again",
            "  lib-b: b/src/lib.rs changed",
        ]
    );
}

#[test]
fn the_target_directory_is_known_by_its_name_if_artifacts_are_elsewhere() {
    let host = Host::new();
    let config = "[build]\nbuild-dir = \"artifacts\"";
    let files = project()
        .with(".gitignore", "/target\n/artifacts")
        .with(".cargo/config.toml", config);
    let files = host.locked(files);
    host.first_job(&files, BUILD);
    if !host.checkout().join("artifacts").exists()
        && host.checkout().join("target/debug/deps").exists()
    {
        skip("cargo 1.91", "cargo puts intermediate artifacts elsewhere");
    }
    host.job(&files).restore();
    assert_eq!(
        packages(why(&host, &[])),
        "app: fresh\ngen: fresh\nlib: fresh\n"
    );
}

#[test]
fn the_log_of_a_step_counts_crates_and_has_each_unit_at_debug_level() {
    let machine = Machine::new();
    let mut host = Host::new();
    host.set("CARGO_HOME", machine.home().join(".cargo"));
    let files = host.locked(project());
    let phase = |files: &Files, level: &str| {
        let directory = host.job(files).directory;
        let mut job = machine
            .job()
            .var("GITHUB_WORKSPACE", &directory)
            .var("RUSTUP_HOME", rustup_home());
        job.workspace.clone_from(&directory);
        let mut step = job.cache().with("log-level", level);
        let main = step.main().passed();
        assert!(host.cargo(&directory, BUILD).succeeded);
        step.post().passed();
        main
    };
    phase(&files, "debug");
    let changed = files.with("lib/src/lib.rs", "pub const N: u32 = 2;");
    phase(&changed, "debug")
        .logs("workspace: 2 of 3 crates are fresh; lib: lib/src/lib.rs changed")
        .logs("debug: lib (lib-lib): lib/src/lib.rs changed");
    let again = changed.with("lib/src/lib.rs", "pub const N: u32 = 3;");
    phase(&again, "info")
        .logs("workspace: 2 of 3 crates are fresh")
        .does_not_log("lib (lib-lib)");
}
