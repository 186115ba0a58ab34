//! Segments: what stands between the slashes of a pattern.

use crate::glob::wildcard::Wildcard;

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Exactly this name.
    Name(Box<[u8]>),
    /// Any name that fits.
    Wildcard(Wildcard),
    /// `**`: any number of names, also none.
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

    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(own) => **own == *name,
            Self::Wildcard(wildcard) => wildcard.matches(name),
            Self::Globstar => true,
        }
    }
}

/// The name a segment stands for where a search begins, or nothing when it has a wildcard.
///
/// This reading of brackets is coarser than that of the matching: only a class of one character is
/// that character, and `[!]` is `!` (actions/toolkit, packages/glob, `internal-pattern.ts`,
/// `getLiteral`). Where the two differ the search begins at a name the pattern does not match, and
/// finds nothing.
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
            other => name.push(other),
        }
    }
    Some(name)
}

/// The unescaped text up to the first `]` that is not escaped, and what follows it.
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

/// The names of a path, from the root or from the directory it is relative to.
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

/// Whether the segments account for all the names.
pub(crate) fn match_all(segments: &[Segment], names: PathNames) -> bool {
    consume(segments, names, true).is_some()
}

/// The names left over after the fewest that the segments account for.
pub(crate) fn match_start<'path>(
    segments: &[Segment],
    names: PathNames<'path>,
) -> Option<PathNames<'path>> {
    consume(segments, names, false)
}

/// Fits segments to names; only the last `**` has to be tried again, as an earlier one can give it
/// nothing new.
fn consume<'path>(
    segments: &[Segment],
    names: PathNames<'path>,
    to_the_end: bool,
) -> Option<PathNames<'path>> {
    let mut rest = names;
    let mut at = 0;
    // The segment after the last `**`, and the names that are tried for it.
    let mut retry: Option<(usize, PathNames)> = None;
    loop {
        match segments.get(at) {
            Some(Segment::Globstar) if at + 1 == segments.len() => return Some(rest),
            Some(Segment::Globstar) => {
                at += 1;
                retry = Some((at, rest.clone()));
                continue;
            }
            Some(segment) => {
                let mut ahead = rest.clone();
                if segment.takes(ahead.next()?) {
                    rest = ahead;
                    at += 1;
                    continue;
                }
            }
            None if !to_the_end || rest.clone().next().is_none() => return Some(rest),
            None => {}
        }
        let (after, tried) = retry.as_mut()?;
        tried.next()?;
        (at, rest) = (*after, tried.clone());
    }
}

/// Whether the segments can account for a path that lies strictly below these names.
pub(crate) fn may_match_below(segments: &[Segment], names: PathNames) -> bool {
    let mut segments = segments.iter();
    for name in names {
        match segments.next() {
            Some(Segment::Globstar) => return true,
            Some(segment) if segment.takes(name) => {}
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
    fn globstars_take_any_number_of_names() {
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
        for (pattern, fitting, others) in table {
            for path in *fitting {
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
    fn a_path_above_what_a_pattern_matches_is_worth_entering() {
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
