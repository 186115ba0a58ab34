//! The canonical form of a list of patterns: independent of its spelling and of where the workspace
//! and the home directory are.
//!
//! Two lists name the same cache if their anchored patterns are equal and in the same order. So
//! differences without a meaning are removed here: comments, `./`, doubled and trailing slashes,
//! `!!`, unneeded escapes, and the paths of workspace and home. Nothing is read from the disk,
//! because the paths of a cache usually do not exist before it is restored.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::glob::base::{Anchor, Base, can_anchor, names};
use crate::glob::list::Patterns;
use crate::glob::path_pattern::PathPattern;
use crate::glob::segment::Segment;

/// A pattern relative to its anchor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Anchored {
    exclude: bool,
    anchor: Anchor,
    /// The pattern below the anchor; empty for the anchor itself.
    rest: PathBuf,
}

impl Patterns {
    /// The patterns of the list in order, including `!` patterns, each relative to the workspace,
    /// the home directory or the root.
    ///
    /// A pattern written with `~` is relative to home. Any other is relative to the first of
    /// workspace, home and root that contains it.
    pub(crate) fn anchored(&self, base: &Base) -> Vec<Anchored> {
        self.all()
            .iter()
            .map(|pattern| Anchored::new(pattern, base))
            .collect()
    }
}

impl Anchored {
    fn new(pattern: &PathPattern, base: &Base) -> Self {
        let (anchor, skipped) = anchor(pattern, base);
        let segments = &pattern.segments[skipped..];
        let texts = &pattern.texts[skipped..];
        let rest = join(
            segments
                .iter()
                .zip(texts)
                .map(|(segment, text)| match segment {
                    Segment::Name(name) => escape(name),
                    Segment::Wildcard(_) | Segment::Globstar => text.clone().into_bytes(),
                }),
        );
        Self {
            exclude: pattern.exclude,
            anchor,
            rest,
        }
    }

    pub(crate) fn is_exclusion(&self) -> bool {
        self.exclude
    }

    /// The text of [`fmt::Display`], byte for byte. Equal only for equal patterns.
    pub(crate) fn to_os_string(&self) -> OsString {
        let rest = self.rest.as_os_str().as_bytes();
        let prefix: &[u8] = match self.anchor {
            Anchor::Root => b"/",
            Anchor::Home if rest.is_empty() => b"~",
            Anchor::Home => b"~/",
            Anchor::Workspace if rest.is_empty() => b".",
            Anchor::Workspace if needs_dot(rest) => b"./",
            Anchor::Workspace => b"",
        };
        let mark: &[u8] = if self.exclude { b"!" } else { b"" };
        OsString::from_vec([mark, prefix, rest].concat())
    }
}

impl fmt::Display for Anchored {
    /// A pattern that parses to this one: `target`, `~/.cargo/registry`, `/tmp/x`,
    /// `!target/**/*.zip`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_os_string().display())
    }
}

/// The anchor of a pattern, and the number of segments that the anchor replaces.
fn anchor(pattern: &PathPattern, base: &Base) -> (Anchor, usize) {
    if pattern.from_home {
        return (Anchor::Home, pattern.start_len);
    }
    [
        (Anchor::Workspace, &base.workspace),
        (Anchor::Home, &base.home),
    ]
    .into_iter()
    .filter(|(_, directory)| can_anchor(directory))
    .find_map(|(anchor, directory)| Some((anchor, strip_directory(&pattern.segments, directory)?)))
    .unwrap_or((Anchor::Root, 0))
}

/// The number of names in the directory, if the segments start with them.
fn strip_directory(segments: &[Segment], directory: &Path) -> Option<usize> {
    let mut count = 0;
    for expected in names(directory) {
        match segments.get(count) {
            Some(Segment::Name(name)) if **name == *expected => count += 1,
            _ => return None,
        }
    }
    Some(count)
}

fn join(segments: impl Iterator<Item = Vec<u8>>) -> PathBuf {
    segments
        .map(|segment| PathBuf::from(OsStr::from_bytes(&segment)))
        .collect()
}

fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        if b"*?[\\".contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// Whether a pattern below the workspace has another meaning without a leading `./`.
fn needs_dot(rest: &[u8]) -> bool {
    rest == b"~"
        || rest.starts_with(b"~/")
        || matches!(rest.first(), Some(b'!' | b'#' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchored(base: &Base, lines: &[&str]) -> Vec<Anchored> {
        Patterns::parse(lines, base).unwrap().anchored(base)
    }

    fn shown(lines: &[&str]) -> Vec<String> {
        let base = Base::new("/home/u/work/ws", "/home/u");
        anchored(&base, lines)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn spelling_does_not_matter() {
        let table: &[(&str, &[&str])] = &[
            (
                "a",
                &[
                    "a",
                    "./a",
                    "a/",
                    "a//",
                    ".//a",
                    "!!a",
                    "  a ",
                    "/home/u/work/ws/a",
                    "//home/u//work/ws/a/",
                    r"\a",
                ],
            ),
            ("a/b", &["a/b", "a//b", "./a/b/", "!! a/b"]),
            ("!a", &["!a", "! a", "!./a/", "!!!a"]),
            (".", &[".", "./", "/home/u/work/ws", "/home/u/work/ws/"]),
            ("~", &["~", "~/", "/home/u"]),
            (
                "~/.cargo/registry",
                &[
                    "~/.cargo/registry",
                    "~//.cargo/registry/",
                    "/home/u/.cargo/registry",
                ],
            ),
            ("/tmp/x", &["/tmp/x", "//tmp/x/"]),
            ("/", &["/"]),
            (r"we\[1]rd", &[r"we\[1\]rd", r"we\[1]rd"]),
            ("target/*/.*", &["target/*/.*", "./target//*/.*/"]),
            ("**/node_modules", &["**/node_modules"]),
            ("~user", &["~user"]),
            ("./~", &["./~", "./~/", "/home/u/work/ws/~"]),
            ("./!a", &["./!a", r"\!a"]),
            ("./#a", &["./#a", r"\#a"]),
        ];
        for (canonical, spellings) in table {
            for spelling in *spellings {
                assert_eq!(shown(&[spelling]), [*canonical], "{spelling}");
            }
            assert_eq!(shown(&[canonical]), [*canonical], "parses to itself");
        }
    }

    #[test]
    fn order_duplicates_and_exclusions_are_kept_and_comments_are_not() {
        assert_eq!(
            shown(&["b", "# note", "a", "", "!a/x", "b"]),
            ["b", "a", "!a/x", "b"]
        );
    }

    #[test]
    fn an_anchored_pattern_has_its_anchor_and_whether_it_excludes() {
        let base = Base::new("/ws", "/h");
        let list = anchored(&base, &["a", "!~/b", "/c/*"]);
        let facts: Vec<(Anchor, bool)> = list
            .iter()
            .map(|pattern| (pattern.anchor, pattern.is_exclusion()))
            .collect();
        assert_eq!(
            facts,
            [
                (Anchor::Workspace, false),
                (Anchor::Home, true),
                (Anchor::Root, false)
            ]
        );
    }

    #[test]
    fn different_meanings_stay_different() {
        let distinct = [
            "*", r"\*", "a", "!a", "~/a", "/a", "a/**", "a/*", "[ab]", r"\[ab]",
        ];
        for (index, a) in distinct.iter().enumerate() {
            for b in &distinct[index + 1..] {
                assert_ne!(shown(&[a]), shown(&[b]), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_list_is_the_same_in_other_directories() {
        let lines = |ws: &str, home: &str| {
            [
                format!("{ws}/a"),
                "b/*".into(),
                "~/c".into(),
                format!("{home}/d"),
                "/e".into(),
            ]
        };
        let list = |ws: &str, home: &str| {
            let base = Base::new(ws, home);
            Patterns::parse(lines(ws, home), &base)
                .unwrap()
                .anchored(&base)
        };
        assert_eq!(list("/home/u/ws", "/home/u"), list("/runner/2/ws", "/root"));
    }

    #[test]
    fn a_relative_pattern_starts_at_the_working_directory() {
        let base = Base {
            working_directory: "/ws/sub".into(),
            ..Base::new("/ws", "/h")
        };
        assert_eq!(anchored(&base, &["a"])[0].to_string(), "sub/a");
        let base = Base {
            working_directory: "/other[1]".into(),
            ..Base::new("/ws", "/h")
        };
        assert_eq!(anchored(&base, &["a"])[0].to_string(), r"/other\[1]/a");
    }
}
