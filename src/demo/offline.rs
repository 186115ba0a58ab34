//! Crates without the network: copies from the registry in the user's Cargo home.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;

use crate::error::{IoContext, Result};
use crate::fs::{Dir, FileKind, files};

/// Copies the index of a registry, and the crates that a lock file names, to another Cargo home.
/// Existing files there stay.
pub(super) fn copy_registry(from: &Path, to: &Path, lock_file: &str) -> anyhow::Result<()> {
    let index = from.join("registry/index");
    let names = files::list(&index)?;
    if names.is_empty() {
        bail!(
            "no registry in {} to copy crates from; omit --offline, or run `cargo fetch` in a project first",
            from.display()
        );
    }
    for name in names {
        copy_index(&index.join(&name), &to.join("registry/index").join(&name))?;
    }
    copy_archives(from, to, &archives(lock_file))
}

fn copy_archives(from: &Path, to: &Path, archives: &BTreeSet<String>) -> anyhow::Result<()> {
    let cache = from.join("registry/cache");
    for registry in files::list(&cache)? {
        let source = cache.join(&registry);
        let target = to.join("registry/cache").join(&registry);
        files::create_dir_all(&target)?;
        for name in files::list(&source)? {
            if name.to_str().is_some_and(|name| archives.contains(name)) {
                copy_file(&source.join(&name), &target.join(&name))?;
            }
        }
    }
    Ok(())
}

/// The file names of the archives of a lock file's packages. Cargo writes the name and then the
/// version of a package, each on a line of its own.
fn archives(lock_file: &str) -> BTreeSet<String> {
    let mut name = None;
    let mut archives = BTreeSet::new();
    for line in lock_file.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let (Some(version), Some(name)) = (value(line, "version"), name) {
            archives.insert(format!("{name}-{version}.crate"));
        }
    }
    archives
}

/// The value in a line `key = "value"`.
fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.strip_prefix(key)?
        .strip_prefix(" = \"")?
        .strip_suffix('"')
}

/// Copies an index. If it is a git repository, its history is not copied: cargo reads the files
/// beside it.
fn copy_index(from: &Path, to: &Path) -> Result<()> {
    files::create_dir_all(to)?;
    let dir = Dir::open(from).context("open", || from)?;
    for name in files::list(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let stat = dir.stat_at(name.as_encoded_bytes());
        match stat.context("inspect", || &source)?.kind {
            FileKind::Directory if name != ".git" => copy_index(&source, &target)?,
            FileKind::File => copy_file(&source, &target)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if files::stat(to)?.is_some() {
        return Ok(());
    }
    files::write_new(to, 0o644, &files::read(from)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\
        dependencies = [\n \"some-crate\",\n]\n\n[[package]]\nname = \"some-crate\"\nversion = \"1.2.3+x\"\n";

    #[test]
    fn a_lock_file_names_the_archives() {
        let expected = ["own-0.1.0.crate", "some-crate-1.2.3+x.crate"].map(str::to_owned);
        assert_eq!(archives(LOCK), expected.into());
    }

    #[test]
    fn only_archives_of_the_lock_file_are_copied_and_existing_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for file in [
            "index/reg-1/.cache/so/me/some-crate",
            "index/reg-1/config.json",
            "index/reg-1/.git/HEAD",
            "cache/reg-1/some-crate-1.2.3+x.crate",
            "cache/reg-1/some-crate-1.2.4.crate",
            "src/reg-1/some-crate-1.2.3+x/lib.rs",
        ] {
            let path = from.join("registry").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "theirs").unwrap();
        }
        fs::create_dir_all(to.join("registry/index/reg-1")).unwrap();
        fs::write(to.join("registry/index/reg-1/config.json"), "ours").unwrap();
        copy_registry(&from, &to, LOCK).unwrap();
        let copied = |file: &str| fs::read_to_string(to.join("registry").join(file)).ok();
        assert_eq!(
            copied("index/reg-1/.cache/so/me/some-crate").as_deref(),
            Some("theirs")
        );
        assert_eq!(copied("index/reg-1/config.json").as_deref(), Some("ours"));
        assert_eq!(
            copied("cache/reg-1/some-crate-1.2.3+x.crate").as_deref(),
            Some("theirs")
        );
        for left in [
            "cache/reg-1/some-crate-1.2.4.crate",
            "index/reg-1/.git/HEAD",
            "src",
        ] {
            assert!(!to.join("registry").join(left).exists(), "{left}");
        }
    }

    #[test]
    fn without_a_registry_the_error_has_advice() {
        let dir = tempfile::tempdir().unwrap();
        let error = copy_registry(dir.path(), &dir.path().join("to"), LOCK)
            .unwrap_err()
            .to_string();
        assert!(error.contains("omit --offline"), "{error}");
    }
}
