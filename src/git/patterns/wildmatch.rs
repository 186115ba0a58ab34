//! Git's own wildcards, byte by byte as in its `wildmatch.c`.
//!
//! The `glob` room has the wildcards of GitHub's libraries, which differ: in brackets, in `**`, and
//! in bytes that are not UTF-8.

/// Which names a star and a question mark match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slashes {
    /// A slash like any other byte.
    AreBytes,
    /// No slash, except for `**` between slashes.
    Separate,
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Match,
    NoMatch,
    /// No star before this one can match more to make it match.
    Abort,
    /// The same up to the nearest `**`.
    AbortToStarStar,
}

/// Whether all of `text` matches `pattern`.
pub(super) fn wildmatch(pattern: &[u8], text: &[u8], slashes: Slashes) -> bool {
    matches(pattern, text, slashes) == Outcome::Match
}

fn matches(pattern: &[u8], text: &[u8], slashes: Slashes) -> Outcome {
    let (mut p, mut t) = (0, 0);
    while let Some(&expected) = pattern.get(p) {
        if expected == b'*' {
            match star(pattern, p, &text[t..], slashes) {
                Star::Ends(outcome) => return outcome,
                Star::Continues { pattern, text } => {
                    p = pattern;
                    t += text;
                    continue;
                }
            }
        }
        let Some(&byte) = text.get(t) else {
            return Outcome::Abort;
        };
        let is_separator = byte == b'/' && slashes == Slashes::Separate;
        match expected {
            b'?' if is_separator => return Outcome::NoMatch,
            b'?' => {}
            b'[' => match bracket(&pattern[p..], byte) {
                Some((true, length)) if !is_separator => p += length - 1,
                Some(_) => return Outcome::NoMatch,
                None => return Outcome::Abort,
            },
            b'\\' => {
                p += 1;
                // A backslash at the end matches nothing.
                if pattern.get(p) != Some(&byte) {
                    return Outcome::NoMatch;
                }
            }
            _ if expected != byte => return Outcome::NoMatch,
            _ => {}
        }
        p += 1;
        t += 1;
    }
    if t == text.len() {
        Outcome::Match
    } else {
        Outcome::NoMatch
    }
}

enum Star {
    Ends(Outcome),
    /// The rest after the given lengths must match: a whole name was skipped.
    Continues {
        pattern: usize,
        text: usize,
    },
}

/// Matches the stars at `at` and all that follows them.
fn star(pattern: &[u8], at: usize, text: &[u8], slashes: Slashes) -> Star {
    let stars = pattern[at..].iter().take_while(|byte| **byte == b'*');
    let count = stars.count();
    let rest = &pattern[at + count..];
    let mut crosses_slashes = slashes == Slashes::AreBytes;
    if count > 1 && slashes == Slashes::Separate {
        let starts_name = at == 0 || pattern[at - 1] == b'/';
        let ends_name = rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/");
        if starts_name && ends_name {
            // `a/**/b` matches `a/b` too.
            if rest.starts_with(b"/") && matches(&rest[1..], text, slashes) == Outcome::Match {
                return Star::Ends(Outcome::Match);
            }
            crosses_slashes = true;
        }
    }
    let slash = memchr::memchr(b'/', text);
    match rest.first() {
        None if crosses_slashes || slash.is_none() => Star::Ends(Outcome::Match),
        None => Star::Ends(Outcome::AbortToStarStar),
        Some(b'/') if !crosses_slashes => match slash {
            Some(slash) => Star::Continues {
                pattern: at + count,
                text: slash,
            },
            None => Star::Ends(Outcome::Abort),
        },
        Some(_) => Star::Ends(try_lengths(rest, text, crosses_slashes, slashes)),
    }
}

/// Matches `rest` after each length that a star can have.
fn try_lengths(rest: &[u8], text: &[u8], crosses_slashes: bool, slashes: Slashes) -> Outcome {
    let is_literal = !is_special(rest[0]);
    let mut at = 0;
    while at < text.len() {
        if is_literal {
            // Most positions cannot match.
            let skipped = text[at..]
                .iter()
                .take_while(|byte| **byte != rest[0] && (crosses_slashes || **byte != b'/'));
            at += skipped.count();
            if text.get(at) != Some(&rest[0]) {
                return abort(crosses_slashes);
            }
        }
        match matches(rest, &text[at..], slashes) {
            Outcome::NoMatch if !crosses_slashes && text[at] == b'/' => {
                return Outcome::AbortToStarStar;
            }
            Outcome::NoMatch => {}
            Outcome::AbortToStarStar if crosses_slashes => {}
            outcome => return outcome,
        }
        at += 1;
    }
    Outcome::Abort
}

/// The outcome if nothing that a star can skip makes the rest match.
fn abort(crosses_slashes: bool) -> Outcome {
    if crosses_slashes {
        Outcome::Abort
    } else {
        Outcome::AbortToStarStar
    }
}

/// Whether a byte is the beginning of something other than itself.
pub(super) fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

/// Whether a byte is in the bracket expression at the start of the pattern, and the expression's
/// length. None if it has no end or an unknown class.
fn bracket(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let mut at = 1;
    let is_negated = matches!(pattern.get(at)?, b'!' | b'^');
    if is_negated {
        at += 1;
    }
    let mut is_in = false;
    // The first byte of a range, if the previous item was one byte.
    let mut previous = None;
    let first = at;
    loop {
        let mut current = *pattern.get(at)?;
        if current == b']' && at > first {
            return Some((is_in != is_negated, at + 1));
        }
        match (current, previous) {
            (b'-', Some(from)) if pattern.get(at + 1).is_some_and(|next| *next != b']') => {
                at += 1;
                let mut to = pattern[at];
                if to == b'\\' {
                    at += 1;
                    to = *pattern.get(at)?;
                }
                is_in |= (from..=to).contains(&byte);
                previous = None;
            }
            (b'[', _) if pattern.get(at + 1) == Some(&b':') => {
                let close = at + 2 + memchr::memchr(b']', &pattern[at + 2..])?;
                if let Some(class) = pattern[at + 2..close].strip_suffix(b":") {
                    is_in |= is_in_class(class, byte)?;
                    at = close;
                    previous = None;
                } else {
                    // Not a class but the byte itself.
                    is_in |= byte == b'[';
                    previous = Some(b'[');
                }
            }
            _ => {
                if current == b'\\' {
                    at += 1;
                    current = *pattern.get(at)?;
                }
                is_in |= current == byte;
                previous = Some(current);
            }
        }
        at += 1;
    }
}

/// None for an unknown class.
fn is_in_class(class: &[u8], byte: u8) -> Option<bool> {
    Some(match class {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => byte == b' ' || byte == b'\t',
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most are in git's `t3070-wildmatch.sh`.
    #[test]
    fn patterns_match_as_in_the_tests_of_git() {
        for (text, pattern, is_match) in [
            ("foo", "f*", true),
            ("foo", "***", true),
            ("foobar", "*ob*a*r*", true),
            ("aaaaaaabababab", "*ab", true),
            ("foo*", r"foo\*", true),
            ("foobar", r"foo\*bar", false),
            (r"f\oo", r"f\\oo", true),
            ("ball", "*[al]?", true),
            ("ten", "**[!ten]", false),
            ("ton", "t[!a-g]n", true),
            ("a]b", "a[]]b", true),
            ("a-b", "a[]-]b", true),
            ("aab", "a[]-]b", false),
            ("]", "]", true),
            ("foo/baz/bar", "foo*bar", false),
            ("foo/baz/bar", "foo**bar", false),
            ("foobazbar", "foo**bar", true),
            ("foo/baz/bar", "foo/**/bar", true),
            ("foo/b/a/z/bar", "foo/**/**/bar", true),
            ("foo/bar", "foo/**/bar", true),
            ("foo/bar", "foo/**/**/bar", true),
            ("foo/bar", "foo?bar", false),
            ("foo/bar", "foo[/]bar", false),
            ("foo/bar", "f[^eiu][^eiu][^eiu][^eiu][^eiu]r", false),
            ("foo", "**/foo", true),
            ("bar/baz/foo", "**/foo", true),
            ("bar/baz/foo", "*/foo", false),
            ("foo/bar/baz", "**/bar*", false),
            ("deep/foo/bar/baz/", "**/bar/*", false),
            ("deep/foo/bar/baz/", "**/bar/**", true),
            ("deep/foo/bar/baz/x", "**/bar/*/*", true),
            ("foo/bba/arr", "foo**arr", false),
            ("acrt", "a[c-c]rt", true),
            ("a", "[a-c]b*", false),
            ("foo", "foo\\", false),
            ("ab", "a[]b", false),
            ("ab", "[!", false),
            ("-", "[--A]", true),
            ("5", "[--A]", true),
            (" ", "[ --]", true),
            ("-", "[---]", true),
            ("[ab]", "[[]ab]", true),
            ("[ab]", "[[:]ab]", true),
            ("[ab]", "[[::]ab]", false),
            ("[ab]", "[[:digit]ab]", true),
            ("1", "[[:digit:][:upper:][:spaci:]]", false),
            ("y", "[a-c[:digit:]x-z]", true),
            (".", "[[:digit:][:punct:][:space:]]", true),
            ("]", r"[\]]", true),
            ("\\", "[\\\\-^]", true),
            ("G", "[\\[-\\]]", false),
            (
                "-adobe-courier-bold-o-normal--12-120",
                "-*-*-*-*-*-*-12-*",
                true,
            ),
            (
                "abcd/abcdefg/abcdefghijk/abcdefghijklmnop.txt",
                "**/*a*b*g*n*t",
                true,
            ),
            ("foo/bar/baz/to", "**/to", true),
            ("foo/bba/arr", "foo/**", true),
            ("foo", "foo/**", false),
            ("foo/bb/aa/rr", "foo/*", false),
        ] {
            assert_eq!(
                wildmatch(pattern.as_bytes(), text.as_bytes(), Slashes::Separate),
                is_match,
                "{pattern} and {text}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let text = "a".repeat(250);
        let pattern = "*a".repeat(100) + "b";
        for slashes in [Slashes::AreBytes, Slashes::Separate] {
            assert!(!wildmatch(pattern.as_bytes(), text.as_bytes(), slashes));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(
            pattern in proptest::collection::vec(proptest::sample::select(&b"*?[]\\!^-:/ab"[..]), 0..12),
            text in proptest::collection::vec(proptest::sample::select(&b"ab/]["[..]), 0..8),
        ) {
            let _ = wildmatch(&pattern, &text, Slashes::Separate);
            let _ = wildmatch(&pattern, &text, Slashes::AreBytes);
        }
    }
}
