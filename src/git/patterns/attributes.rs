//! Which files git may convert between a blob and the checkout, by `.gitattributes` files.
//!
//! A file that a filter converts (Git LFS, git-crypt) has other bytes than its blob, and the same
//! blob can have different files: with and without the filter installed. Its blob says nothing.
//! The conversion of line ends is not meant here, because it changes the length of a file.

use std::sync::Arc;

use super::pattern::GitPattern;

/// Attributes with which two files of one blob can have the same length and different bytes.
const CONVERTING: [&[u8]; 3] = [b"filter", b"ident", b"working-tree-encoding"];

/// The patterns of converted files that apply in a directory, as of [`super::ignore::IgnoreChain`].
#[derive(Clone, Debug, Default)]
pub(in crate::git) struct ConversionChain(Option<Arc<ConversionLink>>);

#[derive(Debug)]
struct ConversionLink {
    patterns: Vec<GitPattern>,
    /// Attributes that stand for a list with a converting one.
    macros: Vec<Box<[u8]>>,
    dir_length: usize,
    above: ConversionChain,
}

impl ConversionChain {
    /// Adds the text of the file in a directory below all directories so far. `dir` is its path
    /// with a slash at the end, or empty for the top.
    pub(in crate::git) fn with(&self, dir: &[u8], text: &[u8]) -> Self {
        let mut link = ConversionLink {
            patterns: Vec::new(),
            macros: Vec::new(),
            dir_length: dir.len(),
            above: self.clone(),
        };
        for line in text.split(|byte| *byte == b'\n') {
            link.add(line);
        }
        if link.patterns.is_empty() && link.macros.is_empty() {
            return self.clone();
        }
        Self(Some(Arc::new(link)))
    }

    /// Whether any line gives a file of the chain's directory a converting attribute, even if
    /// another line takes it away.
    pub(in crate::git) fn may_convert(&self, path: &[u8]) -> bool {
        self.links().any(|link| {
            let relative = path.get(link.dir_length..).unwrap_or_default();
            link.patterns
                .iter()
                .any(|pattern| pattern.matches(relative, false))
        })
    }

    fn links(&self) -> impl Iterator<Item = &ConversionLink> {
        std::iter::successors(self.0.as_deref(), |link| link.above.0.as_deref())
    }
}

impl ConversionLink {
    fn add(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        let Some((pattern, attributes)) = split_pattern(line) else {
            return;
        };
        let mut attributes = attributes.split(|byte| byte.is_ascii_whitespace());
        if !attributes.any(|attribute| self.is_converting(attribute)) {
            return;
        }
        match pattern.strip_prefix(b"[attr]") {
            Some(name) => self.macros.push(name.into()),
            None => self.patterns.push(GitPattern::new(&pattern)),
        }
    }

    /// `-filter` and `!filter` take the attribute away.
    fn is_converting(&self, attribute: &[u8]) -> bool {
        let end = memchr::memchr(b'=', attribute).unwrap_or(attribute.len());
        let name = &attribute[..end];
        let mut macros = self.macros.iter();
        CONVERTING.contains(&name)
            || macros.any(|own| &**own == name)
            || self
                .above
                .links()
                .any(|link| link.macros.iter().any(|known| &**known == name))
    }
}

/// The pattern at the start of a line, without quotes, and the attributes behind it. None for a
/// blank line, a comment, and a negated pattern, which git refuses.
fn split_pattern(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    match line.first()? {
        b'#' | b'!' => None,
        b'"' => unquote(&line[1..]),
        _ => {
            let end = line.iter().position(|byte| byte.is_ascii_whitespace());
            let end = end.unwrap_or(line.len());
            Some((line[..end].to_owned(), &line[end..]))
        }
    }
}

/// Text in C's notation up to the closing quote, and the rest. None if there is none.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut unquoted = Vec::new();
    let mut at = 0;
    loop {
        match *text.get(at)? {
            b'"' => return Some((unquoted, &text[at + 1..])),
            b'\\' => {
                at += 1;
                let escaped = *text.get(at)?;
                unquoted.push(match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'0'..=b'3' => {
                        let digits = std::str::from_utf8(text.get(at..at + 3)?).ok()?;
                        at += 2;
                        u8::from_str_radix(digits, 8).ok()?
                    }
                    other => other,
                });
            }
            byte => unquoted.push(byte),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(text: &str) -> ConversionChain {
        ConversionChain::default().with(b"", text.as_bytes())
    }

    #[test]
    fn files_of_a_filter_may_be_converted() {
        let chain =
            chain("* text=auto\n*.psd filter=lfs diff=lfs -text\n# *.c filter=x\n/k ident\n");
        assert!(chain.may_convert(b"a/b.psd") && chain.may_convert(b"k"));
        assert!(!chain.may_convert(b"a.c") && !chain.may_convert(b"a/k"));
    }

    #[test]
    fn taking_an_attribute_away_converts_nothing() {
        assert!(!chain("a -filter\na !ident\n").may_convert(b"a"));
        assert!(chain("a filter=x\na -filter\n").may_convert(b"a"));
    }

    #[test]
    fn a_macro_stands_for_its_attributes() {
        let top = chain("[attr]big filter=lfs -text\n*.bin big\n");
        let below = top.with(b"a/", b"/c big\n");
        assert!(top.may_convert(b"x.bin") && !top.may_convert(b"big"));
        assert!(below.may_convert(b"a/c") && below.may_convert(b"a/x.bin"));
    }

    #[test]
    fn a_quoted_pattern_can_have_blanks_and_any_bytes() {
        let chain = chain("\"a \\\"\\303\\244\\t\" filter=x\n\"open filter=x\n");
        assert!(chain.may_convert("a \"ä\t".as_bytes()));
        assert!(!chain.may_convert(b"open"));
    }
}
