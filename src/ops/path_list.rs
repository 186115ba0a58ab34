//! What a list of paths means: what is saved, under which names, and where it goes back to.
//!
//! A root is named by where it lies: `./target` in the workspace, `~/.cargo` at home, `/tmp/x`
//! elsewhere. So it goes back to where workspace and home are then. A root goes back only when the
//! list it is asked for with names it, so an entry that somebody made up can't be restored
//! elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{Namespace, files};
use crate::glob::{
    Anchor, Anchored, Base, ExclusionVerdict, Exclusions, FoundKind, FoundPath, PatternError,
    Patterns,
};
use crate::tree::Roots;
use crate::tree::scan::Filter;

/// A list of paths.
#[derive(Debug)]
pub struct PathList {
    patterns: Patterns,
    /// Those of them that do not begin with `~`.
    not_from_home: Patterns,
    base: Base,
}

/// What a list of paths stands for on the disk now.
#[derive(Debug)]
pub struct ResolvedPaths {
    pub roots: Roots,
    /// What is left out below each root that something is left out of.
    exclusions: Vec<(PathBuf, Exclusions)>,
}

impl PathList {
    /// Reads a list, one pattern a line.
    pub fn parse<L: IntoIterator<Item: AsRef<str>>>(
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

    /// Whether the list names nothing.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether something is left out of what the list names.
    pub fn has_exclusions(&self) -> bool {
        self.patterns
            .anchored(&self.base)
            .iter()
            .any(Anchored::is_exclusion)
    }

    /// The directory that the list names and that is this one or holds it; none when the list names
    /// no such.
    pub fn root_around<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.ancestors()
            .find(|directory| self.patterns.matches(directory).directory)
    }

    /// The list in normal form: what two lists must have in common to mean the same.
    pub fn identity(&self) -> Vec<String> {
        let anchored = self.patterns.anchored(&self.base);
        anchored
            .iter()
            .map(|pattern| printable(pattern.to_os_string().as_bytes()))
            .collect()
    }

    /// What the list stands for on the disk now. A root below another one is part of that.
    pub fn resolve(&self, namespace: &dyn Namespace) -> Result<ResolvedPaths> {
        let found = self.find(namespace)?;
        let mut roots: Vec<(Box<[u8]>, PathBuf)> = Vec::new();
        let mut exclusions = Vec::new();
        let mut inside: Option<PathBuf> = None;
        for item in found {
            if inside
                .as_ref()
                .is_some_and(|above| item.path.starts_with(above))
            {
                continue;
            }
            if item.path.parent().is_none() {
                return Err(Error::invalid(
                    "the root of the filesystem can't be cached; name directories in it",
                ));
            }
            let place = namespace.locate_parent(&item.path)?;
            if item.kind == FoundKind::Directory && !files::is_symlink(&place)? {
                let below = self.patterns.exclusions_below(&item.path);
                if !below.is_empty() {
                    exclusions.push((place.clone(), below));
                }
                inside = Some(item.path.clone());
            }
            let name = self.name(&item.path);
            if !roots.iter().any(|(known, _)| *known == name) {
                roots.push((name, place));
            }
        }
        let outermost: Vec<PathBuf> = roots.iter().map(|(_, path)| path.clone()).collect();
        roots.retain(|(_, path)| {
            !outermost
                .iter()
                .any(|other| other != path && path.starts_with(other))
        });
        Ok(ResolvedPaths {
            roots: Roots::new(roots),
            exclusions,
        })
    }

    /// The paths that the list matches, by their names. Each is looked for where the ground has it,
    /// so that a symlink of another root leads where it leads there.
    fn find(&self, namespace: &dyn Namespace) -> Result<Vec<FoundPath>> {
        self.patterns
            .resolve_in(namespace, true)
            .map_err(|error| Error::invalid(error.to_string()))
    }

    /// The name of a root. One that is only listed by way of home stays there, also where the
    /// workspace is below home.
    fn name(&self, path: &Path) -> Box<[u8]> {
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

    /// Where the root of a name lies now; an error when the list does not name it.
    pub fn destination(&self, name: &[u8]) -> Result<PathBuf> {
        let refused = || {
            Error::invalid(format!(
                "the entry holds {}, which was not asked for",
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

impl ResolvedPaths {
    /// What is to be left out of them; none when nothing is.
    pub fn filter(&self) -> Option<impl Fn(&Path, bool) -> Filter + Sync> {
        (!self.exclusions.is_empty()).then_some(|path: &Path, is_directory| {
            let found = self
                .exclusions
                .iter()
                .find_map(|(root, below)| Some((below, path.strip_prefix(root).ok()?)));
            match found {
                Some((below, rest)) if !rest.as_os_str().is_empty() => {
                    match below.verdict(rest, is_directory) {
                        ExclusionVerdict::Keep => Filter::Include,
                        ExclusionVerdict::LeaveOut => Filter::Exclude,
                        ExclusionVerdict::LookInside => Filter::IncludeIfNonEmpty,
                    }
                }
                _ => Filter::Include,
            }
        })
    }
}

/// A name of any bytes as text, different for different names: what is not UTF-8 as `\xff`, a
/// backslash doubled.
pub fn printable(name: &[u8]) -> String {
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
        let moved = |path: &str| there.destination(&here.name(Path::new(path))).unwrap();
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
        let moved = |path: &str| there.destination(&here.name(Path::new(path))).unwrap();
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
    fn a_root_that_was_not_asked_for_goes_nowhere() {
        let list = PathList::parse(["target/*/deps"], &base()).unwrap();
        assert!(list.destination(b"./target/debug/deps").is_ok());
        for name in [
            "./src",
            "./target/../src",
            "~/.ssh",
            "/etc",
            "etc",
            "./",
            "",
        ] {
            assert!(list.destination(name.as_bytes()).is_err(), "{name}");
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
