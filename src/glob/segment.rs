//! Segments: the parts of a pattern between slashes.

use crate::glob::wildcard::Wildcard;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Name(Box<[u8]>),
    Wildcard(Wildcard),
    /// `**`: any number of names, including none.
    Globstar,
}

impl Segment {
    pub(crate) fn compile(text: &str) -> Self {
        if text == "**" {
            return Self::Globstar;
        }
        match Wildcard::compile(text) {
            Ok(wildcard) => Self::Wildcard(wildcard),
            Err(name) => Self::name(name.as_bytes()),
        }
    }

    pub(crate) fn name(name: &[u8]) -> Self {
        Self::Name(name.into())
    }

    /// Whether the segment can match this one name.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(expected) => **expected == *name,
            Self::Wildcard(wildcard) => wildcard.matches(name),
            Self::Globstar => true,
        }
    }
}

/// The name that a segment stands for in a search path; `None` if it has a wildcard.
///
/// Brackets are parsed in a coarser way than for matching: only a class of one character is that
/// character, and `[!]` is `!` (actions/toolkit, packages/glob, `internal-pattern.ts`,
/// `getLiteral`). If the two differ, the search starts at a name that the pattern does not match,
/// and finds nothing.
pub(crate) fn literal(segment: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let tail = &rest[first.len_utf8()..];
        rest = tail;
        match first {
            '*' | '?' => return None,
            '\\' if !tail.is_empty() => {
                let mut after = tail.chars();
                name.extend(after.next());
                rest = after.as_str();
            }
            '[' => match bracket(tail) {
                Some((members, _)) if members.encode_utf16().count() > 1 => return None,
                Some((members, after)) if !members.is_empty() => {
                    name.push_str(&members);
                    rest = after;
                }
                _ => name.push('['),
            },
            _ => name.push(first),
        }
    }
    Some(name)
}

/// The unescaped text before the first `]` that is not escaped, and the text after it.
fn bracket(text: &str) -> Option<(String, &str)> {
    let mut members = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ']' => return Some((members, rest.as_str())),
            '\\' => members.push(rest.next().unwrap_or('\\')),
            _ => members.push(c),
        }
    }
    None
}

/// The names of an absolute or relative path.
#[derive(Debug, Clone)]
pub(crate) struct PathNames<'path>(&'path [u8]);

impl<'path> PathNames<'path> {
    pub(crate) fn of(path: &'path [u8]) -> Self {
        Self(path)
    }
}

impl<'path> Iterator for PathNames<'path> {
    type Item = &'path [u8];

    fn next(&mut self) -> Option<Self::Item> {
        while let [b'/', rest @ ..] = self.0 {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let end = self
            .0
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(name)
    }
}

/// Whether the segments match all names.
pub(crate) fn match_all(segments: &[Segment], names: PathNames) -> bool {
    match_names(segments, names, true).is_some()
}

/// Matches the segments with the fewest leading names; returns the names after them.
pub(crate) fn match_start<'path>(
    segments: &[Segment],
    names: PathNames<'path>,
) -> Option<PathNames<'path>> {
    match_names(segments, names, false)
}

/// Matches segments with names; returns the names that are left over. `to_the_end` requires that
/// there are none.
///
/// Backtracking to the last `**` is enough: whatever an earlier one could match in addition, the
/// last one can match too.
fn match_names<'path>(
    segments: &[Segment],
    names: PathNames<'path>,
    to_the_end: bool,
) -> Option<PathNames<'path>> {
    let mut rest = names;
    let mut position = 0;
    // The segment after the last `**`, and the names that it was tried with.
    let mut retry: Option<(usize, PathNames)> = None;
    loop {
        match segments.get(position) {
            Some(Segment::Globstar) if position + 1 == segments.len() => return Some(rest),
            Some(Segment::Globstar) => {
                position += 1;
                retry = Some((position, rest.clone()));
                continue;
            }
            Some(segment) => {
                let mut ahead = rest.clone();
                if segment.matches(ahead.next()?) {
                    rest = ahead;
                    position += 1;
                    continue;
                }
            }
            None if !to_the_end || rest.clone().next().is_none() => return Some(rest),
            None => {}
        }
        let (after, tried) = retry.as_mut()?;
        tried.next()?;
        (position, rest) = (*after, tried.clone());
    }
}

/// Whether the segments can match a path strictly below these names.
pub(crate) fn may_match_below(segments: &[Segment], names: PathNames) -> bool {
    let mut segments = segments.iter();
    for name in names {
        match segments.next() {
            Some(Segment::Globstar) => return true,
            Some(segment) if segment.matches(name) => {}
            _ => return false,
        }
    }
    segments.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(pattern: &str) -> Vec<Segment> {
        pattern.split('/').map(Segment::compile).collect()
    }

    #[test]
    fn globstars_match_any_number_of_names() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("**", &["", "a", "a/b/c"], &[]),
            ("a/**", &["a", "a/b", "a/b/c"], &["", "b", "ab"]),
            ("**/a", &["a", "b/a", "b/c/a", "a/a"], &["", "b", "a/b"]),
            (
                "a/**/b",
                &["a/b", "a/x/b", "a/b/b", "a/x/y/b"],
                &["a", "b", "a/b/x"],
            ),
            (
                "**/a/**/b/**",
                &["a/b", "x/a/y/b/z", "a/a/b/b"],
                &["b/a", "a", "a/x"],
            ),
            (
                "**/a/b/**/c/**/d",
                &["a/b/c/d", "a/x/a/b/x/c/x/d"],
                &["a/c/b/d"],
            ),
            ("*/**", &["a", "a/b"], &[""]),
        ];
        for (pattern, matching, others) in table {
            for path in *matching {
                assert!(
                    match_all(&segments(pattern), PathNames::of(path.as_bytes())),
                    "{pattern} {path}"
                );
            }
            for path in *others {
                assert!(
                    !match_all(&segments(pattern), PathNames::of(path.as_bytes())),
                    "{pattern} {path}"
                );
            }
        }
    }

    #[test]
    fn a_directory_is_entered_if_the_pattern_can_match_below_it() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a/b", &["", "a"], &["a/b", "b", "a/c"]),
            ("a/*/c", &["a", "a/x"], &["a/x/c", "a/x/y"]),
            ("a/**/c", &["a", "a/x", "a/x/c"], &["b"]),
            ("a/**", &["a", "a/b"], &["b"]),
        ];
        for (pattern, above, others) in table {
            for path in *above {
                assert!(
                    may_match_below(&segments(pattern), PathNames::of(path.as_bytes())),
                    "{pattern} {path}"
                );
            }
            for path in *others {
                assert!(
                    !may_match_below(&segments(pattern), PathNames::of(path.as_bytes())),
                    "{pattern} {path}"
                );
            }
        }
    }

    #[test]
    fn only_segments_without_wildcards_are_literal() {
        let table = [
            ("a", Some("a")),
            ("a*", None),
            ("?", None),
            ("**", None),
            (r"\*", Some("*")),
            (r"a\", Some(r"a\")),
            (r"\\a", Some(r"\a")),
            ("[a]", Some("a")),
            (r"[\]]", Some("]")),
            ("[ab]", None),
            ("[!]", Some("!")),
            ("[]", Some("[]")),
            ("[]a]", Some("[]a]")),
            ("[a", Some("[a")),
            ("x[[]y", Some("x[y")),
            ("{a,b}", Some("{a,b}")),
        ];
        for (segment, name) in table {
            assert_eq!(literal(segment).as_deref(), name, "{segment}");
        }
    }
}
