//! docs/administration.md and its examples agree with the program.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use local_cache::stats::aggregate::aggregate;
use local_cache::stats::event::LookupResult;
use local_cache::stats::journal::JournalContents;
use local_cache::stats::render::prometheus;
use serde_json::Value;

use super::generated::{Document, root, with_sections};
use crate::stats::page::filled;
use crate::stats::{ended, restored};
use crate::support::tools::is_installed;
use crate::support::{RunResult, Sandbox, trees};

const EXAMPLES: &str = "examples/administration";

/// Every metric with its help text, in the order of the output.
fn metrics() -> Vec<(String, String)> {
    let mut last = ended("acme/app", 1, 1000, Some(1));
    last.found = Some(LookupResult::Exact);
    let journal = JournalContents {
        events: vec![restored("acme/app", "target", LookupResult::Exact, 1), last],
        skipped_lines: 0,
    };
    let text = prometheus::render(&aggregate(&journal, None));
    let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    helps
        .map(|help| help.split_once(' ').unwrap())
        .map(|(name, help)| (name.to_owned(), help.to_owned()))
        .collect()
}

#[test]
fn the_table_of_metrics_has_all_of_them() {
    let document = Document::read("docs/administration.md");
    let table = || {
        let rows = metrics().into_iter();
        let rows: Vec<String> = rows
            .map(|(name, help)| format!("| `{name}` | {help} |"))
            .collect();
        format!("| metric | meaning |\n| --- | --- |\n{}", rows.join("\n"))
    };
    document.expect(&with_sections(&document.text, "metrics", |_| table()));
}

/// The names of metrics in an expression of Prometheus.
fn names_in(expression: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_name(c));
    let names = words.filter(|word| word.starts_with("local_cache_"));
    names.map(str::to_owned).collect()
}

#[test]
fn the_dashboard_uses_only_metrics_that_exist() {
    let path = root().join(EXAMPLES).join("grafana-dashboard.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut expressions: Vec<&str> = targets.map(|it| it["expr"].as_str().unwrap()).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    expressions.extend(
        variables
            .iter()
            .filter_map(|it| it["query"]["query"].as_str()),
    );
    let exported: BTreeSet<String> = metrics().into_iter().map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for expression in expressions {
        let names = names_in(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(
                exported.contains(&name),
                "{name} is not exported: {expression}"
            );
            used.insert(name);
        }
    }
    assert!(used.len() > 10, "{used:?}");
    let mut ids: Vec<i64> = panels.iter().map(|it| it["id"].as_i64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
}

/// The commands of units and crontabs, without the program.
fn commands() -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for entry in fs::read_dir(root().join(EXAMPLES)).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((_, arguments)) = line.split_once("/usr/local/bin/local-cache ") {
                commands.push(arguments.split_whitespace().map(str::to_owned).collect());
            }
        }
    }
    commands
}

#[test]
fn the_commands_of_timers_work() {
    let commands = commands();
    assert_eq!(commands.len(), 6, "{commands:?}");
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    for command in commands {
        let output = sandbox.path("metrics.prom");
        let is_file = |argument: &String| argument.starts_with("/var/lib");
        let arguments: Vec<&str> = command
            .iter()
            .map(|it| {
                if is_file(it) {
                    output.to_str().unwrap()
                } else {
                    it
                }
            })
            .collect();
        let mut ran = sandbox.command(&job, &arguments);
        if command[0] == "remote" {
            // The arguments are right, and nothing listens there.
            ran.env(
                "LOCAL_CACHE_REMOTE",
                "s3://bucket?endpoint=http://127.0.0.1:9",
            );
            ran.env("AWS_ACCESS_KEY_ID", "id")
                .env("AWS_SECRET_ACCESS_KEY", "secret");
            let ran = RunResult::of(&mut ran);
            assert!(ran.stderr.contains("Connection refused"), "{ran:#?}");
            continue;
        }
        let ran = RunResult::of(&mut ran).succeeded();
        if command.iter().any(is_file) {
            assert!(ran.stdout.is_empty(), "{ran:#?}");
            let text = fs::read_to_string(&output).unwrap();
            assert!(text.contains("local_cache_saves_total"), "{text}");
        }
    }
}

#[test]
fn systemd_accepts_the_units() {
    if !is_installed("systemd-analyze", "the units of timers") {
        return;
    }
    let units = [
        "local-cache-prune.timer",
        "local-cache-metrics.timer",
        "local-cache-remote-gc.timer",
    ];
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .args(units.map(|name| root().join(EXAMPLES).join(name)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verify.stderr);
    // The program is not installed where tests run.
    let complaints = said
        .lines()
        .filter(|line| !line.contains("is not executable"));
    assert_eq!(complaints.count(), 0, "{said}");
}

/// The names of all fields in a document, those of lists and of nested documents too.
fn all_fields(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                all_fields(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all_fields(item, names)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_statistics_is_documented() {
    let sandbox = filled();
    let json = RunResult::of(&mut sandbox.command(&sandbox.job("job"), &["stats", "--json"]));
    let mut names = BTreeSet::new();
    all_fields(&json.succeeded().json(), &mut names);
    assert!(
        names.contains("failures") && names.contains("low"),
        "{names:?}"
    );
    let text = Document::read("docs/statistics.md").text;
    for name in names {
        assert!(
            text.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
    }
}
