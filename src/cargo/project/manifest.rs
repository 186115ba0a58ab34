//! The parts of a Cargo.toml that affect downloads and builds.
//!
//! Everything else (version, authors, description, lints, metadata, targets of the package itself)
//! is ignored: cargo detects such changes itself, and the caches stay useful. A path dependency is
//! a directory and not a download, so its path and version are ignored too. A release that raises
//! all versions of a workspace changes no key.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::cargo::project::canonical_toml as canonical;
use crate::cargo::project::canonical_toml::{insert, only, table, texts};

#[derive(Clone, Debug)]
pub(crate) struct CargoManifest {
    table: Table,
}

/// The tables that list dependencies, each with its older spelling.
const DEPENDENCIES: [[&str; 2]; 3] = [
    ["dependencies", "dependencies"],
    ["dev-dependencies", "dev_dependencies"],
    ["build-dependencies", "build_dependencies"],
];

impl CargoManifest {
    /// The error is one line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        Ok(Self {
            table: canonical::parse(bytes)?,
        })
    }

    /// `None` for a workspace without a root package.
    pub(crate) fn name(&self) -> Option<&str> {
        table(&self.table, "package")?.get("name")?.as_str()
    }

    /// All of it.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn workspace(&self) -> Option<&Table> {
        table(&self.table, "workspace")
    }

    /// The setting `package.workspace`: the directory of the workspace's root.
    pub(crate) fn workspace_path(&self) -> Option<&str> {
        table(&self.table, "package")?.get("workspace")?.as_str()
    }

    /// A list below `[workspace]` of directories and patterns: `members`, `default-members` or
    /// `exclude`.
    pub(crate) fn listed(&self, key: &str) -> Vec<String> {
        texts(self.workspace().and_then(|workspace| workspace.get(key)))
    }

    /// The directories of path dependencies, relative to this manifest's directory.
    pub(crate) fn path_dependencies(&self) -> BTreeSet<String> {
        let all = self.dependency_tables();
        let inherited = self
            .workspace()
            .and_then(|workspace| table(workspace, "dependencies"));
        all.chain(inherited)
            .flat_map(|dependencies| dependencies.values())
            .filter_map(|dependency| Some(dependency.get("path")?.as_str()?.to_owned()))
            .collect()
    }

    fn dependency_tables(&self) -> impl Iterator<Item = &Table> {
        let targets = table(&self.table, "target").into_iter().flatten();
        std::iter::once(&self.table)
            .chain(targets.filter_map(|(_, target)| target.as_table()))
            .flat_map(|of| {
                DEPENDENCIES.iter().flat_map(move |[new, old]| {
                    [
                        table(of, new),
                        (new != old).then(|| table(of, old)).flatten(),
                    ]
                })
            })
            .flatten()
    }

    /// What determines which packages are downloaded if there is no Cargo.lock. Patches of
    /// `members` do not count.
    pub(crate) fn resolution(&self, members: &BTreeSet<String>) -> String {
        let mut kept = dependencies(&self.table);
        insert(
            &mut kept,
            "package",
            self.package(&["edition", "rust-version", "resolver"]),
        );
        let is_member = |name: &str| members.contains(name);
        insert(
            &mut kept,
            "patch",
            patches(&self.table, &is_member).unwrap_or_default(),
        );
        let replaced: Table = table(&self.table, "replace")
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| without_path(name, value))
            .collect();
        insert(&mut kept, "replace", replaced);
        insert(
            &mut kept,
            "workspace",
            self.inherited(&["edition", "rust-version"]),
        );
        canonical::text(&kept)
    }

    /// What determines how packages are built, beside the Cargo.lock.
    pub(crate) fn build(&self) -> String {
        let mut kept = dependencies(&self.table);
        kept.extend(only(&self.table, &["cargo-features", "profile"]));
        if let Some(features) = table(&self.table, "features") {
            let features = features
                .iter()
                .map(|(name, list)| (name.clone(), sorted(list)));
            insert(&mut kept, "features", features.collect());
        }
        insert(
            &mut kept,
            "package",
            self.package(&["name", "edition", "links", "build", "resolver"]),
        );
        insert(&mut kept, "workspace", self.inherited(&["edition"]));
        canonical::text(&kept)
    }

    fn package(&self, keys: &[&str]) -> Table {
        table(&self.table, "package").map_or_else(Table::new, |package| only(package, keys))
    }

    /// What members inherit from `[workspace]`.
    fn inherited(&self, keys: &[&str]) -> Table {
        let Some(workspace) = self.workspace() else {
            return Table::new();
        };
        let mut kept = dependencies(workspace);
        kept.extend(only(workspace, &["resolver"]));
        if let Some(package) = table(workspace, "package") {
            insert(&mut kept, "package", only(package, keys));
        }
        kept
    }
}

/// The dependency tables of a manifest and of its targets.
fn dependencies(of: &Table) -> Table {
    let mut kept = Table::new();
    for [new, old] in DEPENDENCIES {
        if let Some(list) = table(of, new).or_else(|| table(of, old)) {
            let list = list
                .iter()
                .map(|(name, value)| (name.clone(), dependency(value)));
            insert(&mut kept, new, list.collect());
        }
    }
    if let Some(targets) = table(of, "target") {
        let targets = targets.iter().filter_map(|(name, target)| {
            let kept = dependencies(target.as_table()?);
            (!kept.is_empty()).then(|| (name.clone(), Value::Table(kept)))
        });
        insert(&mut kept, "target", targets.collect());
    }
    kept
}

/// `name = "1"` becomes `name = { version = "1" }`.
fn dependency(value: &Value) -> Value {
    let Value::Table(table) = value else {
        return Value::Table(Table::from_iter([("version".to_owned(), value.clone())]));
    };
    let mut kept = Table::new();
    for (key, value) in table {
        let (key, value) = match key.as_str() {
            "path" => continue,
            "version" if table.contains_key("path") => continue,
            "features" if value.as_array().is_some_and(Vec::is_empty) => continue,
            "default_features" => ("default-features", value.clone()),
            "features" => ("features", sorted(value)),
            other => (other, value.clone()),
        };
        kept.insert(key.to_owned(), value);
    }
    Value::Table(kept)
}

/// Sorts a list whose order has no meaning.
fn sorted(list: &Value) -> Value {
    match list {
        Value::Array(items) if items.iter().all(Value::is_str) => {
            let set: BTreeSet<&str> = items.iter().filter_map(Value::as_str).collect();
            Value::Array(
                set.into_iter()
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// `[patch]` without the entries that name directories or members: builds add and remove these, and
/// nothing is downloaded for them.
pub(crate) fn patches(of: &Table, is_member: &dyn Fn(&str) -> bool) -> Option<Table> {
    let sources = table(of, "patch")?.iter().filter_map(|(source, patches)| {
        let kept: Table = patches
            .as_table()?
            .iter()
            .filter(|(name, value)| {
                let package = value.get("package").and_then(Value::as_str);
                !is_member(package.unwrap_or(name))
            })
            .filter_map(|(name, value)| without_path(name, value))
            .collect();
        (!kept.is_empty()).then(|| (source.clone(), Value::Table(kept)))
    });
    Some(sources.collect())
}

/// The directories that `[patch]` and `[replace]` of a manifest, or `[patch]` of a configuration
/// file, substitute for packages. They are relative to the file. Empty if it can't be parsed.
pub(crate) fn substitutes(bytes: &[u8]) -> Vec<String> {
    let Ok(parsed) = canonical::parse(bytes) else {
        return Vec::new();
    };
    let patched = table(&parsed, "patch")
        .into_iter()
        .flatten()
        .filter_map(|(_, source)| source.as_table());
    let replaced = table(&parsed, "replace");
    let entries = patched.chain(replaced).flatten();
    entries
        .filter_map(|(_, entry)| Some(entry.get("path")?.as_str()?.to_owned()))
        .collect()
}

fn without_path(name: &str, value: &Value) -> Option<(String, Value)> {
    value
        .get("path")
        .is_none()
        .then(|| (name.to_owned(), dependency(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts_of(manifest: &str) -> (String, String) {
        let manifest = CargoManifest::parse(manifest.as_bytes()).unwrap();
        (
            manifest.resolution(&BTreeSet::from(["member".to_owned()])),
            manifest.build(),
        )
    }

    const BASE: &str = r#"
[package]
name = "a"
version = "0.1.0"
edition = "2021"
[features]
default = ["x", "y"]
[dependencies]
serde = { version = "1", features = ["derive", "std"] }
own = { path = "../own", version = "0.1.0" }
"#;

    #[test]
    fn spelling_and_descriptions_change_neither_text() {
        let other = r#"
# a comment
[dependencies.serde]
features = ["std", "derive", "std"]
version = "1"
[dependencies]
own.path = "../moved"
own.version = "7.0.0"
[features]
default = ["y", "x"]
[lints.rust]
unsafe_code = "deny"
[[bin]]
name = "tool"
path = "src/tool.rs"
[package]
edition = "2021"
name = "a"
version = "7.0.0"
authors = ["me"]
description = "more"
license = "MIT"
metadata.x = 1
publish = false
[dev-dependencies]
"#;
        assert_eq!(texts_of(other), texts_of(BASE));
    }

    /// A line added to the base, and whether it changes what is downloaded and what is built.
    const CHANGES: [(&str, bool, bool); 17] = [
        ("[dependencies.rand]\nversion = '0.9'", true, true),
        ("[dev-dependencies]\nrand = '0.9'", true, true),
        ("[build-dependencies]\nrand = '0.9'", true, true),
        (
            "[target.'cfg(unix)'.dependencies]\nlibc = '0.2'",
            true,
            true,
        ),
        ("[workspace.dependencies]\nlibc = '0.2'", true, true),
        (
            "[patch.crates-io]\nserde = { git = 'https://example.org/serde' }",
            true,
            false,
        ),
        (
            "[patch.crates-io]\nserde = { path = '../serde' }",
            false,
            false,
        ),
        (
            "[patch.crates-io]\nmember = { git = 'https://example.org/member' }",
            false,
            false,
        ),
        (
            "[patch.crates-io]\nm = { package = 'member', git = 'https://example.org/member' }",
            false,
            false,
        ),
        (
            "[replace]\n'serde:1.0.0' = { git = 'https://example.org/serde' }",
            true,
            false,
        ),
        (
            "[replace]\n'serde:1.0.0' = { path = '../serde' }",
            false,
            false,
        ),
        ("[profile.release]\nlto = true", false, true),
        ("[workspace]\nresolver = '3'", true, true),
        ("[workspace]\nmembers = ['b']", false, false),
        ("[workspace.package]\nversion = '2.0.0'", false, false),
        ("[workspace.package]\nrust-version = '1.80'", true, false),
        ("[lints.clippy]\nall = 'warn'", false, false),
    ];

    #[test]
    fn each_change_counts_where_it_matters() {
        let (resolution, build) = texts_of(BASE);
        for (change, downloads, builds) in CHANGES {
            let (other_resolution, other_build) = texts_of(&format!("{BASE}{change}\n"));
            assert_eq!(
                (other_resolution != resolution, other_build != build),
                (downloads, builds),
                "{change}"
            );
        }
    }

    #[test]
    fn changes_of_a_value_count_where_they_matter() {
        let (resolution, build) = texts_of(BASE);
        for (from, to, downloads, builds) in [
            ("\"1\"", "\"1.2\"", true, true),
            ("\"derive\", ", "", true, true),
            ("[\"x\", \"y\"]", "[\"x\"]", false, true),
            ("2021", "2024", true, true),
            ("name = \"a\"", "name = \"b\"", false, true),
            ("edition", "links = \"z\"\nedition", false, true),
            ("edition", "build = \"make.rs\"\nedition", false, true),
            (
                "version = \"0.1.0\"\nedition",
                "version = \"0.2.0\"\nedition",
                false,
                false,
            ),
            ("path = \"../own\", ", "", true, true),
            ("[dependencies]", "z = []\n[dependencies]", false, true),
        ] {
            assert!(BASE.contains(from), "{from}");
            let (other_resolution, other_build) = texts_of(&BASE.replacen(from, to, 1));
            assert_eq!(
                (other_resolution != resolution, other_build != build),
                (downloads, builds),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn short_and_long_forms_are_one() {
        let short = texts_of(
            "[dependencies]\na = '1'\n[dev_dependencies]\nb = { version = '1', default_features = false }\n",
        );
        let long = texts_of(
            "[dependencies.a]\nversion = '1'\n[dev-dependencies.b]\nversion = '1'\ndefault-features = false\n",
        );
        assert_eq!(short, long);
    }

    #[test]
    fn dependencies_with_a_path_are_found_in_every_table() {
        let manifest = CargoManifest::parse(
            b"[dependencies]\na = { path = 'a' }\nx = '1'\n[build-dependencies]\nb = { path = 'b' }\n\
              [target.'cfg(unix)'.dev-dependencies]\nc = { path = '../c' }\n\
              [workspace.dependencies]\nd = { path = 'd' }\n[patch.crates-io]\ne = { path = 'e' }\n",
        )
        .unwrap();
        assert_eq!(
            manifest.path_dependencies().into_iter().collect::<Vec<_>>(),
            ["../c", "a", "b", "d"]
        );
    }
}
