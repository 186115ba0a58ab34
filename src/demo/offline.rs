//! Crates without the network: from the registry in the user's Cargo home, of which only copies are
//! used.

use std::collections::BTreeSet;
use std::path::Path;

use super::DemoError;
use crate::error::{IoContext, Result};
use crate::fs::{Dir, files};

/// Puts the registry's index, and those of its crates that the lock file names, into another Cargo
/// home. What is there already stays.
pub(super) fn copy_registry(from: &Path, to: &Path, lock: &str) -> Result<(), DemoError> {
    let index = from.join("registry/index");
    let names = files::list(&index)?;
    if names.is_empty() {
        return Err(DemoError::NoRegistry {
            cargo_home: from.to_owned(),
        });
    }
    for name in names {
        copy_index(&index.join(&name), &to.join("registry/index").join(&name))?;
    }
    let wanted = archives(lock);
    let cache = from.join("registry/cache");
    for registry in files::list(&cache)? {
        let there = to.join("registry/cache").join(&registry);
        files::create_dir_all(&there)?;
        for archive in files::list(&cache.join(&registry))? {
            if archive.to_str().is_some_and(|name| wanted.contains(name)) {
                copy_file(&cache.join(&registry).join(&archive), &there.join(&archive))?;
            }
        }
    }
    Ok(())
}

/// The names of the archives of a lock file's packages. Cargo writes each package's name and
/// version on lines of their own, in this order.
fn archives(lock: &str) -> BTreeSet<String> {
    let value = |line: &'_ str, key: &str| -> Option<String> {
        Some(
            line.strip_prefix(key)?
                .strip_prefix(" = \"")?
                .strip_suffix('"')?
                .to_owned(),
        )
    };
    let mut name = None;
    let mut archives = BTreeSet::new();
    for line in lock.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let (Some(version), Some(name)) = (value(line, "version"), &name) {
            archives.insert(format!("{name}-{version}.crate"));
        }
    }
    archives
}

/// An index without the history of one that is a git repository: cargo reads the files beside it.
fn copy_index(from: &Path, to: &Path) -> Result<()> {
    files::create_dir_all(to)?;
    let dir = Dir::open(from).context("open", || from)?;
    for name in files::list(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let kind = dir
            .stat_at(name.as_encoded_bytes())
            .context("look at", || &source)?
            .kind;
        match kind {
            crate::fs::FileKind::Directory if name != ".git" => copy_index(&source, &target)?,
            crate::fs::FileKind::File => copy_file(&source, &target)?,
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
    fn the_lock_file_says_which_archives_are_needed() {
        let expected = ["own-0.1.0.crate", "some-crate-1.2.3+x.crate"].map(str::to_owned);
        assert_eq!(archives(LOCK), expected.into());
    }

    #[test]
    fn only_what_is_needed_is_copied_and_what_is_there_stays() {
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
    fn without_a_registry_it_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = copy_registry(dir.path(), &dir.path().join("to"), LOCK)
            .unwrap_err()
            .to_string();
        assert!(error.contains("leave --offline out"), "{error}");
    }
}
