//! The settings of cargo's configuration files that change what is built or where packages come
//! from.
//!
//! The same files hold tokens, proxies, colours and aliases, which do not count. The [configuration
//! chapter] of the Cargo book lists all settings. The ones used here are those that
//! [`crate::cargo::key::env_vars`] takes as variables, and those that have no variable.
//!
//! [configuration chapter]: https://doc.rust-lang.org/cargo/reference/config.html

use toml::{Table, Value};

use crate::cargo::project::canonical_toml as canonical;
use crate::cargo::project::canonical_toml::{insert, only, table};
use crate::cargo::project::manifest;

/// The settings that change what is built; empty if there are none. The error is one line.
pub(crate) fn build(bytes: &[u8]) -> Result<String, String> {
    let config = canonical::parse(bytes)?;
    let mut kept = only(
        &config,
        &["env", "paths", "profile", "resolver", "unstable"],
    );
    if let Some(build) = table(&config, "build") {
        let keys = [
            "rustc",
            "rustc-wrapper",
            "rustc-workspace-wrapper",
            "target",
            "rustflags",
            "incremental",
            "fingerprint",
        ];
        insert(&mut kept, "build", only(build, &keys));
    }
    if let Some(targets) = table(&config, "target") {
        let targets = targets
            .iter()
            .map(|(name, value)| (name.clone(), target(value)));
        let is_empty = |value: &Value| value.as_table().is_some_and(Table::is_empty);
        insert(
            &mut kept,
            "target",
            targets.filter(|(_, value)| !is_empty(value)).collect(),
        );
    }
    insert(
        &mut kept,
        "patch",
        manifest::patches(&config, &|_| false).unwrap_or_default(),
    );
    Ok(canonical::text(&kept))
}

/// The settings of a target that change what is built. Runners and `rustdocflags` are skipped;
/// tables below a target override build scripts.
fn target(value: &Value) -> Value {
    let Value::Table(target) = value else {
        return value.clone();
    };
    let kept = target
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "runner" | "rustdocflags"));
    Value::Table(
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

/// Source replacement. It determines which directories of the registry have contents.
pub(crate) fn sources(bytes: &[u8]) -> Result<String, String> {
    let config = canonical::parse(bytes)?;
    let mut kept = only(&config, &["source"]);
    let registries: Table = table(&config, "registries")
        .into_iter()
        .flatten()
        .filter_map(|(name, registry)| {
            let kept = only(registry.as_table()?, &["index", "protocol"]);
            (!kept.is_empty()).then(|| (name.clone(), kept.into()))
        })
        .collect();
    insert(&mut kept, "registries", registries);
    Ok(canonical::text(&kept))
}

/// A path by its table and key, such as `build` and `target-dir`.
pub(crate) fn path(bytes: &[u8], table_name: &str, key: &str) -> Option<String> {
    let config = canonical::parse(bytes).ok()?;
    table(&config, table_name)?
        .get(key)?
        .as_str()
        .map(str::to_owned)
}

/// The setting `paths`: directories of packages that override others.
pub(crate) fn paths(bytes: &[u8]) -> Vec<String> {
    canonical::parse(bytes)
        .map(|config| canonical::texts(config.get("paths")))
        .unwrap_or_default()
}

/// The files that a configuration file includes (Cargo book, "Including extra configuration
/// files").
pub(crate) fn included(bytes: &[u8]) -> Vec<String> {
    let Ok(config) = canonical::parse(bytes) else {
        return Vec::new();
    };
    let name = |value: &Value| match value {
        Value::Table(table) => table.get("path").and_then(Value::as_str).map(str::to_owned),
        path => path.as_str().map(str::to_owned),
    };
    match config.get("include") {
        Some(Value::Array(list)) => list.iter().filter_map(name).collect(),
        Some(single) => name(single).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_change_the_build_are_kept() {
        let config = br#"
paths = ["../dep"]
[alias]
b = "build"
[build]
jobs = 3
target-dir = "/mnt/target"
rustflags = ["-Dwarnings"]
rustdocflags = ["-Dwarnings"]
[env]
ENV = "1"
[http]
proxy = "example.org:1"
[net]
retry = 9
[profile.dev]
debug = 0
[registry]
token = "secret"
[registries.mine]
token = "secret"
index = "sparse+https://example.org/"
[target.x86_64-unknown-linux-gnu]
linker = "clang"
runner = "qemu"
[term]
color = "always"
"#;
        assert_eq!(
            build(config).unwrap(),
            r#"{"build":{"rustflags":["-Dwarnings"]},"env":{"ENV":"1"},"paths":["../dep"],"profile":{"dev":{"debug":0}},"target":{"x86_64-unknown-linux-gnu":{"linker":"clang"}}}"#
        );
        assert_eq!(
            sources(config).unwrap(),
            r#"{"registries":{"mine":{"index":"sparse+https://example.org/"}}}"#
        );
        assert_eq!(
            path(config, "build", "target-dir").as_deref(),
            Some("/mnt/target")
        );
        assert_eq!(path(config, "resolver", "lockfile-path"), None);
    }

    #[test]
    fn settings_that_do_not_change_the_build_make_an_empty_text() {
        let config = b"[term]\ncolor = 'never'\n[registry]\ntoken = 'x'\n[build]\njobs = 2\n\
                       [target.x]\nrunner = 'qemu'\n[registries.mine]\ntoken = 'x'\n";
        assert_eq!(
            (build(config).unwrap(), sources(config).unwrap()),
            (String::new(), String::new())
        );
    }

    #[test]
    fn patches_with_a_path_do_not_count_and_others_do() {
        let config =
            b"[patch.crates-io]\na = { path = '../a' }\nb = { git = 'https://example.org/b' }\n";
        assert_eq!(
            build(config).unwrap(),
            r#"{"patch":{"crates-io":{"b":{"git":"https://example.org/b"}}}}"#
        );
        assert_eq!(
            build(b"[patch.crates-io]\na = { path = '../a' }\n").unwrap(),
            ""
        );
    }

    #[test]
    fn included_files_are_found_in_each_form() {
        assert_eq!(included(b"include = 'a.toml'"), ["a.toml"]);
        assert_eq!(
            included(b"include = ['a.toml', { path = 'b.toml', optional = true }]"),
            ["a.toml", "b.toml"]
        );
        assert!(included(b"[build]").is_empty() && included(b"include = [").is_empty());
    }
}
