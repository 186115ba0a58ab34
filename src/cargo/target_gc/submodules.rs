//! The repositories of the submodules of git dependencies. Cargo keeps them in `git/db` since 1.94
//! (`sources/git/utils.rs`), but no lock file names them: the `.gitmodules` of the checkouts do.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::cargo::target_gc::locked_packages::{LockedPackages, repository_name};
use crate::fs::files;

/// The names of the repositories of all submodules in the needed checkouts of a `CARGO_HOME`, in
/// lower case. What can't be read names none: cargo fetches a missing repository again.
pub fn submodule_repositories(cargo_home: &Path, needed: &LockedPackages) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let checkouts = cargo_home.join("git/checkouts");
    for (directory, repository) in names_in(&checkouts) {
        for (checkout, commit) in names_in(&directory) {
            if needed.has_checkout(&repository, &commit) {
                add_submodules(&checkout, &mut found);
            }
        }
    }
    found
}

fn names_in(directory: &Path) -> Vec<(PathBuf, String)> {
    let names = files::list(directory).unwrap_or_default().into_iter();
    let names = names.filter_map(|name| name.into_string().ok());
    names.map(|name| (directory.join(&name), name)).collect()
}

/// Adds the submodules of a checkout and those below them.
fn add_submodules(checkout: &Path, found: &mut BTreeSet<String>) {
    let Ok(checkout) = files::canonical(checkout) else {
        return;
    };
    let mut pending = vec![checkout.clone()];
    let mut seen = BTreeSet::new();
    while let Some(directory) = pending.pop() {
        // A path may be a symlink to anything.
        if !directory.starts_with(&checkout) || !seen.insert(directory.clone()) {
            continue;
        }
        let text = files::read(&directory.join(".gitmodules")).unwrap_or_default();
        let submodules = Submodules::parse(&String::from_utf8_lossy(&text));
        let names = submodules
            .urls
            .iter()
            .filter_map(|url| repository_name(url));
        found.extend(names);
        let paths = submodules.paths.iter().map(|path| directory.join(path));
        pending.extend(paths.filter_map(|path| files::canonical(&path).ok()));
    }
}

/// The fields of a `.gitmodules` file that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Submodules {
    urls: Vec<String>,
    /// Relative, without `..`.
    paths: Vec<PathBuf>,
}

impl Submodules {
    /// Reads the lines `name = value` as `git submodule` writes them. Knows no escapes.
    fn parse(text: &str) -> Self {
        let mut submodules = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "url" => submodules.urls.push(value.to_owned()),
                "path" => submodules.paths.push(value.into()),
                _ => {}
            }
        }
        let is_below = |path: &PathBuf| {
            let mut components = path.components();
            components.all(|component| matches!(component, Component::Normal(_)))
        };
        submodules.paths.retain(is_below);
        submodules
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cargo::project::lockfile::Lockfile;

    #[test]
    fn urls_and_paths_are_read_and_paths_that_lead_out_are_not() {
        let text = "[submodule \"a\"]\n\tpath = vendor/a\n\turl = ../A.git\n# url = no\n\
            [submodule \"b\"]\n\tPath = \"b c\"\n\turl=https://example.org/x/b/\n\
            \tpath = ../out\n\tpath = /etc\n\tbranch = url\n";
        let submodules = Submodules::parse(text);
        assert_eq!(submodules.urls, ["../A.git", "https://example.org/x/b/"]);
        assert_eq!(submodules.paths, [Path::new("vendor/a"), Path::new("b c")]);
    }

    #[test]
    fn submodules_of_needed_checkouts_are_found_at_every_level() {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str, url: &str| {
            let directory = home.path().join("git/checkouts").join(path);
            fs::create_dir_all(directory.join("deep")).unwrap();
            let text = format!("[submodule \"x\"]\n\tpath = deep\n\turl = {url}\n");
            fs::write(directory.join(".gitmodules"), text).unwrap();
        };
        write(
            "dep-0011223344556677/0123456",
            "https://example.org/One.git",
        );
        write("dep-0011223344556677/0123456/deep", "../../two");
        write("dep-0011223344556677/7654321", "../old");
        write("other-0011223344556677/0123456", "../other-sub");
        let nested = home
            .path()
            .join("git/checkouts/dep-0011223344556677/0123456/deep/deep");
        fs::remove_dir(&nested).unwrap();
        std::os::unix::fs::symlink("..", &nested).unwrap();
        let lock = "[[package]]\nname = \"dep\"\nversion = \"0.1.0\"\n\
            source = \"git+https://example.org/Dep.git#0123456789abcdef\"\n";
        let needed = LockedPackages::of(&[Lockfile::parse(lock.as_bytes()).unwrap()]);
        let found = submodule_repositories(home.path(), &needed);
        assert_eq!(Vec::from_iter(found), ["one", "two"]);
        let nowhere = submodule_repositories(Path::new("/does/not/exist"), &needed);
        assert!(nowhere.is_empty());
    }
}
