//! Lists of paths: what is saved, under which names, and where it is restored to.
//!
//! A root is named relative to its place: `./target` in the workspace, `~/.cargo` at home, `/tmp/x`
//! elsewhere. So it is restored below the workspace and the home directory of the later job. A root
//! is restored only if the job's own list names it, so a forged entry can't be restored anywhere
//! else.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{FileKind, Namespace, files};
use crate::glob::{Anchor, Anchored, Base, Exclusions, Filter, FoundPath, PatternError, Patterns};
use crate::tree::{RootPlace, Roots};

#[derive(Debug)]
pub(crate) struct PathList {
    patterns: Patterns,
    /// The patterns that do not start with `~`.
    not_from_home: Patterns,
    base: Base,
}

/// What a list of paths matches on the disk.
#[derive(Debug)]
pub(crate) struct ResolvedPaths {
    pub roots: Roots,
    /// The exclusions below each root that has some.
    exclusions: HashMap<PathBuf, Exclusions>,
}

impl PathList {
    /// Parses a list, one pattern per line.
    pub(crate) fn parse<L: IntoIterator<Item: AsRef<str>>>(
        lines: L,
        base: &Base,
    ) -> Result<Self, PatternError> {
        let lines: Vec<L::Item> = lines.into_iter().collect();
        let begins_at_home = |line: &&L::Item| line.as_ref().trim_start().starts_with('~');
        let not_from_home = lines.iter().filter(|line| !begins_at_home(line));
        Ok(Self {
            patterns: Patterns::parse(&lines, base)?,
            not_from_home: Patterns::parse(not_from_home, base)?,
            base: base.clone(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(crate) fn has_exclusions(&self) -> bool {
        self.patterns
            .anchored(&self.base)
            .iter()
            .any(Anchored::is_exclusion)
    }

    /// The nearest directory that the list names at or above `path`, if there is one.
    pub(crate) fn root_around<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.ancestors()
            .find(|directory| self.patterns.matches(directory).directory)
    }

    /// Whether what the list names and a directory have nothing in common, wherever symlinks lead.
    pub(crate) fn is_apart_from(
        &self,
        directory: &Path,
        namespace: &dyn Namespace,
    ) -> Result<bool> {
        let directory = namespace.real_name(directory)?;
        for path in self.patterns.search_paths() {
            let path = namespace.real_name(path)?;
            if path.starts_with(&directory) || directory.starts_with(&path) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The list in normal form: what two lists must have in common to mean the same.
    pub(crate) fn identity(&self) -> Vec<String> {
        let anchored = self.patterns.anchored(&self.base);
        anchored
            .iter()
            .map(|pattern| printable(pattern.to_os_string().as_bytes()))
            .collect()
    }

    /// Lists what the patterns match on the disk now. A root below another one is part of that.
    pub(crate) fn resolve(&self, namespace: &dyn Namespace) -> Result<ResolvedPaths> {
        let found = self.find(namespace)?;
        let linked = self.links_to_follow(namespace, &found)?;
        let mut roots: Vec<(Box<[u8]>, RootPlace)> = Vec::new();
        let mut known: HashSet<Box<[u8]>> = HashSet::new();
        let mut exclusions = HashMap::new();
        let mut last_directory: Option<PathBuf> = None;
        for found in found {
            // The walk lists a directory before its contents.
            let is_inside = |dir: &PathBuf| found.path.starts_with(dir);
            if last_directory.as_ref().is_some_and(is_inside) {
                continue;
            }
            if found.path.parent().is_none() {
                return Err(Error::invalid(
                    "the root of the filesystem cannot be cached; name directories in it",
                ));
            }
            let root = match linked.get(&found.path) {
                Some(root) => root.clone(),
                None => namespace.locate_parent(&found.path)?.into(),
            };
            if found.kind == FileKind::Directory
                && (root.is_linked() || !files::is_symlink(&root.path)?)
            {
                let below = self.patterns.exclusions_below(&found.path);
                if !below.is_empty() {
                    exclusions.insert(root.path.clone(), below);
                }
                last_directory = Some(found.path.clone());
            }
            let name = self.root_name(&found.path);
            if known.insert(name.clone()) {
                roots.push((name, root));
            }
        }
        Ok(ResolvedPaths {
            roots: Roots::new(outermost(roots)),
            exclusions,
        })
    }

    /// The symlinks to directories that are saved as what they lead to.
    ///
    /// A user who names a symlink wants what it leads to. One that a wildcard matches is a link among
    /// others and stays one. So does one that leads into or around another root: that would be
    /// saved twice, and restored to the same place twice.
    fn links_to_follow(
        &self,
        namespace: &dyn Namespace,
        found: &[FoundPath],
    ) -> Result<HashMap<PathBuf, RootPlace>> {
        let named: HashSet<&Path> = self.patterns.search_paths().into_iter().collect();
        let mut links = Vec::new();
        for found in found {
            if found.kind == FileKind::Directory && named.contains(found.path.as_path()) {
                let root = RootPlace::locate(namespace, &found.path)?;
                if root.is_linked() {
                    links.push((&found.path, root));
                }
            }
        }
        if links.is_empty() {
            return Ok(HashMap::new());
        }
        let mut others = PlacesOfRoots::default();
        for found in found {
            if !links.iter().any(|(link, _)| found.path.starts_with(link)) {
                others.add(&namespace.locate_parent(&found.path)?);
            }
        }
        let mut followed = HashMap::new();
        for (name, root) in links {
            if !others.overlap(&root.real) {
                others.add(&root.real);
                followed.insert(name.clone(), root);
            }
        }
        Ok(followed)
    }

    fn find(&self, namespace: &dyn Namespace) -> Result<Vec<FoundPath>> {
        self.patterns
            .resolve_in(namespace, true)
            .map_err(|error| Error::invalid(error.to_string()))
    }

    /// The name of a root in an entry. A path that only a `~` line lists keeps its place below the
    /// home directory, even if the workspace is below home too.
    fn root_name(&self, path: &Path) -> Box<[u8]> {
        let (mut anchor, mut rest) = self.base.anchor(path);
        if let (Anchor::Workspace, Ok(below_home)) = (anchor, path.strip_prefix(&self.base.home))
            && !self.not_from_home.matches(path).any()
        {
            (anchor, rest) = (Anchor::Home, below_home);
        }
        let prefix: &[u8] = match anchor {
            Anchor::Workspace => b"./",
            Anchor::Home => b"~/",
            Anchor::Root => b"/",
        };
        [prefix, rest.as_os_str().as_bytes()].concat().into()
    }

    /// Where the root of an entry is restored to.
    ///
    /// Errors: the list does not name the root, so the entry must not be restored there.
    pub(crate) fn destination(&self, name: &[u8], namespace: &dyn Namespace) -> Result<RootPlace> {
        RootPlace::locate(namespace, &self.destination_name(name)?)
    }

    /// The name of the place for the root of an entry.
    pub(crate) fn destination_name(&self, name: &[u8]) -> Result<PathBuf> {
        let refused = || {
            Error::invalid(format!(
                "the entry contains {}, which the step did not request",
                OsStr::from_bytes(name).display()
            ))
        };
        let (anchor, rest) = [
            (Anchor::Workspace, &b"./"[..]),
            (Anchor::Home, b"~/"),
            (Anchor::Root, b"/"),
        ]
        .into_iter()
        .find_map(|(anchor, prefix)| Some((anchor, name.strip_prefix(prefix)?)))
        .ok_or_else(refused)?;
        let rest = Path::new(OsStr::from_bytes(rest));
        let is_plain = rest
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = self.base.locate(anchor, rest);
        if is_plain && path.parent().is_some() && self.patterns.matches(&path).any() {
            Ok(path)
        } else {
            Err(refused())
        }
    }
}

/// Where roots are, to find out whether another one lies in or around one of them.
#[derive(Default)]
struct PlacesOfRoots {
    roots: HashSet<PathBuf>,
    above: HashSet<PathBuf>,
}

impl PlacesOfRoots {
    fn add(&mut self, path: &Path) {
        self.roots.insert(path.to_owned());
        self.above
            .extend(path.ancestors().skip(1).map(Path::to_owned));
    }

    fn overlap(&self, path: &Path) -> bool {
        self.above.contains(path) || path.ancestors().any(|above| self.roots.contains(above))
    }
}

/// The roots that lie in no other one.
fn outermost(mut roots: Vec<(Box<[u8]>, RootPlace)>) -> Vec<(Box<[u8]>, RootPlace)> {
    let all: HashSet<PathBuf> = roots.iter().map(|(_, root)| root.path.clone()).collect();
    roots.retain(|(_, root)| {
        let mut above = root.path.ancestors().skip(1);
        !above.any(|directory| all.contains(directory))
    });
    roots
}

impl ResolvedPaths {
    /// Filters what the `!` lines exclude; `None` if nothing is excluded.
    pub(crate) fn filter(&self) -> Option<impl Fn(&Path, bool) -> Filter + Sync> {
        (!self.exclusions.is_empty()).then_some(|path: &Path, is_directory| {
            let found = path.ancestors().find_map(|root| {
                let below = self.exclusions.get(root)?;
                Some((below, path.strip_prefix(root).ok()?))
            });
            match found {
                Some((below, rest)) if !rest.as_os_str().is_empty() => {
                    below.verdict(rest, is_directory)
                }
                _ => Filter::Include,
            }
        })
    }
}

/// A name of any bytes as text, different for different names: what is not UTF-8 as `\xff`, a
/// backslash doubled.
pub(crate) fn printable(name: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base::new("/data/repo", "/home/me")
    }

    #[test]
    fn spelling_does_not_change_what_a_list_means_but_order_does() {
        let identity = |lines: &[&str]| PathList::parse(lines, &base()).unwrap().identity();
        assert_eq!(
            identity(&["./target/", "~/.cargo"]),
            identity(&["/data/repo//target", "~/.cargo/"])
        );
        assert_ne!(identity(&["a", "b"]), identity(&["b", "a"]));
        assert_ne!(identity(&["a"]), identity(&["a", "!a/b"]));
    }

    #[test]
    fn a_root_goes_back_to_where_workspace_and_home_are_now() {
        let here = PathList::parse(["target", "~/.cargo", "/tmp/x"], &base()).unwrap();
        let elsewhere = Base::new("/other", "/root");
        let there = PathList::parse(["target", "~/.cargo", "/tmp/x"], &elsewhere).unwrap();
        let moved = |path: &str| {
            there
                .destination_name(&here.root_name(Path::new(path)))
                .unwrap()
        };
        assert_eq!(moved("/data/repo/target"), Path::new("/other/target"));
        assert_eq!(moved("/home/me/.cargo"), Path::new("/root/.cargo"));
        assert_eq!(moved("/tmp/x"), Path::new("/tmp/x"));
    }

    #[test]
    fn a_root_that_is_listed_by_way_of_home_stays_there_when_the_workspace_is_below_home() {
        let base = |workspace: &str| Base::new(workspace, "/home/me");
        let lines = ["~/work/*/target", "build"];
        let here = PathList::parse(lines, &base("/home/me/work/one")).unwrap();
        let there = PathList::parse(lines, &base("/home/me/work/two")).unwrap();
        let moved = |path: &str| {
            there
                .destination_name(&here.root_name(Path::new(path)))
                .unwrap()
        };
        assert_eq!(
            moved("/home/me/work/one/target"),
            Path::new("/home/me/work/one/target")
        );
        assert_eq!(
            moved("/home/me/work/one/build"),
            Path::new("/home/me/work/two/build")
        );
    }

    #[test]
    fn a_directory_is_known_to_be_around_what_it_holds() {
        let list = PathList::parse(["target", "~/**", "/srv/*"], &base()).unwrap();
        let around = |path: &'static str| list.root_around(Path::new(path)).map(Path::to_owned);
        assert_eq!(around("/home/me"), Some("/home/me".into()));
        assert_eq!(around("/srv/data/x/y"), Some("/srv/data".into()));
        assert_eq!(around("/data/repo"), None);
    }

    #[test]
    fn a_root_that_the_step_did_not_request_is_an_error() {
        let list = PathList::parse(["target/*/deps"], &base()).unwrap();
        assert!(list.destination_name(b"./target/debug/deps").is_ok());
        for name in [
            "./src",
            "./target/../src",
            "~/.ssh",
            "/etc",
            "etc",
            "./",
            "",
        ] {
            assert!(list.destination_name(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn below_another_root_links_lead_where_they_lead_there() {
        use crate::fs::Rooted;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("data/cargo/registry/src")).unwrap();
        std::fs::create_dir_all(root.join("home/me")).unwrap();
        std::os::unix::fs::symlink("/data/cargo", root.join("home/me/.cargo")).unwrap();
        let rooted = Rooted::new(root.into(), Vec::new(), "/home/me".into());
        for line in ["~/.cargo/registry", "~/.cargo/reg*"] {
            let roots = PathList::parse([line], &base())
                .unwrap()
                .resolve(&rooted)
                .unwrap();
            let place = roots.roots.path(b"~/.cargo/registry").unwrap();
            assert_eq!(place, root.join("data/cargo/registry"), "{line}");
        }
    }

    #[test]
    fn names_of_any_bytes_are_told_apart() {
        assert_eq!(printable(b"a\xff\\b"), "a\\xff\\\\b");
        assert_ne!(printable(b"\xff"), printable(b"\\xff"));
    }
}
