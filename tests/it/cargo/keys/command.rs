//! `local-cache key`: its text and its JSON.

use std::ffi::OsStr;

use local_cache::action::Env;
use local_cache::cli::{self, Environment, Exit, Terminal};
use serde_json::{Value, json};

use super::support::Fixture;

struct Shown {
    exit: Exit,
    out: String,
    err: String,
}

fn run(fixture: &Fixture, directory: &str, arguments: &[&str]) -> Shown {
    let env: Env = fixture
        .asked
        .env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(Environment {
        arguments: ["local-cache", "key"]
            .iter()
            .chain(arguments)
            .map(Into::into)
            .collect(),
        env: &env,
        working_directory: fixture.path(directory).components().collect(),
        terminal: Terminal::default(),
        input: &mut std::io::empty(),
        out: &mut out,
        err: &mut err,
    });
    Shown {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// The names of this machine's system and architecture in keys.
fn machine(text: &str) -> String {
    text.replace("OS", std::env::consts::OS)
        .replace("ARCH", std::env::consts::ARCH)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn it_shows_each_key_with_its_parts_and_where_they_came_from() {
    if std::env::consts::ARCH != "x86_64" {
        // The columns are as wide as the name of the architecture.
        return;
    }
    let mut fixture = Fixture::new();
    fixture.set(
        "RUSTFLAGS",
        "--cfg a_long_name_that_does_not_fit_into_the_table",
    );
    let shown = run(&fixture, "", &[]);
    assert_eq!((shown.exit, shown.err.as_str()), (Exit::Done, ""));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/key.txt");
    if std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok() {
        std::fs::write(&path, &shown.out).unwrap();
    }
    assert_eq!(shown.out, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn its_json_has_the_same_contents() {
    let fixture = Fixture::new();
    let shown = run(&fixture, "", &["--json"]);
    let document: Value = serde_json::from_str(&shown.out).unwrap();
    let keys = fixture.keys();
    if std::env::consts::ARCH == "x86_64" {
        assert_eq!(document["registry"]["key"], keys.registry.text.as_str());
        assert_eq!(
            document["target"][0]["key"],
            keys.target[0].key.text.as_str()
        );
    }
    assert_eq!(
        document["git"]["restore-keys"],
        json!([machine("v0-rust-git-OS-ARCH-")])
    );
    assert_eq!(
        document["target"][0]["directory"],
        fixture.path("target").display().to_string()
    );
    assert_eq!(
        document["target"][0]["workspaces"],
        json!([fixture.asked.checkout.display().to_string()])
    );
    assert_eq!(document["warnings"], json!([]));
    let parts = document["target"][0]["parts"].as_array().unwrap();
    let part = |name: &str| parts.iter().find(|part| part["name"] == name).unwrap();
    assert_eq!(part("prefix")["from"], json!({ "input": "prefix-key" }));
    assert_eq!(part("job")["from"], json!({ "variable": "GITHUB_JOB" }));
    assert_eq!(part("architecture")["from"], "machine");
    assert_eq!(part("variables")["from"], Value::Null);
    assert_eq!(part("toolchain")["in"], "environment");
    let lock = fixture.path("Cargo.lock").display().to_string();
    assert_eq!(part("Cargo.lock")["from"], json!({ "file": lock }));
    assert_eq!(part("Cargo.lock")["note"], "2 crates");
}

#[test]
fn workspaces_are_named_from_the_current_directory_and_warnings_come_first() {
    let fixture = Fixture::new();
    fixture.write("../other/Cargo.toml", "[package]\nname = 'other\n");
    let shown = run(
        &fixture,
        "crates",
        &["--workspace", "..", "--workspace", "../../other"],
    );
    assert_eq!(shown.exit, Exit::Done, "{}", shown.err);
    let path = fixture.path("../other/Cargo.toml").canonicalize().unwrap();
    assert!(
        shown
            .out
            .starts_with(&format!("⚠️ cannot parse {}: ", path.display())),
        "{}",
        shown.out
    );
    assert_eq!(shown.out.matches("🔑").count(), 4);
    let direct = run(&fixture, "", &[]);
    let key = direct
        .out
        .lines()
        .find_map(|line| line.strip_prefix("🔑 target: "))
        .unwrap();
    assert!(shown.out.contains(key), "{}", shown.out);
}

#[test]
fn outside_a_project_it_fails_with_one_line() {
    let fixture = Fixture::new();
    let directory = fixture.path("crates/a/src");
    for (arguments, named) in [
        (&[][..], directory.clone()),
        (&["--workspace", "gone"][..], directory.join("gone")),
    ] {
        let shown = run(&fixture, "crates/a/src", arguments);
        assert_eq!((shown.exit, shown.out.as_str()), (Exit::Failed, ""));
        assert_eq!(
            shown.err,
            format!(
                "local-cache: there is neither a Cargo.toml nor a Cargo.lock in {}; \
                 name a Cargo project with --workspace\n",
                named.display()
            )
        );
    }
    assert_eq!(run(&fixture, "", &["--workspaces"]).exit, Exit::Usage);
}

#[test]
fn without_a_home_directory_files_that_would_be_in_it_are_absent() {
    let mut fixture = Fixture::new();
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        fixture.asked.env.remove(OsStr::new(name));
    }
    let shown = run(&fixture, "", &["--json"]);
    let document: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(document["warnings"], json!([]));
}
