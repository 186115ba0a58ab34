//! Values of single inputs: which each kind accepts and which it refuses.

use std::time::Duration;

use local_cache::action::inputs::{JobStatus, Mirror, SaveMode, Scope};
use local_cache::job::WorkspaceLine;
use local_cache::site::SitePreference;

use super::{parse, refused};

#[test]
fn lists_follow_the_rules_of_actions_cache() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("  \n\t\r\n ", &[]),
        ("a", &["a"]),
        ("a\nb", &["a", "b"]),
        ("a\r\nb\r\n", &["a", "b"]),
        ("  a  \n\n\tb c\t", &["a", "b c"]),
        ("a,b", &["a,b"]),
        ("a\na", &["a", "a"]),
        ("! a\n!\t b", &["!a", "!b"]),
        // The whole value is trimmed before `->` is searched, each line only afterwards.
        ("  ! a\n  ! b", &["!a", "! b"]),
        ("# comment\na", &["# comment", "a"]),
        ("!", &["!"]),
        ("\u{feff}a\u{a0}\n\u{3000}b", &["a", "b"]),
    ];
    for (text, expected) in cases {
        let inputs = parse(&[("key", "k"), ("restore-keys", text)]);
        assert_eq!(inputs.restore_keys, *expected, "{text:?}");
        let inputs = parse(&[("key", "k"), ("path", text)]);
        assert_eq!(inputs.paths, *expected, "{text:?}");
    }
}

/// Every boolean input.
const BOOLEANS: [&str; 14] = [
    "fail-on-cache-miss",
    "lookup-only",
    "save-always",
    "save-if",
    "cache-on-failure",
    "cache-targets",
    "cache-bin",
    "cache-all-crates",
    "add-job-id-key",
    "add-rust-environment-hash-key",
    "branch-isolation",
    "verify",
    "fail-on-stale",
    "summary",
];

#[test]
fn every_boolean_has_the_same_spellings() {
    for (text, expected) in [
        ("true", true),
        ("TRUE", true),
        (" True ", true),
        ("yes", true),
        ("1", true),
        ("On", true),
        ("false", false),
        ("No", false),
        ("0", false),
        ("off", false),
    ] {
        let inputs = parse(&BOOLEANS.map(|name| (name, text)));
        let cargo = &inputs.cargo;
        let found = [
            inputs.fail_on_cache_miss,
            inputs.lookup_only,
            inputs.save == SaveMode::Always,
            inputs.save_if,
            inputs.cache_on_failure == Some(true),
            cargo.cache_targets,
            cargo.cache_bin,
            cargo.cache_all_crates,
            cargo.key_inputs.add_job_id,
            cargo.key_inputs.add_environment,
            inputs.branch_isolation,
            inputs.verify,
            inputs.fail_on_stale,
            inputs.summary,
        ];
        assert_eq!(found, [expected; 14], "{text:?}");
    }
    for name in BOOLEANS {
        for text in ["x", "2", "tru", "refs/heads/main"] {
            let error = refused(name, text);
            assert!(error.contains("true, false, yes"), "{name}: {error}");
        }
    }
}

#[test]
fn empty_booleans_of_rust_cache_have_its_meaning() {
    // (value, save-if, cache-targets, cache-bin, cache-all-crates)
    for (text, save_if, targets, bin, all) in [
        ("true", true, true, true, true),
        ("True", true, true, true, true),
        ("", true, true, false, false),
        ("false", false, false, false, false),
        ("1", true, true, true, true),
    ] {
        let names = ["save-if", "cache-targets", "cache-bin", "cache-all-crates"];
        let inputs = parse(&names.map(|name| (name, text)));
        let cargo = &inputs.cargo;
        let found = (
            inputs.save_if,
            cargo.cache_targets,
            cargo.cache_bin,
            cargo.cache_all_crates,
        );
        assert_eq!(found, (save_if, targets, bin, all), "{text:?}");
    }
}

#[test]
fn own_booleans_accept_eight_words_and_refuse_all_others() {
    for (texts, expected) in [
        (["true", "YES", "1", "On"], true),
        (["False", "no", "0", "OFF"], false),
    ] {
        for text in texts {
            let inputs = parse(&[("verify", text), ("fail-on-error", text)]);
            assert_eq!(
                (inputs.verify, inputs.fail_on_error),
                (expected, expected),
                "{text:?}"
            );
        }
    }
    for name in [
        "branch-isolation",
        "verify",
        "fail-on-error",
        "fail-on-stale",
        "summary",
    ] {
        assert_eq!(
            refused(name, "ture"),
            format!("input {name} is \"ture\", which is not true, false, yes, no, 1, 0, on or off")
        );
    }
}

#[test]
fn choices_accept_their_words_in_any_case_and_errors_name_the_words() {
    assert_eq!(parse(&[("scope", " Runner ")]).scope, Scope::Runner);
    assert_eq!(
        parse(&[("site", "job-container")]).site,
        SitePreference::JobContainer
    );
    assert_eq!(parse(&[("mirror", "no")]).mirror, Mirror::No);
    assert_eq!(
        parse(&[("log-level", "WARN")]).log_level,
        log::LevelFilter::Warn
    );
    for (name, allowed) in [
        ("preset", "auto, cargo or none"),
        ("scope", "repository, owner or runner"),
        ("save", "auto, always, on-success or never"),
        ("mirror", "auto, true or false"),
        ("reuse", "move or copy"),
        ("ready-copies", "auto or a whole number from 0"),
        ("freshness", "safe, cargo or off"),
        ("log-level", "error, warn, info, debug or trace"),
        ("site", "auto, here, host or job-container"),
    ] {
        assert_eq!(
            refused(name, "maybe"),
            format!("input {name} is \"maybe\", which is not {allowed}")
        );
    }
    assert!(refused("log-level", "off").contains("trace"));
}

#[test]
fn sizes_are_bytes_with_decimal_or_binary_units() {
    for (text, bytes) in [
        ("20GB", 20_000_000_000),
        ("20 GiB", 20 << 30),
        ("50gb", 50_000_000_000),
        ("1TB", 1_000_000_000_000),
        ("20G", 20_000_000_000),
        ("1.5 GB", 1_500_000_000),
        ("1048576", 1 << 20),
        ("9007199254740993", 9_007_199_254_740_993),
        ("100 B", 100),
        ("0", 0),
    ] {
        let inputs = parse(&[("max-cache-size", text), ("min-free-space", text)]);
        assert_eq!(inputs.retention.max_cache_size, Some(bytes), "{text:?}");
        assert_eq!(inputs.retention.min_free_space, bytes, "{text:?}");
    }
    for text in [
        "50",
        "999999",
        "-5GB",
        "GB",
        "20 XB",
        "1,000,000",
        "inf",
        "nan",
        "1e9",
        "99999999999TB",
        "half",
    ] {
        let expected = format!(
            "input max-cache-size is {text:?}, which is not a size with its unit, such as 50GB or 20GiB, or none"
        );
        assert_eq!(refused("max-cache-size", text), expected);
    }
}

#[test]
fn percents_are_whole_numbers_up_to_a_hundred() {
    for (text, percent) in [
        ("80", 80),
        ("80%", 80),
        ("80 %", 80),
        ("0", 0),
        ("100%", 100),
    ] {
        let inputs = parse(&[("disk-threshold", text), ("experiment", text)]);
        assert_eq!(inputs.retention.disk_threshold, Some(percent), "{text:?}");
        assert_eq!(inputs.experiment, percent, "{text:?}");
    }
    for text in ["101", "-1", "+5", "80.5", "%", "80%%", "0x10", "300"] {
        assert!(
            refused("disk-threshold", text).contains("80%, or none"),
            "{text:?}"
        );
        assert!(
            refused("experiment", text).ends_with("such as 80 or 80%"),
            "{text:?}"
        );
    }
}

#[test]
fn durations_take_days_to_seconds_and_m_is_minutes_in_any_case() {
    for (text, seconds) in [
        ("7d", 604_800),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("10m", 600),
        ("10M", 600),
        ("90s", 90),
        ("2 days", 172_800),
        ("1w", 604_800),
    ] {
        let inputs = parse(&[("timeout", text), ("max-age", text)]);
        assert_eq!(
            inputs.timeout,
            Some(Duration::from_secs(seconds)),
            "{text:?}"
        );
        assert_eq!(
            inputs.retention.max_age,
            Some(Duration::from_secs(seconds)),
            "{text:?}"
        );
    }
    for text in ["90", "-1d", "soon", "d", "99999999999999999999d"] {
        assert!(
            refused("max-age", text).contains("or 7d, or none"),
            "{text:?}"
        );
        assert!(refused("timeout", text).contains("above zero"), "{text:?}");
    }
    assert!(refused("timeout", "0s").contains("above zero"));
    assert_eq!(
        parse(&[("max-age", "0s")]).retention.max_age,
        Some(Duration::ZERO)
    );
}

#[test]
fn none_turns_optional_values_off() {
    let names = [
        "max-age",
        "max-cache-size",
        "disk-threshold",
        "min-free-space",
        "timeout",
    ];
    let inputs = parse(&names.map(|name| (name, "None")));
    assert_eq!(inputs.retention.max_age, None);
    assert_eq!(inputs.retention.max_cache_size, None);
    assert_eq!(inputs.retention.disk_threshold, None);
    assert_eq!(inputs.retention.min_free_space, 0);
    assert_eq!(inputs.timeout, None);
    assert!(refused("keep", "none").contains("whole number from 1"));
}

#[test]
fn generations_are_counted_from_one() {
    for name in ["keep-registry", "keep-git", "keep-target", "keep"] {
        for text in ["0", "-1", "1.5", "many", "99999999999"] {
            assert_eq!(
                refused(name, text),
                format!("input {name} is {text:?}, which is not a whole number from 1")
            );
        }
    }
}

#[test]
fn the_store_is_at_an_absolute_path_or_below_home() {
    for text in ["/", "/tmp/runner-cache", "~", "~/cache", "/with space"] {
        assert_eq!(parse(&[("cache-root", text)]).cache_root, text);
    }
    for text in ["cache", "./cache", "../cache", "~user/cache", "/a\n/b"] {
        assert!(
            refused("cache-root", text).contains("an absolute path"),
            "{text:?}"
        );
    }
}

#[test]
fn workspaces_follow_the_syntax_of_rust_cache() {
    let workspace = |root: &str, target: Option<&str>| WorkspaceLine {
        root: root.to_owned(),
        target: target.map(str::to_owned),
    };
    for (text, expected) in [
        ("", vec![workspace(".", None)]),
        (". -> target", vec![workspace(".", None)]),
        ("crates/a", vec![workspace("crates/a", None)]),
        (
            "crates/a->../target",
            vec![workspace("crates/a", Some("../target"))],
        ),
        (
            ". -> /mnt/target",
            vec![workspace(".", Some("/mnt/target"))],
        ),
        ("-> build", vec![workspace(".", Some("build"))]),
        ("a ->", vec![workspace("a", None)]),
        (
            "\n a \r\n\n ../b -> out \n",
            vec![workspace("a", None), workspace("../b", Some("out"))],
        ),
    ] {
        assert_eq!(
            parse(&[("workspaces", text)]).cargo.workspaces,
            expected,
            "{text:?}"
        );
    }
    assert!(
        refused("workspaces", "a -> b -> c")
            .ends_with("one workspace per line, as `root` or `root -> target`")
    );
}

#[test]
fn directories_and_variables_of_rust_cache_are_words() {
    let inputs = parse(&[("cache-directories", " a\n b c\t"), ("env-vars", "FOO BAR")]);
    assert_eq!(inputs.cargo.cache_directories, ["a", "b", "c"]);
    assert_eq!(inputs.cargo.key_inputs.env_vars, ["FOO", "BAR"]);
}

#[test]
fn the_job_status_may_be_anything_and_is_then_unknown() {
    for (text, expected) in [
        ("success", JobStatus::Success),
        ("failure", JobStatus::Failure),
        ("Cancelled", JobStatus::Cancelled),
        ("", JobStatus::Unknown),
        ("skipped", JobStatus::Unknown),
    ] {
        assert_eq!(
            parse(&[("job-status", text)]).job_status,
            expected,
            "{text:?}"
        );
    }
}
