//! The directories that replace a registry (Cargo book, "Source Replacement").
//!
//! Cargo compares the times of the files of a directory source, like those of packages with a path.
//! A local registry needs no such care: it holds archives, whose checksums are in Cargo.lock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Value;

use crate::cargo::project::canonical_toml as canonical;
use crate::cargo::project::canonical_toml::table;
use crate::cargo::project::facts::ProjectFile;
use crate::cargo::project::workspace::normalize_path;

/// The directory sources that replace another source, also by way of others, in the order of their
/// names. `configs` are in the order of precedence.
pub(crate) fn directories(configs: &[ProjectFile]) -> Vec<PathBuf> {
    replacing(configs, "directory")
}

/// The same for local registries.
pub(crate) fn local_registries(configs: &[ProjectFile]) -> Vec<PathBuf> {
    replacing(configs, "local-registry")
}

/// The paths that sources have under the key `kind`.
fn replacing(configs: &[ProjectFile], kind: &str) -> Vec<PathBuf> {
    let mut replacements: BTreeMap<String, String> = BTreeMap::new();
    let mut directories: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in configs {
        let Some(base) = file.path.parent().and_then(Path::parent) else {
            continue;
        };
        // A file that can't be parsed is reported with the keys.
        let config = canonical::parse(&file.bytes).unwrap_or_default();
        for (name, source) in table(&config, "source").into_iter().flatten() {
            let setting = |key: &str| source.get(key).and_then(Value::as_str);
            if let Some(other) = setting("replace-with") {
                let replacement = replacements.entry(name.clone());
                replacement.or_insert_with(|| other.to_owned());
            }
            if let Some(directory) = setting(kind) {
                let directory = normalize_path(&base.join(directory));
                directories.entry(name.clone()).or_insert(directory);
            }
        }
    }
    let used: BTreeSet<&String> = replacements.values().collect();
    let used = directories.iter().filter(|(name, _)| used.contains(name));
    used.map(|(_, directory)| directory.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(configs: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| ProjectFile {
            path: PathBuf::from(path),
            bytes: text.as_bytes().to_vec(),
        };
        let configs: Vec<ProjectFile> = configs.iter().map(file).collect();
        let directories = directories(&configs);
        directories
            .iter()
            .map(|directory| directory.display().to_string())
            .collect()
    }

    const VENDOR: &str = "[source.crates-io]\nreplace-with = 'v'\n[source.v]\ndirectory = 'vendor'";

    #[test]
    fn a_directory_is_relative_to_the_parent_of_the_directory_of_its_file() {
        assert_eq!(found(&[("/w/.cargo/config.toml", VENDOR)]), ["/w/vendor"]);
        let absolute = VENDOR.replace("'vendor'", "'/srv/vendor'");
        assert_eq!(
            found(&[("/w/.cargo/config.toml", &absolute)]),
            ["/srv/vendor"]
        );
    }

    #[test]
    fn a_local_registry_is_no_directory_of_packages() {
        let local = VENDOR.replace("directory", "local-registry");
        let file = ProjectFile {
            path: "/w/.cargo/config.toml".into(),
            bytes: local.clone().into_bytes(),
        };
        assert_eq!(local_registries(&[file]), [Path::new("/w/vendor")]);
        assert!(found(&[("/w/.cargo/config.toml", &local)]).is_empty());
    }

    #[test]
    fn replacements_form_chains_over_several_files() {
        let near = "[source.crates-io]\nreplace-with = 'mirror'";
        let far = "[source.mirror]\nregistry = 'https://example.org'\nreplace-with = 'v'\n\
                   [source.v]\ndirectory = '../v'";
        assert_eq!(
            found(&[
                ("/a/w/.cargo/config.toml", near),
                ("/a/.cargo/config.toml", far)
            ]),
            ["/v"]
        );
    }

    #[test]
    fn the_nearest_file_decides_and_unused_directories_do_not_count() {
        let far = VENDOR.replace("'vendor'", "'other'") + "\n[source.unused]\ndirectory = 'x'";
        assert_eq!(
            found(&[
                ("/a/w/.cargo/config.toml", VENDOR),
                ("/a/.cargo/config.toml", &far)
            ]),
            ["/a/w/vendor"]
        );
    }

    #[test]
    fn other_sources_and_broken_files_have_no_directories() {
        let local = VENDOR.replace("directory", "local-registry");
        assert!(found(&[("/w/.cargo/config.toml", &local)]).is_empty());
        assert!(found(&[("/w/.cargo/config.toml", "[source.v")]).is_empty());
        assert!(found(&[("/w/.cargo/config.toml", "source = 1")]).is_empty());
    }
}
