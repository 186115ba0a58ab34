//! The downloads in cargo's registry and git directories that the lock files do not need.
//!
//! For a needed package, the archive (`.crate`), the unpacked sources and the cached entry of a
//! sparse index are kept.
//!
//! The archive is required: without it cargo downloads it again even if the sources exist. The
//! sources are optional, because cargo unpacks the archive, but unpacking takes longer than
//! restoring. Measured with 354 packages (17,313 files) into an empty `CARGO_HOME` on ext4, two
//! cores, medians of three alternating runs:
//!
//! | kept | restore | `cargo fetch --offline` | both | in the store |
//! | --- | --- | --- | --- | --- |
//! | archives and sources | 0.79 s | 0.43 s | 1.25 s | 411 MB |
//! | archives only | 0.09 s | 3.18 s | 3.27 s | 75 MB |
//!
//! The store has each version of a package only once, so the size of the sources does not grow with
//! the number of entries. A `CARGO_HOME` that stays on the disk is only compared.
//!
//! An index that is a git repository is kept completely.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::cargo::target_gc::locked_packages::{LockedPackages, directory_name};
use crate::glob::Filter;

/// A filter for `registry` and `git` of a `CARGO_HOME`. Unknown names are included. `submodules` are
/// the names of repositories that no lock file names.
pub fn downloads_filter(
    cargo_home: PathBuf,
    needed: LockedPackages,
    submodules: BTreeSet<String>,
) -> impl Fn(&Path, bool) -> Filter + Send + Sync + 'static {
    move |path, is_directory| {
        let Some(names) = path.strip_prefix(&cargo_home).ok().and_then(names) else {
            return Filter::Include;
        };
        let keep = match *names {
            ["registry", "cache", _, archive] => archive
                .strip_suffix(".crate")
                .is_none_or(|package| needed.has_version(package)),
            ["registry", "src", _, package] => !is_directory || needed.has_version(package),
            ["registry", "index", _, ".cache", .., name] if !is_directory => needed.has_name(name),
            ["registry", "index", _, ".cache", _, ..] => return Filter::IncludeIfNonEmpty,
            ["git", "db", repository] => {
                !is_directory
                    || needed.has_repository(repository)
                    || submodules.contains(&directory_name(repository))
            }
            ["git", "checkouts", repository]
                if is_directory && needed.has_repository(repository) =>
            {
                return Filter::IncludeIfNonEmpty;
            }
            ["git", "checkouts", _] => !is_directory,
            ["git", "checkouts", repository, commit] => {
                !is_directory || needed.has_checkout(repository, commit)
            }
            _ => true,
        };
        if keep {
            Filter::Include
        } else {
            Filter::Exclude
        }
    }
}

/// `None` if a name is not UTF-8. Cargo creates no such names.
fn names(path: &Path) -> Option<Vec<&str>> {
    path.components()
        .map(|component| match component {
            Component::Normal(name) => OsStr::to_str(name),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::project::lockfile::Lockfile;

    const LOCK: &str = r#"
[[package]]
name = "Inflector"
version = "1.0.0"
source = "registry+https://example.org/index"
[[package]]
name = "serde-x"
version = "1.0.1+meta"
source = "sparse+https://example.org/index/"
[[package]]
name = "dep"
version = "0.2.0"
source = "git+https://example.org/Owner/Dep-Lib.git?rev=0123456#0123456789abcdef0123456789abcdef01234567"
"#;

    #[test]
    fn only_packages_of_the_lock_file_are_kept() {
        let needed = LockedPackages::of(&[Lockfile::parse(LOCK.as_bytes()).unwrap()]);
        let submodules = BTreeSet::from(["sub-x".to_owned()]);
        let filter = downloads_filter(PathBuf::from("/home/.cargo"), needed, submodules);
        for (path, expected) in [
            ("registry/cache/r-1/Inflector-1.0.0.crate", Filter::Include),
            ("registry/cache/r-1/Inflector-0.9.0.crate", Filter::Exclude),
            (
                "registry/cache/r-1/serde-x-1.0.1+meta.crate",
                Filter::Include,
            ),
            ("registry/cache/r-2/serde-1.0.1.crate", Filter::Exclude),
            ("registry/cache/r-2/other", Filter::Include),
            ("registry/src/r-1/serde-x-1.0.1+meta/", Filter::Include),
            (
                "registry/src/r-1/serde-x-1.0.1+meta/serde-1.0.0/",
                Filter::Include,
            ),
            ("registry/src/r-1/serde-x-1.0.0/", Filter::Exclude),
            ("registry/index/r-1/config.json", Filter::Include),
            ("registry/index/r-1/.git/", Filter::Include),
            ("registry/index/r-1/.cache/", Filter::Include),
            ("registry/index/r-1/.cache/in/", Filter::IncludeIfNonEmpty),
            ("registry/index/r-1/.cache/in/fl/inflector", Filter::Include),
            ("registry/index/r-1/.cache/se/rd/serde-x", Filter::Include),
            ("registry/index/r-1/.cache/se/rd/serde", Filter::Exclude),
            ("registry/CACHEDIR.TAG", Filter::Include),
            ("git/db/dep-lib-0011223344556677/", Filter::Include),
            ("git/db/other-0011223344556677/", Filter::Exclude),
            ("git/db/Sub-X-0011223344556677/", Filter::Include),
            ("git/checkouts/Sub-X-0011223344556677/", Filter::Exclude),
            (
                "git/checkouts/dep-lib-0011223344556677/",
                Filter::IncludeIfNonEmpty,
            ),
            (
                "git/checkouts/dep-lib-0011223344556677/0123456/",
                Filter::Include,
            ),
            (
                "git/checkouts/dep-lib-0011223344556677/7654321/",
                Filter::Exclude,
            ),
            ("git/checkouts/other-0011223344556677/", Filter::Exclude),
            ("git/CACHEDIR.TAG", Filter::Include),
            ("bin/tool", Filter::Include),
        ] {
            let is_directory = path.ends_with('/');
            assert_eq!(
                filter(&Path::new("/home/.cargo").join(path), is_directory),
                expected,
                "{path}"
            );
        }
        assert_eq!(
            filter(
                Path::new("/elsewhere/registry/cache/r/a-1.0.0.crate"),
                false
            ),
            Filter::Include
        );
    }
}
