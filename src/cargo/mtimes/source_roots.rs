//! Where sources are looked for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::cargo::project::workspace::normalize_path;
use crate::glob::Filter;
use crate::tree::Roots;

/// What the names of roots begin with that are named in the input `sources`.
const NAMED: u8 = b'=';
/// Marks a directory as a cache: <https://bford.info/cachedir/>. Cargo puts it into its target
/// directories.
const CACHEDIR_TAG: &str = "CACHEDIR.TAG";

/// The directories in which sources are, and what in them is none.
///
/// Each is named by the way from the checkout to it, so that they are found again when all of them
/// were moved.
#[derive(Clone, Debug)]
pub struct SourceRoots {
    checkout: PathBuf,
    places: Roots,
    skipped: Vec<PathBuf>,
}

impl SourceRoots {
    /// The checkout, and `others` as far as they are not in it: repositories of workspaces beside
    /// it, and packages. All paths are absolute and without symlinks.
    ///
    /// `skipped` are the target directories, the cache root and cargo's own directories; `named`
    /// what the input `sources` names. A directory above the checkout is not looked at: it could be
    /// all of a home.
    pub fn new(checkout: &Path, others: &[PathBuf], skipped: Vec<PathBuf>, named: &Roots) -> Self {
        let mut outermost: Vec<&Path> = vec![checkout];
        let mut others: Vec<&PathBuf> = others.iter().collect();
        others.sort_unstable();
        for other in others {
            let is_known = outermost.iter().any(|known| other.starts_with(known));
            if !is_known && !checkout.starts_with(other) {
                outermost.push(other);
            }
        }
        let roots = outermost
            .into_iter()
            .map(|root| (way(checkout, root), root.to_owned()));
        let named = named
            .iter()
            .map(|(name, path)| ([&[NAMED], name].concat().into(), path.to_owned()));
        Self {
            checkout: checkout.to_owned(),
            places: Roots::new(roots.chain(named)),
            skipped,
        }
    }

    /// The roots: those of the area, then those of the input `sources`.
    pub fn places(&self) -> &Roots {
        &self.places
    }

    /// The names of the roots of the area.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.places
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !is_named(name))
    }

    /// The names of the roots that the input `sources` names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &[u8]> {
        self.places
            .iter()
            .map(|(name, _)| name)
            .filter(|name| is_named(name))
    }

    /// Where a root of the area is, of this one or another of the same checkout.
    pub(crate) fn path_of(&self, root: &[u8]) -> PathBuf {
        normalize_path(&self.checkout.join(OsStr::from_bytes(root)))
    }

    /// Whether something that is never looked at stands in a directory.
    pub(crate) fn holds_skipped(&self, directory: &Path) -> bool {
        self.skipped
            .iter()
            .any(|skipped| skipped.parent() == Some(directory))
    }

    /// What of the area is no source; `exists` tells whether a file does.
    pub fn exclude<'a>(
        &'a self,
        exists: &'a (dyn Fn(&Path) -> bool + Sync),
    ) -> impl Fn(&Path, bool) -> Filter + Sync + 'a {
        move |path, is_directory| {
            let is_git = path.file_name() == Some(OsStr::new(".git"));
            let is_skipped = || self.skipped.iter().any(|skipped| skipped == path);
            let is_cache = || is_directory && exists(&path.join(CACHEDIR_TAG));
            if is_git || is_skipped() || is_cache() {
                Filter::Exclude
            } else {
                Filter::Include
            }
        }
    }
}

/// Whether a root is one that the input `sources` names.
pub(crate) fn is_named(root: &[u8]) -> bool {
    root.first() == Some(&NAMED)
}

/// The way from one directory to another: `.`, `../other`.
fn way(from: &Path, to: &Path) -> Box<[u8]> {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    match way.as_os_str().as_bytes() {
        b"" => (*b".").into(),
        way => way.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(checkout: &str, others: &[&str]) -> Vec<String> {
        let others: Vec<PathBuf> = others.iter().map(PathBuf::from).collect();
        let area = SourceRoots::new(Path::new(checkout), &others, Vec::new(), &Roots::default());
        area.roots()
            .map(|name| String::from_utf8(name.into()).unwrap())
            .collect()
    }

    #[test]
    fn roots_are_the_outermost_directories_by_their_way_from_the_checkout() {
        assert_eq!(
            roots(
                "/w/app",
                &[
                    "/w/app/crates/a",
                    "/w/dep/inner",
                    "/w/dep",
                    "/opt/x",
                    "/w/app"
                ]
            ),
            [".", "../../opt/x", "../dep"]
        );
        assert_eq!(roots("/w/app", &["/w", "/", "/w/app-2"]), [".", "../app-2"]);
    }

    #[test]
    fn caches_targets_and_git_directories_are_no_sources() {
        let target = PathBuf::from("/w/app/target");
        let area = SourceRoots::new(Path::new("/w/app"), &[], vec![target], &Roots::default());
        let exists = |path: &Path| path == Path::new("/w/app/out/CACHEDIR.TAG");
        let exclude = area.exclude(&exists);
        for (path, take) in [
            ("/w/app/target", Filter::Exclude),
            ("/w/app/sub/.git", Filter::Exclude),
            ("/w/app/out", Filter::Exclude),
            ("/w/app/src", Filter::Include),
            ("/w/app/sub/target", Filter::Include),
            ("/w/app/.gitignore", Filter::Include),
        ] {
            assert_eq!(exclude(Path::new(path), true), take, "{path}");
        }
    }
}
