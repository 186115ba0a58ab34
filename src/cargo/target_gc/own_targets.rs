//! The targets that the manifests of packages with a path declare, by cargo's rules: those that are
//! listed, and those that cargo finds (cargo book, "Target auto-discovery").
//!
//! A unit whose target is none of them cannot be built any more: its program, example or test was
//! removed or renamed, perhaps with its source still in place.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::cargo::project::manifest::CargoManifest;

/// Cargo's names of the kinds of targets in those of units, without `build-script-`.
const KINDS: [&str; 5] = ["lib", "bin", "integration-test", "example", "bench"];

/// The targets of each package, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnTargets {
    packages: BTreeMap<String, PackageTargets>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PackageTargets {
    /// Kind and crate name.
    crates: BTreeSet<(&'static str, String)>,
    has_build_script: bool,
}

/// A file or directory below a package.
pub(crate) struct PackageFile {
    pub name: String,
    /// Whether it is a directory with a `main.rs`.
    pub is_program_dir: bool,
}

/// Where cargo finds targets of a kind that are not listed: the list in the manifest, the switch
/// that turns the search off, and the directory.
struct Discovery {
    kind: &'static str,
    list: &'static str,
    switch: &'static str,
    directory: &'static str,
}

const DISCOVERIES: [Discovery; 4] = [
    Discovery {
        kind: "bin",
        list: "bin",
        switch: "autobins",
        directory: "src/bin",
    },
    Discovery {
        kind: "integration-test",
        list: "test",
        switch: "autotests",
        directory: "tests",
    },
    Discovery {
        kind: "example",
        list: "example",
        switch: "autoexamples",
        directory: "examples",
    },
    Discovery {
        kind: "bench",
        list: "bench",
        switch: "autobenches",
        directory: "benches",
    },
];

impl OwnTargets {
    /// Adds the targets of a manifest. `list` lists a directory of the package, and is empty if it
    /// does not exist.
    pub(crate) fn add(
        &mut self,
        manifest: &CargoManifest,
        list: &dyn Fn(&str) -> Vec<PackageFile>,
    ) {
        let Some(package) = manifest.name() else {
            return;
        };
        let table = manifest.table();
        // Two workspaces can have packages of the same name.
        let targets = self.packages.entry(package.to_owned()).or_default();
        let in_src = list("src");
        let in_src = names(&in_src);
        let library = table.get("lib").and_then(Value::as_table);
        if library.is_some() || in_src.contains("lib.rs") {
            let name = library.and_then(|library| library.get("name")?.as_str());
            targets.add("lib", name.unwrap_or(package));
        }
        for discovery in &DISCOVERIES {
            for name in listed(table, discovery.list) {
                targets.add(discovery.kind, name);
            }
            if setting(table, discovery.switch) == Some(&Value::Boolean(false)) {
                continue;
            }
            for file in list(discovery.directory) {
                let name = file.name.strip_suffix(".rs");
                if let Some(name) = name.or_else(|| file.is_program_dir.then_some(&*file.name)) {
                    targets.add(discovery.kind, name);
                }
            }
            if discovery.kind == "bin" && in_src.contains("main.rs") {
                targets.add("bin", package);
            }
        }
        targets.has_build_script |= match setting(table, "build") {
            Some(Value::Boolean(is_on)) => *is_on,
            Some(_) => true,
            None => names(&list("")).contains("build.rs"),
        };
    }

    /// Whether a unit can be one of the packages: its package is not known, or it has the target.
    pub(crate) fn allow(&self, package: &str, unit: &str) -> bool {
        let Some(package) = self.packages.get(package) else {
            return true;
        };
        let target = target_of(unit);
        if target.starts_with("build-script-") {
            return package.has_build_script;
        }
        let mut kinds = KINDS.iter().filter_map(|kind| {
            let name = target.strip_prefix(kind)?.strip_prefix('-')?;
            Some(package.crates.contains(&(*kind, crate_of(name))))
        });
        kinds.next().unwrap_or(true)
    }

    /// The crates that can have documentation.
    pub(crate) fn documented(&self) -> impl Iterator<Item = &str> {
        let crates = self.packages.values().flat_map(|package| &package.crates);
        let documented = crates.filter(|(kind, _)| matches!(*kind, "lib" | "bin" | "example"));
        documented.map(|(_, name)| &**name)
    }
}

impl PackageTargets {
    fn add(&mut self, kind: &'static str, name: &str) {
        self.crates.insert((kind, crate_of(name)));
    }
}

/// The name of a unit without what is done with its target: `test-bin-app` gives `bin-app`.
pub(crate) fn target_of(unit: &str) -> &str {
    let mut prefixes = ["test-", "doc-", "run-"].iter();
    prefixes
        .find_map(|prefix| unit.strip_prefix(prefix))
        .unwrap_or(unit)
}

pub(crate) fn crate_of(name: &str) -> String {
    name.replace('-', "_")
}

fn names(files: &[PackageFile]) -> BTreeSet<&str> {
    files.iter().map(|file| &*file.name).collect()
}

fn listed<'t>(table: &'t Table, list: &str) -> impl Iterator<Item = &'t str> {
    let targets = table.get(list).and_then(Value::as_array);
    let targets = targets.into_iter().flatten();
    targets.filter_map(|target| target.get("name")?.as_str())
}

fn setting<'t>(table: &'t Table, name: &str) -> Option<&'t Value> {
    table.get("package")?.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(manifest: &str, files: &[&str]) -> OwnTargets {
        let list = |directory: &str| {
            let below = |file: &&str| {
                let rest = match directory {
                    "" => file,
                    _ => file.strip_prefix(directory)?.strip_prefix('/')?,
                };
                let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
                Some(PackageFile {
                    name: name.to_owned(),
                    is_program_dir: rest == "main.rs",
                })
            };
            files.iter().filter_map(below).collect()
        };
        let manifest = CargoManifest::parse(manifest.as_bytes()).unwrap();
        let mut targets = OwnTargets::default();
        targets.add(&manifest, &list);
        targets
    }

    const FILES: [&str; 9] = [
        "build.rs",
        "src/lib.rs",
        "src/main.rs",
        "src/bin/one.rs",
        "src/bin/two/main.rs",
        "src/bin/part/mod.rs",
        "tests/outer.rs",
        "examples/try-it.rs",
        "benches/speed.rs",
    ];

    #[test]
    fn targets_are_found_where_cargo_finds_them() {
        let found = targets("[package]\nname = 'my-app'\n", &FILES);
        for (unit, expected) in [
            ("lib-my_app", true),
            ("lib-my-app", true),
            ("test-lib-my_app", true),
            ("doc-lib-my_app", true),
            ("lib-other", false),
            ("bin-my-app", true),
            ("test-bin-one", true),
            ("bin-two", true),
            ("bin-part", false),
            ("test-integration-test-outer", true),
            ("test-integration-test-removed", false),
            ("example-try-it", true),
            ("example-removed", false),
            ("test-bench-speed", true),
            ("build-script-build-script-build", true),
            ("run-build-script-build-script-build", true),
            ("unknown-kind", true),
        ] {
            assert_eq!(found.allow("my-app", unit), expected, "{unit}");
            assert!(found.allow("other", unit));
        }
        let documented: BTreeSet<&str> = found.documented().collect();
        assert_eq!(
            documented.into_iter().collect::<Vec<_>>(),
            ["my_app", "one", "try_it", "two"]
        );
    }

    #[test]
    fn the_manifest_lists_targets_and_turns_the_search_off() {
        let found = targets(
            "[package]\nname = 'app'\nautobins = false\nautoexamples = false\nbuild = false\n\
             [lib]\nname = 'renamed'\n[[bin]]\nname = 'tool'\npath = 'src/main.rs'\n",
            &FILES,
        );
        for (unit, expected) in [
            ("lib-renamed", true),
            ("lib-app", false),
            ("bin-tool", true),
            ("bin-one", false),
            ("example-try-it", false),
            ("test-integration-test-outer", true),
            ("run-build-script-build-script-build", false),
        ] {
            assert_eq!(found.allow("app", unit), expected, "{unit}");
        }
    }
}
