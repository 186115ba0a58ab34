//! The environment of cargo (pure).
//!
//! It does not inherit the user's. It takes from it the toolchain, and the variables that a build
//! needs to reach the network and to find a C compiler and libraries. It gets no flags and
//! wrappers: they would make the jobs differ from those of a runner, and a wrapper such as sccache
//! writes files outside the temporary directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::action::Env;

/// Variables that cargo gets from the user.
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

/// Name prefixes of more such variables: how cargo reaches registries, and Nix's compiler wrappers.
const PASSED_ON_PREFIXES: [&str; 4] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "NIX_"];

/// The toolchain that cargo is to use.
pub(super) struct ToolchainSource {
    /// The user's rustup home, if it exists.
    pub(super) rustup_home: Option<PathBuf>,
    /// Whether the project chooses its toolchain in a file.
    pub(super) has_file: bool,
}

/// The whole environment of cargo.
pub(super) fn cargo_environment(
    env: &Env,
    scratch: &Scratch,
    toolchain: &ToolchainSource,
    offline: bool,
) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = env
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(is_passed_on))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if let Some(name) = selected_toolchain(env, toolchain) {
        variables.insert("RUSTUP_TOOLCHAIN".into(), name.into());
    }
    if let Some(rustup_home) = &toolchain.rustup_home {
        variables.insert("RUSTUP_HOME".into(), rustup_home.into());
    }
    variables.extend(directories(scratch).map(|(name, path)| (name.into(), path.into())));
    variables.extend(SETTINGS.map(|(name, value)| (name.into(), value.into())));
    if offline {
        variables.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    variables
}

fn selected_toolchain<'e>(env: &'e Env, toolchain: &ToolchainSource) -> Option<&'e OsStr> {
    // `cargo run` of this program's own repository sets RUSTUP_TOOLCHAIN to that repository's
    // toolchain, which is not a choice of the user.
    let is_inherited = env.get("CARGO").is_some();
    env.get("RUSTUP_TOOLCHAIN")
        .filter(|_| !(is_inherited && toolchain.has_file))
}

fn is_passed_on(name: &str) -> bool {
    PASSED_ON.contains(&name)
        || PASSED_ON_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The variables that name a directory to write to.
fn directories(scratch: &Scratch) -> [(&'static str, PathBuf); 5] {
    [
        ("HOME", scratch.home()),
        ("CARGO_HOME", scratch.cargo_home()),
        ("CARGO_TARGET_DIR", scratch.target()),
        ("CARGO_BUILD_BUILD_DIR", scratch.target()),
        ("TMPDIR", scratch.tmp()),
    ]
}

const SETTINGS: [(&str, &str); 8] = [
    // Do not install a missing toolchain into the user's rustup home.
    ("RUSTUP_AUTO_INSTALL", "0"),
    // Empty means none, even if a configuration file names one.
    ("RUSTC_WRAPPER", ""),
    ("RUSTC_WORKSPACE_WRAPPER", ""),
    // As on runners: incremental compilation writes much and is no use after a fresh checkout.
    ("CARGO_INCREMENTAL", "0"),
    // The output is parsed.
    ("CARGO_TERM_QUIET", "false"),
    ("CARGO_TERM_VERBOSE", "false"),
    ("CARGO_TERM_COLOR", "never"),
    ("CARGO_TERM_PROGRESS_WHEN", "never"),
];

/// Where rustup looks for the user's toolchains, whether or not the directory exists.
pub(super) fn rustup_home(env: &Env) -> Option<PathBuf> {
    home_of(env, "RUSTUP_HOME", ".rustup")
}

/// The user's Cargo home, whether or not the directory exists.
pub(super) fn cargo_home(env: &Env) -> Option<PathBuf> {
    home_of(env, "CARGO_HOME", ".cargo")
}

fn home_of(env: &Env, variable: &str, below_home: &str) -> Option<PathBuf> {
    env.path(variable)
        .map(Path::to_owned)
        .or_else(|| env.path("HOME").map(|home| home.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(env: &Env, has_toolchain: bool, offline: bool) -> BTreeMap<String, String> {
        let scratch = Scratch::create(Path::new("/tmp"), false).unwrap();
        let toolchain = ToolchainSource {
            rustup_home: rustup_home(env),
            has_file: has_toolchain,
        };
        let variables = cargo_environment(env, &scratch, &toolchain, offline);
        let inside = scratch.path().to_str().unwrap().to_owned();
        let text = |text: OsString| text.into_string().unwrap().replace(&inside, "INSIDE");
        variables
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn variables_that_name_a_directory_to_write_to_point_inside() {
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
    fn proxies_are_passed_on_but_not_wrappers_flags_and_secrets() {
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
    fn the_toolchain_file_of_the_project_overrides_the_toolchain_of_cargo_run() {
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
