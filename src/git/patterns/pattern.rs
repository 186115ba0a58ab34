//! One pattern, relative to the directory of its file.

use super::wildmatch::{Slashes, is_special, wildmatch};

/// A pattern of paths, without the exclamation mark before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GitPattern {
    /// Without a slash at its start or end.
    text: Box<[u8]>,
    /// Whether it matches directories only.
    only_dirs: bool,
    kind: PatternKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatternKind {
    /// A name at any depth, without wildcards.
    Name,
    /// A star and the end of a name at any depth.
    NameEnd,
    /// A name at any depth, with wildcards.
    NameWildcard,
    /// A path from the directory of the pattern. So many bytes at its start are no wildcards.
    Path { literal: usize },
}

impl GitPattern {
    pub(super) fn new(text: &[u8]) -> Self {
        let (text, only_dirs) = match text.strip_suffix(b"/") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let has_slash = text.contains(&b'/');
        // A slash at the start only says that the pattern is a path.
        let text = text.strip_prefix(b"/").unwrap_or(text);
        let special = text.iter().position(|byte| is_special(*byte));
        let kind = if has_slash {
            PatternKind::Path {
                literal: special.unwrap_or(text.len()),
            }
        } else if special.is_none() {
            PatternKind::Name
        } else if text[0] == b'*' && !text[1..].iter().any(|byte| is_special(*byte)) {
            PatternKind::NameEnd
        } else {
            PatternKind::NameWildcard
        };
        Self {
            text: text.into(),
            only_dirs,
            kind,
        }
    }

    /// `path` is relative to the directory of the pattern.
    pub(super) fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        if self.only_dirs && !is_dir {
            return false;
        }
        let text = &self.text[..];
        match self.kind {
            PatternKind::Name => name_of(path) == text,
            PatternKind::NameEnd => name_of(path).ends_with(&text[1..]),
            PatternKind::NameWildcard => wildmatch(text, name_of(path), Slashes::AreBytes),
            // As in git, the wildcards begin after the literal bytes: a `**` there counts as one
            // at the start of a name.
            PatternKind::Path { literal } => {
                let rest = path.strip_prefix(&text[..literal]);
                rest.is_some_and(|rest| wildmatch(&text[literal..], rest, Slashes::Separate))
            }
        }
    }
}

fn name_of(path: &[u8]) -> &[u8] {
    let start = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let (path, is_dir) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        GitPattern::new(pattern.as_bytes()).matches(path.as_bytes(), is_dir)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_any_depth() {
        for pattern in ["a.o", "*.o", "a.?", "a.o/"] {
            assert!(matches(pattern, "a.o/") && matches(pattern, "x/y/a.o/"));
        }
        assert!(!matches("a.o/", "a.o") && !matches("a.o", "a.o.x"));
        assert!(matches("*", "x") && matches("*.o", ".o") && !matches("*.o", "o"));
    }

    #[test]
    fn a_pattern_with_a_slash_matches_from_its_directory() {
        assert!(matches("/a", "a") && !matches("/a", "x/a"));
        assert!(matches("a/b", "a/b") && !matches("a/b", "x/a/b") && !matches("a/b", "a/b/c"));
        assert!(matches("a/*", "a/b") && !matches("a/*", "a/b/c") && !matches("a/*", "a"));
        assert!(matches("a/**", "a/b/c") && !matches("a/**", "a"));
        assert!(matches("**/a", "a") && matches("**/a", "x/y/a"));
        assert!(matches("a/**/b/", "a/x/y/b/") && !matches("a/**/b/", "a/b"));
    }

    #[test]
    fn strange_patterns_match_little() {
        for pattern in ["", "/", "//", "[", "\\"] {
            assert!(
                !matches(pattern, "a") && !matches(pattern, "a/"),
                "{pattern}"
            );
        }
    }
}
