//! The environment variables in a key: an explicit list of those that change what is built.
//!
//! The list is not everything that starts with `CARGO` or `RUST`: with tokens, retries, colours and
//! per-run values in the key, every run would be a miss. The lists are from the Cargo book
//! ("Environment variables Cargo reads" and "Configuration environment variables"), the rustc book,
//! and the documentation of the crates `cc`, `cmake` and `pkg-config`, which most build scripts
//! use. The input `env-vars` names anything else that a build reads.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Variables with the same effect on a build.
#[derive(Clone, Copy, Debug)]
pub struct EnvVarGroup {
    /// `<ANY>` matches any text.
    pub names: &'static [&'static str],
    /// Whether `NAME_<target>`, `HOST_NAME` and `TARGET_NAME` are included.
    pub per_target: bool,
    /// Whether an empty value differs from an unset variable: cargo then ignores the configuration
    /// files.
    pub empty_counts: bool,
    /// Shown in docs/keys.md.
    pub why: &'static str,
}

pub const GROUPS: [EnvVarGroup; 9] = [
    EnvVarGroup {
        names: &[
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_TARGET_<ANY>_RUSTFLAGS",
        ],
        per_target: false,
        empty_counts: true,
        why: "flags for every call of the compiler: if they change, cargo rebuilds everything",
    },
    EnvVarGroup {
        names: &[
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTC",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        ],
        per_target: false,
        empty_counts: true,
        why: "another program compiles",
    },
    EnvVarGroup {
        names: &["RUSTC_BOOTSTRAP", "CARGO_UNSTABLE_<ANY>"],
        per_target: false,
        empty_counts: false,
        why: "unstable features of compiler and cargo are on; build scripts probe for them",
    },
    EnvVarGroup {
        names: &["CARGO_BUILD_FINGERPRINT"],
        per_target: false,
        empty_counts: false,
        why: "how cargo decides what to rebuild: by times or by contents",
    },
    EnvVarGroup {
        names: &[
            "CARGO_PROFILE_<ANY>",
            "CARGO_INCREMENTAL",
            "CARGO_BUILD_INCREMENTAL",
        ],
        per_target: false,
        empty_counts: false,
        why: "they change profiles: optimisation, debug information, incremental compilation",
    },
    EnvVarGroup {
        names: &["CARGO_BUILD_TARGET", "CARGO_TARGET_<ANY>_LINKER"],
        per_target: false,
        empty_counts: false,
        why: "what is built for, and the program that links it",
    },
    EnvVarGroup {
        names: &[
            "CC",
            "CXX",
            "AR",
            "RANLIB",
            "CFLAGS",
            "CXXFLAGS",
            "CPPFLAGS",
            "LDFLAGS",
            "ARFLAGS",
            "RANLIBFLAGS",
            "CXXSTDLIB",
            "CRATE_CC_NO_DEFAULTS",
        ],
        per_target: true,
        empty_counts: false,
        why: "the C and C++ tools that build scripts call through the crate cc",
    },
    EnvVarGroup {
        names: &[
            "CMAKE",
            "CMAKE_GENERATOR",
            "CMAKE_PREFIX_PATH",
            "CMAKE_TOOLCHAIN_FILE",
        ],
        per_target: true,
        empty_counts: false,
        why: "how build scripts run CMake through the crate cmake",
    },
    EnvVarGroup {
        names: &[
            "PKG_CONFIG",
            "PKG_CONFIG_PATH",
            "PKG_CONFIG_LIBDIR",
            "PKG_CONFIG_SYSROOT_DIR",
        ],
        per_target: true,
        empty_counts: false,
        why: "which libraries of the system build scripts find through the crate pkg-config",
    },
];

/// The variables of [`GROUPS`], and those whose names start with one of `prefixes`, as in
/// rust-cache's `env-vars`.
///
/// A variable with a longer name than the prefix is skipped if it is empty or looks like a secret.
/// Bytes that are not UTF-8 become the replacement character.
pub(crate) fn select(
    env: &BTreeMap<OsString, OsString>,
    prefixes: &[String],
) -> BTreeMap<String, String> {
    env.iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, value)| is_listed(name, value) || matches_input(name, value, prefixes))
        .map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// Variables that are in no key, but determine the directories or the toolchain.
const LOCATION_VARS: [&str; 7] = [
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_RESOLVER_LOCKFILE_PATH",
];

/// Whether keys or the directories of caches depend on a variable other than `PATH` and `HOME`.
/// Only these variables are sent to a worker; secrets are not among them.
pub(crate) fn affects_keys(name: &str, value: &OsStr, prefixes: &[String]) -> bool {
    LOCATION_VARS.contains(&name) || is_listed(name, value) || matches_input(name, value, prefixes)
}

fn is_listed(name: &str, value: &OsStr) -> bool {
    let listed = GROUPS.iter().find(|group| {
        group
            .names
            .iter()
            .any(|pattern| group.matches(pattern, name))
    });
    listed.is_some_and(|group| group.empty_counts || !value.is_empty())
}

fn matches_input(name: &str, value: &OsStr, prefixes: &[String]) -> bool {
    prefixes
        .iter()
        .filter(|prefix| !prefix.is_empty())
        .any(|prefix| {
            name == prefix
                || (name.starts_with(prefix.as_str()) && !value.is_empty() && !is_secret(name))
        })
}

fn is_secret(name: &str) -> bool {
    [
        "TOKEN",
        "PASSWORD",
        "SECRET",
        "CREDENTIAL_PROVIDER",
        "CREDENTIALS",
    ]
    .iter()
    .any(|suffix| name.ends_with(suffix))
}

impl EnvVarGroup {
    fn matches(&self, pattern: &str, name: &str) -> bool {
        if let Some((before, after)) = pattern.split_once("<ANY>") {
            let rest = name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            return rest.is_some_and(|middle| !middle.is_empty());
        }
        let without_kind = || {
            ["HOST_", "TARGET_"]
                .iter()
                .find_map(|kind| name.strip_prefix(kind))
        };
        name == pattern
            || (self.per_target
                && (without_kind() == Some(pattern)
                    || name
                        .strip_prefix(pattern)
                        .and_then(|rest| rest.strip_prefix('_'))
                        .is_some_and(is_triple)))
    }
}

/// For example `x86_64_unknown_linux_gnu` or `aarch64-apple-darwin`.
fn is_triple(text: &str) -> bool {
    let separators = text.matches(['-', '_']).count();
    separators > 0
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(variables: &[(&str, &str)], words: &[&str]) -> Vec<String> {
        let env = variables
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        select(&env, &words).into_keys().collect()
    }

    #[test]
    fn variables_that_change_the_build_are_selected() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_PROFILE_DEV_BUILD_OVERRIDE_OPT_LEVEL",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "CARGO_INCREMENTAL",
            "CARGO_UNSTABLE_BUILD_STD",
            "RUSTC_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "CC",
            "CC_x86_64_unknown_linux_musl",
            "CFLAGS_aarch64-apple-darwin",
            "TARGET_CXX",
            "HOST_AR",
            "PKG_CONFIG_PATH",
            "PKG_CONFIG_PATH_aarch64_unknown_linux_gnu",
        ] {
            assert_eq!(selected(&[(name, "x")], &[]), [name]);
        }
    }

    #[test]
    fn variables_that_do_not_change_the_build_or_differ_in_each_run_are_skipped() {
        for name in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_LOG",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_REGISTRIES_MINE_INDEX",
            "CARGO_REGISTRY_CREDENTIAL_PROVIDER",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_TMPDIR",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "CARGO_BUILD_JOBS",
            "CARGO_BUILD_TARGET_DIR",
            "CARGO_BUILD_BUILD_DIR",
            "CARGO_BUILD_RUSTDOCFLAGS",
            "CARGO_TERM_COLOR",
            "CARGO_NET_RETRY",
            "CARGO_HTTP_TIMEOUT",
            "CARGO_INSTALL_ROOT",
            "CARGO_ALIAS_B",
            "CARGO_PKG_VERSION",
            "CARGO_PROFILE_",
            "RUSTDOCFLAGS",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "CCACHE_DIR",
            "CC_ENABLE_DEBUG_OUTPUT",
            "CMAKE_BUILD_PARALLEL_LEVEL",
            "GITHUB_RUN_ID",
            "RUNNER_TEMP",
            "PATH",
            "HOME",
            "SOURCE_DATE_EPOCH",
        ] {
            assert!(selected(&[(name, "x")], &[]).is_empty(), "{name}");
        }
    }

    #[test]
    fn an_empty_value_counts_only_if_cargo_treats_it_as_a_setting() {
        assert_eq!(
            selected(
                &[("RUSTFLAGS", ""), ("CC", ""), ("CARGO_BUILD_TARGET", "")],
                &[]
            ),
            ["RUSTFLAGS"]
        );
    }

    #[test]
    fn prefixes_select_secrets_only_by_their_full_name() {
        let env = [
            ("MY_TOKEN", "s"),
            ("MY_FLAG", "1"),
            ("MY_EMPTY", ""),
            ("CARGO_REGISTRY_TOKEN", "s"),
        ];
        assert_eq!(selected(&env, &["MY_", "CARGO"]), ["MY_FLAG"]);
        assert_eq!(selected(&env, &["MY_TOKEN"]), ["MY_TOKEN"]);
        assert!(selected(&env, &["", "OTHER"]).is_empty());
    }
}
