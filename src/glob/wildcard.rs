//! Matching of one segment with wildcards against one file name.
//!
//! The rules are those of minimatch 3 with `dot`, `nobrace`, `noext` and `nonegate`: `*`, `?`,
//! `[ab]`, `[a-c]`, `[!a]`, `[^a]` and `\` escapes; all other characters are literal. GitHub's
//! programs run in JavaScript, where `?` and a class match one UTF-16 code unit. So names are
//! compared by code units here too: `?` matches `é`, `??` matches `😀`. A byte that is not UTF-8
//! counts as one unit that only wildcards match.

/// A compiled segment with at least one wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wildcard {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Unit(u16),
    AnyUnit,
    AnyUnits,
    Class {
        negated: bool,
        ranges: Vec<(u16, u16)>,
    },
}

/// The longest file name that Linux filesystems allow, in bytes; a name has no more code units than
/// bytes.
const NAME_MAX: usize = 255;

impl Wildcard {
    /// `Err` has the name that the segment stands for, if it has no wildcard.
    pub(crate) fn compile(segment: &str) -> Result<Self, String> {
        let units: Vec<u16> = segment.encode_utf16().collect();
        let tokens = tokens(&units);
        let name: Option<Vec<u16>> = tokens.iter().map(Token::literal).collect();
        match name {
            Some(name) => Err(String::from_utf16_lossy(&name)),
            None => Ok(Self { tokens }),
        }
    }

    /// Whether the wildcard matches the whole name. Does not allocate for names that a filesystem
    /// can have.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        if name.is_ascii() {
            return match_tokens(&self.tokens, name);
        }
        let mut buffer = [0; NAME_MAX];
        if name.len() > NAME_MAX {
            return match_tokens(&self.tokens, &units(name).collect::<Vec<u16>>());
        }
        let mut length = 0;
        for unit in units(name) {
            buffer[length] = unit;
            length += 1;
        }
        match_tokens(&self.tokens, &buffer[..length])
    }
}

impl Token {
    fn literal(&self) -> Option<u16> {
        match self {
            Self::Unit(unit) => Some(*unit),
            _ => None,
        }
    }

    fn matches(&self, unit: u16) -> bool {
        match self {
            Self::Unit(expected) => *expected == unit,
            Self::AnyUnit | Self::AnyUnits => true,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&unit))
                    != *negated
            }
        }
    }
}

/// The code units of a name. A byte that is not UTF-8 becomes a lone low surrogate, as in PEP 383.
fn units(name: &[u8]) -> impl Iterator<Item = u16> + '_ {
    name.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| 0xDC00 + u16::from(*byte));
        chunk.valid().encode_utf16().chain(invalid)
    })
}

/// Whether the tokens match the whole name.
///
/// Backtracking to the last `*` is enough: whatever an earlier one could match in addition, the
/// last one can match too.
fn match_tokens<U: Copy + Into<u16>>(tokens: &[Token], name: &[U]) -> bool {
    // Most names fail here: few names end like a pattern such as `*.zip`.
    if let (Some(Token::Unit(last_token)), Some(&last_unit)) = (tokens.last(), name.last())
        && last_unit.into() != *last_token
    {
        return false;
    }
    let (mut token, mut unit) = (0, 0);
    // The token after the last `*`, and the unit that it was tried with.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match tokens.get(token) {
            Some(Token::AnyUnits) => {
                token += 1;
                retry = Some((token, unit));
                continue;
            }
            Some(single)
                if name
                    .get(unit)
                    .is_some_and(|&next| single.matches(next.into())) =>
            {
                token += 1;
                unit += 1;
                continue;
            }
            None if unit == name.len() => return true,
            _ => {}
        }
        match retry {
            Some((after, start)) if start < name.len() => {
                retry = Some((after, start + 1));
                (token, unit) = (after, start + 1);
            }
            _ => return false,
        }
    }
}

const ESCAPE: u16 = b'\\' as u16;
const OPEN: u16 = b'[' as u16;
const CLOSE: u16 = b']' as u16;
const DASH: u16 = b'-' as u16;

fn tokens(pattern: &[u16]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(&unit) = pattern.get(position) {
        position += 1;
        if unit == u16::from(b'*') {
            tokens.push(Token::AnyUnits);
        } else if unit == u16::from(b'?') {
            tokens.push(Token::AnyUnit);
        } else if unit == ESCAPE && position < pattern.len() {
            tokens.push(Token::Unit(pattern[position]));
            position += 1;
        } else if unit == OPEN {
            position += bracket(&pattern[position..], &mut tokens);
        } else {
            tokens.push(Token::Unit(unit));
        }
    }
    tokens
}

/// Parses the text after a `[`; returns the number of units that were used.
///
/// A bracket is literal if it is not closed or if it has a range that runs backwards.
fn bracket(rest: &[u16], out: &mut Vec<Token>) -> usize {
    let Some(end) = class_end(rest) else {
        out.push(Token::Unit(OPEN));
        let inner = tokens(rest);
        // If only stars follow such a bracket, minimatch requires at least one character.
        if !inner.is_empty() && inner.iter().all(|token| *token == Token::AnyUnits) {
            out.push(Token::AnyUnit);
        }
        out.extend(inner);
        return rest.len();
    };
    if let Some(class) = class(&rest[..end]) {
        out.push(class);
    } else {
        out.push(Token::Unit(OPEN));
        out.extend(tokens(&rest[..end]));
        out.push(Token::Unit(CLOSE));
    }
    end + 1
}

/// The index of the `]` that closes a class. An escaped or a leading `]` does not close it.
fn class_end(class: &[u16]) -> Option<usize> {
    let mut index = 0;
    while index < class.len() {
        match class[index] {
            ESCAPE => index += 1,
            CLOSE if index > 0 => return Some(index),
            _ => {}
        }
        index += 1;
    }
    None
}

/// The class with these contents; `None` if one of its ranges runs backwards.
fn class(contents: &[u16]) -> Option<Token> {
    let negated = matches!(contents.first(), Some(&first) if first == u16::from(b'!') || first == u16::from(b'^'));
    let members = unescaped(&contents[usize::from(negated)..]);
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    while let [low, tail @ ..] = rest {
        if let [DASH, high, tail @ ..] = tail {
            if low > high {
                return None;
            }
            ranges.push((*low, *high));
            rest = tail;
        } else {
            ranges.push((*low, *low));
            rest = tail;
        }
    }
    match (negated, ranges.as_slice()) {
        (false, [(low, high)]) if low == high => Some(Token::Unit(*low)),
        _ => Some(Token::Class { negated, ranges }),
    }
}

fn unescaped(units: &[u16]) -> Vec<u16> {
    let mut plain = Vec::with_capacity(units.len());
    let mut units = units.iter();
    while let Some(&unit) = units.next() {
        let escaped = if unit == ESCAPE { units.next() } else { None };
        plain.push(escaped.copied().unwrap_or(unit));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: impl AsRef<[u8]>) -> bool {
        match Wildcard::compile(pattern) {
            Ok(wildcard) => wildcard.matches(name.as_ref()),
            Err(literal) => literal.as_bytes() == name.as_ref(),
        }
    }

    #[test]
    fn wildcards_match_code_units_like_javascript() {
        assert!(matches("?", "é"));
        assert!(!matches("?", "😀"));
        assert!(matches("??", "😀"));
        assert!(matches("[é-í]x", "êx"));
        assert!(!matches("[😀]", "😀"));
    }

    #[test]
    fn wildcards_match_each_byte_that_is_not_utf8() {
        assert!(matches("a*", b"a\xff\xfe"));
        assert!(matches("a??", b"a\xff\xfe"));
        assert!(!matches("a?", b"a\xff\xfe"));
        assert!(matches("[!a]", b"\xff"));
        assert!(!matches("\u{fffd}*", b"\xff"));
        assert!(matches("*z", [vec![0xff; 300], vec![b'z']].concat()));
    }

    #[test]
    fn a_segment_without_wildcards_is_a_name() {
        for (segment, name) in [
            ("a", "a"),
            (r"we\[1\]rd", "we[1]rd"),
            (r"a\", r"a\"),
            (r"\\", r"\"),
            ("x[[]y", "x[y"),
            ("a[b", "a[b"),
            ("[z-a]", "[z-a]"),
        ] {
            assert_eq!(
                Wildcard::compile(segment),
                Err(name.to_owned()),
                "{segment}"
            );
        }
    }
}
