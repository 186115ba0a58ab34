//! The inputs of one step together: defaults, required inputs, and values that follow from several.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use local_cache::action::inputs::{
    CacheFamily, INPUTS, InputError, JobStatus, Mirror, Preset, SaveCondition, SaveMode, Scope,
};
use local_cache::action::{ActionKind, Env, Inputs};
use local_cache::cargo::freshness::mode::FreshnessMode;
use local_cache::job::WorkspaceLine;
use local_cache::site::SitePreference;

use super::{errors, parse, parse_as, refused};

#[test]
fn absent_inputs_take_the_defaults_of_the_table() {
    let inputs = parse(&[]);
    let runner_gives: Vec<_> = INPUTS
        .iter()
        .filter(|input| !input.default.starts_with("${{"))
        .map(|input| (input.name, input.default))
        .collect();
    assert_eq!(
        inputs,
        parse(&runner_gives),
        "the post phase of act must see what main saw"
    );

    assert_eq!(inputs.preset, Preset::Auto);
    assert_eq!(
        inputs.cargo.workspaces,
        [WorkspaceLine {
            root: ".".into(),
            target: None
        }]
    );
    assert_eq!(inputs.cargo.key_inputs.prefix_key, "v0-rust");
    assert_eq!(inputs.cache_root, "/tmp/runner-cache");
    assert_eq!(inputs.scope, Scope::Repository);
    assert_eq!(inputs.save, SaveMode::Auto);
    assert_eq!(inputs.retention.keep_registry.get(), 5);
    assert_eq!(inputs.retention.keep_git.get(), 5);
    assert_eq!(inputs.retention.keep_target.get(), 3);
    assert_eq!(inputs.retention.keep.get(), 5);
    assert_eq!(
        inputs.retention.max_age,
        Some(Duration::from_secs(7 * 24 * 3600))
    );
    assert_eq!(inputs.retention.max_cache_size, None);
    assert_eq!(inputs.retention.disk_threshold, Some(80));
    assert_eq!(inputs.retention.min_free_space, 20_000_000_000);
    assert_eq!(inputs.mirror, Mirror::Auto);
    assert_eq!(inputs.timeout, Some(Duration::from_secs(600)));
    assert_eq!(inputs.experiment, 0);
    assert_eq!(inputs.log_level, log::LevelFilter::Info);
    assert_eq!(inputs.site, SitePreference::Auto);
    assert_eq!(inputs.job_status, JobStatus::Unknown);
    assert_eq!(inputs.job_container, None);
    assert!(inputs.branch_isolation && inputs.restore_in_pre && inputs.verify && inputs.summary);
    assert_eq!(inputs.freshness, FreshnessMode::Safe);
    assert!(!inputs.fail_on_stale && inputs.keep_outputs.is_empty());
    assert!(!inputs.fail_on_error && !inputs.lookup_only && !inputs.fail_on_cache_miss);
    assert!(inputs.ignored.is_empty() && inputs.removed.is_empty());
}

/// A value for each input that differs from its default.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("path", "~/.cargo"),
    ("key", "k"),
    ("restore-keys", "k-"),
    ("fail-on-cache-miss", "true"),
    ("lookup-only", "true"),
    ("save-always", "true"),
    ("enableCrossOsArchive", "true"),
    ("upload-chunk-size", "1000"),
    ("preset", "cargo"),
    ("workspaces", "a -> b"),
    ("prefix-key", "v1"),
    ("shared-key", "s"),
    ("add-job-id-key", "false"),
    ("add-rust-environment-hash-key", "false"),
    ("env-vars", "FOO"),
    ("cache-directories", "d"),
    ("cache-targets", "false"),
    ("cache-on-failure", "true"),
    ("cache-all-crates", "true"),
    ("cache-workspace-crates", "false"),
    ("cache-bin", "true"),
    ("save-if", "false"),
    ("cmd-format", "nix {0}"),
    ("cache-provider", "buildjet"),
    ("cache-root", "/var/cache"),
    ("scope", "owner"),
    ("branch-isolation", "false"),
    ("save", "never"),
    ("keep-registry", "7"),
    ("keep-git", "7"),
    ("keep-target", "7"),
    ("keep", "7"),
    ("max-age", "1d"),
    ("max-cache-size", "50GB"),
    ("disk-threshold", "90"),
    ("min-free-space", "1GB"),
    ("mirror", "true"),
    ("reuse", "copy"),
    ("ready-copies", "2"),
    ("freshness", "off"),
    ("sources", "proto"),
    ("fail-on-stale", "true"),
    ("keep-outputs", "dist"),
    ("restore-in-pre", "false"),
    ("remote", "none"),
    ("verify", "false"),
    ("timeout", "1m"),
    ("fail-on-error", "true"),
    ("experiment", "10"),
    ("summary", "false"),
    ("log-level", "debug"),
    ("site", "here"),
    ("job-status", "failure"),
    ("job-container", "0123abcd"),
];

#[test]
fn every_input_of_the_table_makes_a_difference() {
    let names: Vec<_> = OTHER_VALUES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        INPUTS.iter().map(|input| input.name).collect::<Vec<_>>()
    );
    // A path needs a key, so both comparisons have one.
    let base = parse(&[("key", "base")]);
    for (name, value) in OTHER_VALUES {
        let mut given = vec![("key", "base")];
        given.retain(|(other, _)| other != name);
        given.push((name, value));
        assert_ne!(parse(&given), base, "{name} is accepted and ignored");
    }
}

#[test]
fn inputs_an_action_does_not_have_are_not_read_by_it() {
    for kind in [ActionKind::Restore, ActionKind::Save] {
        let needed = [("path", "~/.cargo"), ("key", "k")];
        let base = parse_as(kind, &needed).unwrap();
        for (name, value) in OTHER_VALUES {
            let input = INPUTS.iter().find(|input| input.name == *name).unwrap();
            if !input.offered_by.contains(&kind) {
                let given = [&needed[..], &[(name, value)]].concat();
                assert_eq!(parse_as(kind, &given).unwrap(), base, "{name} in {kind:?}");
            }
        }
    }
}

#[test]
fn an_empty_value_of_local_caches_own_inputs_means_the_default() {
    let own = &INPUTS[INPUTS
        .iter()
        .position(|input| input.name == "cache-root")
        .unwrap()..];
    let empty: Vec<_> = own.iter().map(|input| (input.name, " ")).collect();
    assert_eq!(parse(&empty), parse(&[]));
}

#[test]
fn inputs_without_effect_take_any_value_and_are_reported() {
    let inputs = parse(&[
        ("upload-chunk-size", "banana"),
        ("enableCrossOsArchive", "yes"),
        ("cache-provider", "buildjet"),
        ("cmd-format", ""),
    ]);
    let said: Vec<_> = inputs
        .ignored
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let expected = [
        ("enableCrossOsArchive", "yes"),
        ("upload-chunk-size", "banana"),
        ("cache-provider", "buildjet"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn an_input_of_an_earlier_version_is_not_read_and_its_replacement_is_named() {
    let inputs = parse(&[("replay-mtimes", "false")]);
    assert_eq!(inputs.removed.len(), 1);
    assert_eq!(inputs.removed[0].name, "replay-mtimes");
    assert!(inputs.removed[0].advice.contains("`freshness`"));
    assert_eq!(inputs.freshness, FreshnessMode::Safe);
    assert!(parse(&[("replay-mtimes", "")]).removed.is_empty());
}

#[test]
fn missing_inputs_have_the_text_of_actions_cache() {
    let missing = |name: &str| format!("Input required and not supplied: {name}");
    for kind in [ActionKind::Restore, ActionKind::Save] {
        assert_eq!(
            errors(kind, &[]),
            [missing("path"), missing("key")],
            "{kind:?}"
        );
    }
    assert_eq!(
        errors(ActionKind::Cache, &[("preset", "none")]),
        [missing("path"), missing("key")]
    );
    assert_eq!(
        errors(ActionKind::Cache, &[("path", "a")]),
        [missing("key")]
    );
    assert_eq!(
        errors(ActionKind::Save, &[("path", ""), ("key", "k")]),
        [missing("path")]
    );
}

#[test]
fn a_path_of_blanks_is_an_empty_list() {
    assert_eq!(
        errors(ActionKind::Restore, &[("path", " \n "), ("key", "k")]),
        ["Path Validation Error: At least one directory or file path is required"]
    );
    assert!(
        parse(&[("path", " \n ")]).paths.is_empty(),
        "the action itself goes on with the preset"
    );
}

#[test]
fn a_key_of_blanks_is_an_empty_key() {
    let inputs = parse(&[("path", "a"), ("key", " "), ("restore-keys", "k-")]);
    assert_eq!(inputs.key, "");
}

#[test]
fn keys_are_trimmed_and_not_changed_otherwise() {
    for (text, key) in [
        ("  k \n", "k"),
        ("a b", "a b"),
        ("line\nbreak", "line\nbreak"),
        ("../../etc|&& -- 🦀", "../../etc|&& -- 🦀"),
    ] {
        assert_eq!(parse(&[("path", "a"), ("key", text)]).key, key);
    }
}

#[test]
fn keys_are_limited_as_in_actions_cache() {
    let crab_key = "🦀".repeat(256);
    assert_eq!(
        parse(&[("path", "a"), ("key", &crab_key)]).key,
        crab_key,
        "512 UTF-16 units"
    );

    let nine = (0..9)
        .map(|n| format!("k{n}"))
        .collect::<Vec<_>>()
        .join("\n");
    let inputs = parse(&[("path", "a"), ("key", "k"), ("restore-keys", &nine)]);
    assert_eq!(inputs.restore_keys.len(), 9, "ten keys with the exact one");

    let long = format!("{crab_key}x");
    let ten = format!("{nine}\na,b");
    assert_eq!(
        errors(
            ActionKind::Cache,
            &[("path", "a"), ("key", &long), ("restore-keys", &ten)]
        ),
        [
            "Key Validation Error: Keys are limited to a maximum of 10.".to_owned(),
            format!("Key Validation Error: {long} cannot be larger than 512 characters."),
            "Key Validation Error: a,b cannot contain commas.".to_owned(),
        ]
    );
}

#[test]
fn a_part_of_a_computed_key_has_no_limits() {
    assert_eq!(parse(&[("key", "a,b")]).key, "a,b");
}

#[test]
fn all_errors_are_reported_together_in_one_line() {
    let inputs = [
        ("path", "a"),
        ("disk-threshold", "much"),
        ("verify", "perhaps"),
        ("timeout", "a\nwhile"),
    ];
    let error = parse_as(ActionKind::Cache, &inputs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Input required and not supplied: key; \
         input disk-threshold is \"much\", which is not a whole percentage from 0 to 100, such as 80 or 80%, or \
         none; \
         input verify is \"perhaps\", which is not true, false, yes, no, 1, 0, on or off; \
         input timeout is \"a\\nwhile\", which is not a duration above zero such as 90s, 10m or 1h30m, or none"
    );
}

#[test]
fn an_error_truncates_a_long_value() {
    let error = refused("scope", &"x".repeat(1000));
    assert!(
        error.starts_with(&format!("input scope is \"{}\"..., which", "x".repeat(60))),
        "{error}"
    );
}

#[test]
fn a_value_that_is_not_utf8_is_an_error_once() {
    for name in ["INPUT_PATH", "INPUT_MAX-CACHE-SIZE", "INPUT_VERIFY"] {
        let env = Env::from_iter([(name, OsString::from_vec(b"a\xff".to_vec()))]);
        let errors = Inputs::parse(&env, ActionKind::Cache).unwrap_err();
        let found: Vec<_> = errors.iter().collect();
        assert!(
            matches!(found[..], [InputError::NotUtf8 { .. }]),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn path_and_the_cargo_preset_contradict_each_other() {
    let found = errors(
        ActionKind::Cache,
        &[("path", "a"), ("key", "k"), ("preset", "cargo")],
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("inputs path and preset: cargo contradict each other; "),
        "{found:?}"
    );
}

#[test]
fn when_a_cache_is_saved_follows_from_four_inputs() {
    use SaveCondition::{Always, Never, OnSuccess, UnlessCancelled};
    type Given = &'static [(&'static str, &'static str)];
    // (inputs, cargo preset, path)
    let cases: &[(Given, SaveCondition, SaveCondition)] = &[
        (&[], UnlessCancelled, OnSuccess),
        (&[("save", "always")], Always, Always),
        (&[("save", "on-success")], OnSuccess, OnSuccess),
        (&[("save", "never")], Never, Never),
        (&[("save-always", "true")], Always, Always),
        (
            &[("save-always", "true"), ("save", "always")],
            Always,
            Always,
        ),
        (&[("cache-on-failure", "true")], UnlessCancelled, Always),
        (&[("cache-on-failure", "false")], OnSuccess, OnSuccess),
        (&[("cache-on-failure", "")], UnlessCancelled, OnSuccess),
        (
            &[("cache-on-failure", "true"), ("save", "on-success")],
            OnSuccess,
            OnSuccess,
        ),
        (&[("save-if", "false")], Never, Never),
        (
            &[("save-if", "false"), ("save-always", "true")],
            Never,
            Never,
        ),
        (&[("save-if", "")], UnlessCancelled, OnSuccess),
    ];
    for (given, cargo, paths) in cases {
        let inputs = parse(given);
        let found = (
            inputs.save_condition(CacheFamily::Cargo),
            inputs.save_condition(CacheFamily::Paths),
        );
        assert_eq!(found, (*cargo, *paths), "{given:?}");
    }
    for save in ["never", "on-success"] {
        let found = errors(
            ActionKind::Cache,
            &[("save-always", "true"), ("save", save)],
        );
        assert!(
            found[0].starts_with("inputs save and save-always contradict each other"),
            "{found:?}"
        );
    }
}

#[test]
fn the_save_action_always_saves_and_the_restore_action_never_does() {
    let needed = [("path", "a"), ("key", "k")];
    for (kind, expected) in [
        (ActionKind::Save, SaveCondition::Always),
        (ActionKind::Restore, SaveCondition::Never),
    ] {
        assert_eq!(
            parse_as(kind, &needed)
                .unwrap()
                .save_condition(CacheFamily::Paths),
            expected
        );
    }
}
