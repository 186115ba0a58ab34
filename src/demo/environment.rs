//! The environment that cargo runs in (pure).
//!
//! It is made from nothing. From the user's come the toolchain, which is only read, and what a
//! build needs to reach the network and to find a C compiler and libraries; flags and wrappers stay
//! behind, since they would make the jobs differ from those of a runner, and a wrapper such as
//! sccache keeps files of its own elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::action::Env;

/// Variables that are passed on.
const PASSED_ON: [&str; 28] = [
    "PATH",
    // Proxies and certificates.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_TIMEOUT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
    // Native code.
    "CC",
    "CXX",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "CPATH",
    "LIBRARY_PATH",
    "CMAKE_PREFIX_PATH",
    "PKG_CONFIG",
    "PKG_CONFIG_PATH",
    "PKG_CONFIG_LIBDIR",
    "PKG_CONFIG_SYSROOT_DIR",
];

/// Beginnings of the names of variables that are passed on: how cargo reaches registries, and the
/// compilers of Nix.
const PREFIXES: [&str; 4] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "NIX_"];

/// The variables for cargo. `has_toolchain` is whether the project names its toolchain in a file;
/// `rustup_home` is the user's, where there is one.
pub(super) fn for_cargo(
    env: &Env,
    scratch: &Scratch,
    rustup_home: Option<&Path>,
    has_toolchain: bool,
    offline: bool,
) -> BTreeMap<OsString, OsString> {
    let is_passed_on = |name: &str| {
        PASSED_ON.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut variables: BTreeMap<OsString, OsString> = env
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(is_passed_on))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Below `cargo run` it is not the user's choice but that of the program's own repository.
    let is_inherited = env.get("CARGO").is_some();
    if let Some(toolchain) = env
        .get("RUSTUP_TOOLCHAIN")
        .filter(|_| !(is_inherited && has_toolchain))
    {
        variables.insert("RUSTUP_TOOLCHAIN".into(), toolchain.into());
    }
    if let Some(rustup_home) = rustup_home {
        variables.insert("RUSTUP_HOME".into(), rustup_home.into());
    }
    let target = scratch.target();
    let set = [
        ("HOME", scratch.home().into_os_string()),
        ("CARGO_HOME", scratch.cargo_home().into_os_string()),
        ("CARGO_TARGET_DIR", target.clone().into_os_string()),
        ("CARGO_BUILD_BUILD_DIR", target.into_os_string()),
        ("TMPDIR", scratch.tmp().into_os_string()),
        // A toolchain that is missing is not to be installed into the user's.
        ("RUSTUP_AUTO_INSTALL", "0".into()),
        // Empty means none, whatever a configuration file says.
        ("RUSTC_WRAPPER", OsString::new()),
        ("RUSTC_WORKSPACE_WRAPPER", OsString::new()),
        // As on runners: what incremental compilation keeps is large and of no use after a
        // checkout.
        ("CARGO_INCREMENTAL", "0".into()),
        // The messages are counted.
        ("CARGO_TERM_QUIET", "false".into()),
        ("CARGO_TERM_VERBOSE", "false".into()),
        ("CARGO_TERM_COLOR", "never".into()),
        ("CARGO_TERM_PROGRESS_WHEN", "never".into()),
    ];
    variables.extend(set.map(|(name, value)| (name.into(), value)));
    if offline {
        variables.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    variables
}

/// Where rustup keeps the user's toolchains, as rustup finds it, whether there are any or not.
pub(super) fn rustup_home(env: &Env) -> Option<PathBuf> {
    let below_home = || env.path("HOME").map(|home| home.join(".rustup"));
    env.path("RUSTUP_HOME")
        .map(Path::to_owned)
        .or_else(below_home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(env: &Env, has_toolchain: bool, offline: bool) -> BTreeMap<String, String> {
        let scratch = Scratch::create(Path::new("/tmp"), false).unwrap();
        let rustup = rustup_home(env);
        let variables = for_cargo(env, &scratch, rustup.as_deref(), has_toolchain, offline);
        let inside = scratch.path().to_str().unwrap().to_owned();
        let text = |text: OsString| text.into_string().unwrap().replace(&inside, "INSIDE");
        variables
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn everything_that_says_where_to_write_points_inside() {
        let outside = [
            "HOME",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_BUILD_DIR",
            "TMPDIR",
        ];
        let env = outside.map(|name| (name, "/outside")).into_iter().collect();
        let variables = variables(&env, false, false);
        for name in outside {
            assert!(variables[name].starts_with("INSIDE/"), "{name}");
        }
        assert_eq!(variables["RUSTUP_HOME"], "/outside/.rustup");
    }

    #[test]
    fn wrappers_flags_and_secrets_stay_behind_and_proxies_go_along() {
        let env = [
            ("RUSTC_WRAPPER", "sccache"),
            ("RUSTFLAGS", "-Ctarget-cpu=native"),
            ("GITHUB_TOKEN", "secret"),
            ("HTTPS_PROXY", "proxy"),
            ("CARGO_HTTP_CAINFO", "/certificates"),
            ("CARGO_BUILD_JOBS", "1"),
        ];
        let variables = variables(&env.into_iter().collect(), false, true);
        assert_eq!(variables["RUSTC_WRAPPER"], "");
        assert_eq!(variables["HTTPS_PROXY"], "proxy");
        assert_eq!(variables["CARGO_HTTP_CAINFO"], "/certificates");
        assert_eq!(variables["CARGO_NET_OFFLINE"], "true");
        for name in ["RUSTFLAGS", "GITHUB_TOKEN", "CARGO_BUILD_JOBS"] {
            assert!(!variables.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_toolchain_that_cargo_run_chose_gives_way_to_that_of_the_project() {
        let chosen = [("RUSTUP_TOOLCHAIN", "nightly")];
        let inherited = [("RUSTUP_TOOLCHAIN", "nightly"), ("CARGO", "/bin/cargo")];
        let has = |env: Env, has_toolchain| {
            variables(&env, has_toolchain, false).contains_key("RUSTUP_TOOLCHAIN")
        };
        assert!(has(chosen.into_iter().collect(), true));
        assert!(has(inherited.into_iter().collect(), false));
        assert!(!has(inherited.into_iter().collect(), true));
    }
}
