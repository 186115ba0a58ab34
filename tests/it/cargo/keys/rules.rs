//! Each change, and the parts of the keys that it changes.

use std::fmt::Write as _;

use local_cache::cargo::key::CargoKeys;
use local_cache::cargo::key::env_vars::GROUPS;
use local_cache::cargo::origin::ComponentOrigin;

use super::support::Fixture;

/// A change between two runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Set(&'static str, &'static str),
    Write(&'static str, &'static str),
    /// A text in a file is replaced.
    Replace(&'static str, &'static str, &'static str),
    /// A file is removed.
    Remove(&'static str),
}

use Change::{Remove, Replace, Set, Write};

impl Change {
    pub(super) fn apply(self, fixture: &mut Fixture) {
        match self {
            Set(name, value) => fixture.set(name, value),
            Write(name, text) => fixture.write(name, text),
            Replace(name, from, to) => fixture.replace(name, from, to),
            Remove(name) => fixture.remove(name),
        }
    }
}

/// The pieces of the keys that differ: `R`egistry, `G`it, and of target the `E`nvironment and the
/// `C`ontents.
fn differing(before: &CargoKeys, after: &CargoKeys) -> String {
    let piece = |keys: &CargoKeys, number: usize| -> String {
        keys.target[0]
            .key
            .text
            .rsplit('-')
            .nth(number)
            .unwrap()
            .to_owned()
    };
    [
        ('R', before.registry.text != after.registry.text),
        ('G', before.git.text != after.git.text),
        ('E', piece(before, 1) != piece(after, 1)),
        ('C', piece(before, 0) != piece(after, 0)),
    ]
    .iter()
    .filter_map(|(name, differs)| differs.then_some(*name))
    .collect()
}

#[track_caller]
fn check(fixture: fn() -> Fixture, changes: &[(Change, &str)]) {
    for &(change, expected) in changes {
        let mut fixture = fixture();
        let before = fixture.keys();
        assert_eq!(
            differing(&before, &fixture.keys()),
            "",
            "{change:?}: not the same twice"
        );
        change.apply(&mut fixture);
        let after = fixture.keys();
        assert_eq!(differing(&before, &after), expected, "{change:?}");
        assert!(
            after.warnings.is_empty(),
            "{change:?}: {:?}",
            after.warnings
        );
    }
}

#[test]
fn nothing_that_differs_between_runs_changes_a_key() {
    let nothing = [
        Set("CARGO_REGISTRY_TOKEN", "x"),
        Set("CARGO_REGISTRIES_MINE_TOKEN", "x"),
        Set("CARGO_REGISTRIES_MINE_CREDENTIAL_PROVIDER", "cargo:token"),
        Set("GITHUB_RUN_ID", "7"),
        Set("GITHUB_SHA", "0123"),
        Set("GITHUB_TOKEN", "x"),
        Set("ACTIONS_RUNTIME_TOKEN", "x"),
        Set("RUNNER_TEMP", "/x"),
        Set("RUNNER_TRACKING_ID", "x"),
        Set("CARGO_TERM_COLOR", "always"),
        Set("CARGO_TERM_PROGRESS_WHEN", "never"),
        Set("CARGO_NET_RETRY", "10"),
        Set("CARGO_HTTP_MULTIPLEXING", "false"),
        Set("CARGO_BUILD_JOBS", "3"),
        Set("RUST_BACKTRACE", "1"),
        Set("RUST_LOG", "debug"),
        Set("CCACHE_DIR", "/x"),
        Set("CARGO", "/x/cargo"),
        Set("CARGO_PKG_VERSION", "7"),
        Write("~/.cargo/credentials.toml", "[registry]\ntoken = 'x'\n"),
        Replace("~/.cargo/config.toml", "3", "7"),
        Write(
            ".cargo/config.toml",
            "# the same\n[build]\njobs = 2\nrustflags = ['-Cdebuginfo=0']\n[term]\nquiet = true\n",
        ),
        Replace(
            "Cargo.lock",
            "name = \"a\"\nversion = \"0.1.0\"",
            "name = \"a\"\nversion = \"9.0.0\"",
        ),
        Replace(
            "Cargo.lock",
            "version = 4\n",
            "# made by a machine\nversion = 3\n",
        ),
        Replace("crates/a/Cargo.toml", "0.1.0", "9.0.0"),
        Replace(
            "crates/a/Cargo.toml",
            "[package]",
            "[package]\ndescription = \"more\"\nauthors = [\"me\"]",
        ),
        Write("crates/a/src/lib.rs", "pub fn new() {}"),
        Write(
            "crates/out/Cargo.toml",
            "[package]\nname = \"outer\"\n[dependencies]\nx = \"1\"\n",
        ),
        Write("README.md", "more"),
        Write("target/debug/deps/a", ""),
        Write(
            "rust-toolchain.toml",
            "[toolchain]\ncomponents = ['clippy']\nchannel = '1.90'\n",
        ),
        Replace(
            "~/.rustup/settings.toml",
            "stable-x86_64-unknown-linux-gnu",
            "nightly",
        ),
        Write(
            "~/.rustup/toolchains/nightly-x86_64-unknown-linux-gnu/lib/librustc_driver-9.so",
            "",
        ),
        // What builds remove from manifests and add to them.
        Write("../more/Cargo.toml", "[package]\nname = 'more'\n"),
        Replace(
            "Cargo.toml",
            "[profile",
            "[patch.crates-io]\nserde = { path = \"../serde\" }\n[profile",
        ),
        Replace(
            "Cargo.toml",
            "[profile",
            "[patch.crates-io]\nserde = { git = \"https://example.org/s\" }\n[profile",
        ),
    ];
    check(Fixture::new, &nothing.map(|change| (change, "")));
}

#[test]
fn each_change_affects_exactly_its_keys() {
    check(
        Fixture::new,
        &[
            (Replace("Cargo.lock", "1.0.1", "1.0.2"), "RC"),
            (Replace("Cargo.lock", "\"aa\"", "\"bb\""), "RC"),
            (Replace("Cargo.lock", "#0123", "#4567"), "GC"),
            (Replace("Cargo.toml", "lto = true", "lto = false"), "C"),
            (Replace("Cargo.toml", "\"derive\"", "\"rc\""), "C"),
            (Replace("crates/b/Cargo.toml", "2021", "2024"), "C"),
            (
                Write(
                    "crates/c/Cargo.toml",
                    "[package]\nname = 'c'\nedition = '2021'\n",
                ),
                "C",
            ),
            (
                Write(
                    ".cargo/config.toml",
                    "[build]\nrustflags = ['-Cdebuginfo=1']\n",
                ),
                "C",
            ),
            (
                Write(
                    ".cargo/config.toml",
                    "[build]\nrustflags = [\"-Cdebuginfo=0\"]\nfingerprint = 'content'\n",
                ),
                "C",
            ),
            (Write(".cargo/config", "[env]\nA = '1'\n"), "C"),
            (
                Write("../.cargo/config.toml", "[profile.dev]\ndebug = 0\n"),
                "C",
            ),
            (
                Write("~/.cargo/config.toml", "[target.x]\nlinker = 'clang'\n"),
                "C",
            ),
            (
                Write(
                    "~/.cargo/config.toml",
                    "[source.crates-io]\nreplace-with = 'mirror'\n",
                ),
                "R",
            ),
            (Remove(".cargo/config.toml"), "C"),
            (Replace("rust-toolchain.toml", "clippy", "rustfmt"), "C"),
            (Replace("rust-toolchain.toml", "1.90", "stable"), "EC"),
            (Remove("rust-toolchain.toml"), "EC"),
            (Write("rust-toolchain", "stable\n"), "EC"),
            (Set("RUSTUP_TOOLCHAIN", "stable"), "E"),
            (Set("RUSTFLAGS", "-Dwarnings"), "E"),
            (Set("CARGO_ENCODED_RUSTFLAGS", "-Dwarnings"), "E"),
            (Set("CARGO_BUILD_TARGET", "x86_64-unknown-linux-musl"), "E"),
            (Set("CARGO_PROFILE_DEV_DEBUG", "0"), "E"),
            (Set("CARGO_INCREMENTAL", "0"), "E"),
            (Set("CARGO_BUILD_FINGERPRINT", "content"), "E"),
            (Set("RUSTC_WRAPPER", "sccache"), "E"),
            (Set("CFLAGS", "-O2"), "E"),
            (Set("CC_x86_64_unknown_linux_musl", "musl-gcc"), "E"),
        ],
    );
}

#[test]
fn without_a_lock_file_the_manifests_are_hashed() {
    check(
        Fixture::without_lock,
        &[
            (
                Replace("Cargo.toml", "version = \"1\"", "version = \"1.0.5\""),
                "RGC",
            ),
            (
                Replace(
                    "crates/b/Cargo.toml",
                    "[package]",
                    "[dependencies]\nrand = \"0.9\"\n[package]",
                ),
                "RGC",
            ),
            (
                Replace(
                    "Cargo.toml",
                    "[profile",
                    "[patch.crates-io]\nserde = { git = \"https://example.org/s\" }\n[profile",
                ),
                "RGC",
            ),
            (Replace("Cargo.toml", "lto = true", "lto = false"), "C"),
            (
                Replace(
                    "crates/b/Cargo.toml",
                    "[package]",
                    "[features]\nx = []\n[package]",
                ),
                "C",
            ),
            // None of these changes what is downloaded or built.
            (
                Replace(
                    "Cargo.toml",
                    "[profile",
                    "[patch.crates-io]\nserde = { path = \"../serde\" }\n[profile",
                ),
                "",
            ),
            (
                Replace(
                    "Cargo.toml",
                    "[profile",
                    "[patch.crates-io]\nb = { git = \"https://example.org/b\" }\n[profile",
                ),
                "",
            ),
            (Replace("Cargo.toml", "[profile", "# why\n[profile"), ""),
            (Replace("crates/a/Cargo.toml", "0.1.0", "9.0.0"), ""),
            (
                Replace(
                    "crates/a/Cargo.toml",
                    "[package]",
                    "[package]\nlicense = \"MIT\"",
                ),
                "",
            ),
        ],
    );
}

#[test]
fn a_notice_reports_manifests_hashed_in_place_of_a_lock_file() {
    let keys = Fixture::without_lock().keys();
    for key in [&keys.registry, &keys.git] {
        let part = key.components.last().unwrap();
        assert_eq!(
            part.note.as_deref(),
            Some("no Cargo.lock: computed from 3 manifests")
        );
    }
    let lock = keys.target[0]
        .key
        .components
        .iter()
        .find(|part| part.name == "Cargo.lock")
        .unwrap();
    assert_eq!(
        (lock.value.as_str(), &lock.origin),
        ("not found", &ComponentOrigin::NotFound)
    );
}

#[test]
fn home_and_checkout_may_be_elsewhere() {
    let keys = |home: &str, checkout: &str| {
        let mut fixture = Fixture::at(home, checkout);
        let wrapper = fixture.path("~/.cargo/bin/sccache");
        let flags = format!(
            "--remap-path-prefix={}=/app",
            fixture.asked.checkout.display()
        );
        fixture.set("RUSTC_WRAPPER", wrapper);
        fixture.set("RUSTFLAGS", flags);
        let linker = fixture.path("tools/link").display().to_string();
        fixture.write(
            ".cargo/config.toml",
            &format!("[target.x]\nlinker = '{linker}'\n"),
        );
        fixture.keys()
    };
    let first = keys("home", "home/work/app");
    for (home, checkout) in [
        ("users/other", "users/other/_work/app/app"),
        ("home", "srv/checkout"),
    ] {
        let other = keys(home, checkout);
        assert_eq!(differing(&first, &other), "", "{home} {checkout}");
        for key in [&other.registry, &other.git, &other.target[0].key] {
            assert!(
                key.components
                    .iter()
                    .all(|part| !part.value.contains("checkout/tools")),
                "{key:?}"
            );
        }
    }
}

#[test]
fn prefixes_in_env_vars_add_variables_and_never_tokens() {
    let mut fixture = Fixture::new();
    fixture.set("MY_FLAG", "1");
    fixture.set("MY_TOKEN", "1");
    let before = fixture.keys();
    fixture.asked.key_inputs.env_vars = vec!["MY_".to_owned(), "CARGO".to_owned()];
    let with = fixture.keys();
    assert_eq!(differing(&before, &with), "E");
    for name in ["MY_TOKEN", "CARGO_REGISTRY_TOKEN"] {
        fixture.set(name, "2");
        assert_eq!(differing(&with, &fixture.keys()), "", "{name}");
    }
    fixture.set("MY_FLAG", "2");
    assert_eq!(differing(&with, &fixture.keys()), "E");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn the_document_lists_the_variables_of_the_code() {
    let mut table = String::from("| variables | why |\n| --- | --- |\n");
    for group in GROUPS {
        let star = if group.per_target { "*" } else { "" };
        let names: Vec<String> = group
            .names
            .iter()
            .map(|name| format!("`{name}`{star}"))
            .collect();
        writeln!(table, "| {} | {} |", names.join(", "), group.why).unwrap();
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- variables -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- /variables -->").unwrap();
    if found != table && std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok() {
        let text = format!("{before}<!-- variables -->\n{table}<!-- /variables -->{after}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(
        found, table,
        "run the tests with LOCAL_CACHE_TESTS_UPDATE=1 to write docs/keys.md"
    );
}
