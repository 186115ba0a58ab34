//! The toolchain that cargo uses, by the rules of rustup, without running anything.
//!
//! rustup uses the first of ([rustup book, "Overrides"]): `RUSTUP_TOOLCHAIN`; the nearest override
//! or toolchain file, from the directory upwards, the override first; the default. `cargo +NAME` is
//! not visible here.
//!
//! [rustup book, "Overrides"]: https://rust-lang.github.io/rustup/overrides.html

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::canonical_toml as canonical;
use crate::cargo::project::canonical_toml::{first_line, only, table, texts};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolchainFile {
    pub(crate) channel: Option<String>,
    /// May be relative to the file.
    pub(crate) path: Option<String>,
    /// The settings that affect the toolchain, in canonical form.
    pub(crate) normalized: String,
}

impl ToolchainFile {
    /// Parses `rust-toolchain` or `rust-toolchain.toml`. Only the first may be a single line. The
    /// error is one line.
    pub(crate) fn parse(bytes: &[u8], may_be_a_line: bool) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut lines = text.trim().lines();
        if let (true, Some(line), None) = (may_be_a_line, lines.next(), lines.next()) {
            return Ok(Self::from_channel(line.trim()));
        }
        Self::from_toml(&canonical::parse(bytes)?)
    }

    fn from_channel(channel: &str) -> Self {
        let settings = Table::from_iter([("channel".to_owned(), Value::from(channel))]);
        Self {
            channel: Some(channel.to_owned()),
            path: None,
            normalized: canonical::text(&settings),
        }
    }

    fn from_toml(file: &Table) -> Result<Self, String> {
        let toolchain = table(file, "toolchain").ok_or("it has no table [toolchain]")?;
        let string = |key| {
            toolchain
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let mut settings = only(toolchain, &["channel", "path", "profile"]);
        for key in ["components", "targets"] {
            let list: BTreeSet<String> = texts(toolchain.get(key)).into_iter().collect();
            if !list.is_empty() {
                let list = list.into_iter().map(Value::String).collect();
                settings.insert(key.to_owned(), Value::Array(list));
            }
        }
        Ok(Self {
            channel: string("channel"),
            path: string("path"),
            normalized: canonical::text(&settings),
        })
    }

    /// The toolchain that the file at `path` selects. `path` takes precedence over `channel`.
    fn spec(&self, path: &Path) -> Option<ToolchainSpec> {
        match (&self.path, &self.channel) {
            (Some(directory), _) => Some(ToolchainSpec::Directory(
                path.parent().unwrap_or(Path::new("/")).join(directory),
            )),
            (None, Some(channel)) => Some(spec_of(channel)),
            (None, None) => None,
        }
    }
}

/// The file `settings.toml` of rustup.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct RustupSettings {
    /// Used if nothing else selects a toolchain.
    pub(crate) default_toolchain: Option<String>,
    pub(crate) default_host_triple: Option<String>,
    #[serde(default)]
    pub(crate) overrides: BTreeMap<PathBuf, String>,
}

impl RustupSettings {
    /// The error is one line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        toml::from_str(text).map_err(|error| first_line(error.message()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolchainSpec {
    /// A channel, a version, or the name of a linked toolchain.
    Name(String),
    Directory(PathBuf),
}

/// The selected toolchain, and the setting that selected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolchainChoice {
    pub(crate) spec: ToolchainSpec,
    pub(crate) origin: ComponentOrigin,
}

/// A directory and the toolchain file in it.
pub(crate) type OverrideLevel<'l> = (&'l Path, Option<(&'l Path, &'l ToolchainFile)>);

/// Selects a toolchain in rustup's order. `levels` start at the project and go upwards. A file that
/// names no toolchain leaves the choice to the default.
pub(crate) fn choose<'l>(
    variable: Option<&str>,
    levels: impl IntoIterator<Item = OverrideLevel<'l>>,
    settings: &RustupSettings,
    settings_path: &Path,
) -> Option<ToolchainChoice> {
    if let Some(name) = variable.filter(|name| !name.is_empty()) {
        return Some(ToolchainChoice {
            spec: spec_of(name),
            origin: ComponentOrigin::Variable("RUSTUP_TOOLCHAIN".to_owned()),
        });
    }
    let from_settings = |name: &str| ToolchainChoice {
        spec: spec_of(name),
        origin: ComponentOrigin::File(settings_path.to_owned()),
    };
    for (directory, file) in levels {
        if let Some(name) = settings.overrides.get(directory) {
            return Some(from_settings(name));
        }
        let Some((path, file)) = file else { continue };
        let Some(spec) = file.spec(path) else { break };
        return Some(ToolchainChoice {
            spec,
            origin: ComponentOrigin::File(path.to_owned()),
        });
    }
    let default = settings.default_toolchain.as_deref();
    default.filter(|name| *name != "none").map(from_settings)
}

/// rustup accepts an absolute path wherever it accepts a name, except in a toolchain file.
fn spec_of(name: &str) -> ToolchainSpec {
    if name.starts_with('/') {
        ToolchainSpec::Directory(name.into())
    } else {
        ToolchainSpec::Name(name.to_owned())
    }
}

/// The installed toolchain for a name: the name itself, or completed with the triple of this
/// machine.
pub(crate) fn find_installed<'t>(
    name: &str,
    toolchains: &'t [String],
    triple: Option<&str>,
    arch: &str,
) -> Option<&'t str> {
    let find = |wanted: &str| {
        toolchains
            .iter()
            .map(String::as_str)
            .find(|toolchain| *toolchain == wanted)
    };
    find(name)
        .or_else(|| find(&format!("{name}-{}", triple?)))
        .or_else(|| {
            let prefix = format!("{name}-{arch}-");
            toolchains
                .iter()
                .map(String::as_str)
                .find(|toolchain| toolchain.starts_with(&prefix))
        })
}

/// The driver library among the names of files, which identifies the build of a compiler:
/// `librustc_driver-6108105cd7e839cf.so`. Its digits are a digest over the compiler's own crates
/// and flags. Several are joined; the file extensions of the platforms are dropped.
pub(crate) fn driver(names: &[String]) -> Option<(String, String)> {
    let build_id = |name: &str| {
        let (stem, extension) = name.split_once('.')?;
        let id = stem.strip_prefix("lib").unwrap_or(stem);
        (matches!(extension, "so" | "dylib" | "dll") && id.starts_with("rustc_driver-"))
            .then(|| id.to_owned())
    };
    let mut found: Vec<(String, &String)> = names
        .iter()
        .filter_map(|name| Some((build_id(name)?, name)))
        .collect();
    found.sort_unstable();
    let file = found.first()?.1.clone();
    Some((
        found
            .into_iter()
            .map(|(id, _)| id)
            .collect::<Vec<_>>()
            .join("+"),
        file,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, may_be_a_line: bool) -> Result<(Option<String>, Option<String>), String> {
        ToolchainFile::parse(text.as_bytes(), may_be_a_line).map(|file| (file.channel, file.path))
    }

    #[test]
    fn a_toolchain_file_is_a_line_or_toml() {
        let channel = |name: &str| Ok((Some(name.to_owned()), None));
        assert_eq!(file("stable", true), channel("stable"));
        assert_eq!(
            file("\n  nightly-2025-01-01  \n", true),
            channel("nightly-2025-01-01")
        );
        assert_eq!(
            file("[toolchain]\nchannel = \"1.90\"\n", true),
            channel("1.90")
        );
        assert_eq!(file("toolchain.channel = '1.90'", false), channel("1.90"));
        assert_eq!(
            file("[toolchain]\npath = 'rust'", false),
            Ok((None, Some("rust".to_owned())))
        );
        assert_eq!(
            file("[toolchain]\ncomponents = ['rustfmt']", false),
            Ok((None, None))
        );
    }

    #[test]
    fn a_broken_toolchain_file_is_an_error_of_one_line() {
        for (text, may_be_a_line) in [
            ("stable", false),
            ("", true),
            ("", false),
            ("a\nb", true),
            ("[x]\ny = 1", true),
        ] {
            let error = file(text, may_be_a_line).unwrap_err();
            assert!(
                !error.is_empty() && !error.contains('\n'),
                "{text:?}: {error:?}"
            );
        }
    }

    #[test]
    fn both_forms_of_a_toolchain_file_mean_the_same_and_lists_have_no_order() {
        let text = |text: &str| {
            ToolchainFile::parse(text.as_bytes(), true)
                .unwrap()
                .normalized
        };
        assert_eq!(
            text("1.90\n"),
            text("[toolchain]\nchannel = '1.90' # pinned\n")
        );
        assert_eq!(
            text("[toolchain]\ncomponents = ['b', 'a']\nchannel = 'stable'"),
            text("[toolchain]\nchannel = 'stable'\ncomponents = ['a', 'b', 'a']")
        );
        assert_ne!(
            text("[toolchain]\ntargets = ['a']"),
            text("[toolchain]\ntargets = ['b']")
        );
    }

    fn chosen(
        variable: Option<&str>,
        overrides: &[(&str, &str)],
        files: &[(&str, &str)],
        default: &str,
    ) -> String {
        let settings = RustupSettings {
            default_toolchain: Some(default.to_owned()),
            default_host_triple: None,
            overrides: overrides
                .iter()
                .map(|&(at, name)| (at.into(), name.to_owned()))
                .collect(),
        };
        let files: Vec<(PathBuf, ToolchainFile)> = files
            .iter()
            .map(|(at, text)| {
                (
                    Path::new(at).join("rust-toolchain"),
                    ToolchainFile::parse(text.as_bytes(), true).unwrap(),
                )
            })
            .collect();
        let levels = Path::new("/w/app").ancestors().map(|level| {
            let file = files.iter().find(|(path, _)| path.parent() == Some(level));
            (level, file.map(|(path, file)| (path.as_path(), file)))
        });
        match choose(variable, levels, &settings, Path::new("/settings.toml"))
            .map(|choice| choice.spec)
        {
            Some(ToolchainSpec::Name(name)) => name,
            Some(ToolchainSpec::Directory(path)) => path.display().to_string(),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn the_nearest_of_override_and_file_decides_after_the_variable_and_before_the_default() {
        let here = [("/w/app", "override")];
        let above = [("/w", "override")];
        let file = [("/w/app", "file")];
        assert_eq!(
            chosen(Some("variable"), &here, &file, "default"),
            "variable"
        );
        assert_eq!(chosen(Some(""), &here, &file, "default"), "override");
        assert_eq!(chosen(None, &above, &file, "default"), "file");
        assert_eq!(
            chosen(None, &above, &[("/", "file")], "default"),
            "override"
        );
        assert_eq!(chosen(None, &[], &[("/", "file")], "default"), "file");
        assert_eq!(
            chosen(None, &[("/other", "override")], &[], "default"),
            "default"
        );
        assert_eq!(chosen(None, &[], &[], "none"), "none");
    }

    #[test]
    fn paths_are_relative_to_their_file_and_a_file_without_a_toolchain_leaves_the_default() {
        let path = "[toolchain]\npath = 'rust'\n";
        assert_eq!(chosen(None, &[], &[("/w", path)], "default"), "/w/rust");
        assert_eq!(chosen(Some("/opt/rust"), &[], &[], "default"), "/opt/rust");
        let components = [
            ("/w/app", "[toolchain]\ncomponents = ['clippy']\n"),
            ("/w", "file"),
        ];
        assert_eq!(chosen(None, &[], &components, "default"), "default");
    }

    #[test]
    fn short_names_stand_for_the_toolchain_of_this_machine() {
        let all = [
            "1.90.0-x86_64-unknown-linux-gnu",
            "mine",
            "nightly-2025-01-01-x86_64-unknown-linux-gnu",
            "stable-aarch64-unknown-linux-gnu",
            "stable-x86_64-unknown-linux-gnu",
            "stable-x86_64-unknown-linux-musl",
        ]
        .map(str::to_owned);
        let is = |name, triple| find_installed(name, &all, triple, "x86_64");
        assert_eq!(is("stable", None), Some("stable-x86_64-unknown-linux-gnu"));
        assert_eq!(
            is("stable", Some("x86_64-unknown-linux-musl")),
            Some("stable-x86_64-unknown-linux-musl")
        );
        assert_eq!(
            is("stable-aarch64-unknown-linux-gnu", None),
            Some("stable-aarch64-unknown-linux-gnu")
        );
        assert_eq!(is("mine", None), Some("mine"));
        assert_eq!(is("nightly", None), None);
        assert_eq!(is("1.90", None), None);
    }

    #[test]
    fn a_compiler_is_known_by_the_name_of_its_driver() {
        let names = [
            "libLLVM.so",
            "librustc_driver-00aa.so",
            "rustlib",
            "libstd-1.so",
        ]
        .map(str::to_owned);
        assert_eq!(
            driver(&names),
            Some((
                "rustc_driver-00aa".to_owned(),
                "librustc_driver-00aa.so".to_owned()
            ))
        );
        assert_eq!(
            driver(&["librustc_driver-00aa.dylib".to_owned()])
                .unwrap()
                .0,
            "rustc_driver-00aa"
        );
        assert_eq!(
            driver(&[
                "librustc_driver-00aa.so.debug".to_owned(),
                "rustc".to_owned()
            ]),
            None
        );
    }
}
