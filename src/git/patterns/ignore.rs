//! Which files git ignores, by the `.gitignore` files from the top of a checkout to a directory.

use std::sync::Arc;

use super::pattern::GitPattern;

/// The patterns of one file.
#[derive(Debug, Default)]
struct IgnoreRules {
    /// In the order of the file, each with whether it ends ignoring (`!`).
    patterns: Vec<(GitPattern, bool)>,
}

/// The patterns that apply in a directory: those of its own file, and of the directories above it.
#[derive(Clone, Debug, Default)]
pub(in crate::git) struct IgnoreChain(Option<Arc<ChainLink>>);

#[derive(Debug)]
struct ChainLink {
    rules: IgnoreRules,
    /// The length of the path of the file's directory, with its slash.
    dir_length: usize,
    above: IgnoreChain,
}

impl IgnoreChain {
    /// Adds the text of the file in a directory below all directories so far. `dir` is its path
    /// with a slash at the end, or empty for the top.
    pub(in crate::git) fn with(&self, dir: &[u8], text: &[u8]) -> Self {
        let rules = IgnoreRules::parse(text);
        if rules.patterns.is_empty() {
            return self.clone();
        }
        Self(Some(Arc::new(ChainLink {
            rules,
            dir_length: dir.len(),
            above: self.clone(),
        })))
    }

    /// Whether a path is ignored that is in the directory of this chain. The last pattern that
    /// matches decides, and a file in a lower directory before those above it. The caller knows
    /// that no directory above the path is ignored.
    pub(in crate::git) fn ignores(&self, path: &[u8], is_dir: bool) -> bool {
        let mut next = self;
        while let Some(link) = next.0.as_deref() {
            let relative = path.get(link.dir_length..).unwrap_or_default();
            if let Some(ignores) = link.rules.decide(relative, is_dir) {
                return ignores;
            }
            next = &link.above;
        }
        false
    }
}

impl IgnoreRules {
    fn parse(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let lines = text.split(|byte| *byte == b'\n');
        Self {
            patterns: lines.filter_map(parse_line).collect(),
        }
    }

    /// None if no pattern matches.
    fn decide(&self, path: &[u8], is_dir: bool) -> Option<bool> {
        let mut patterns = self.patterns.iter().rev();
        patterns
            .find(|(pattern, _)| pattern.matches(path, is_dir))
            .map(|(_, is_negated)| !is_negated)
    }
}

/// None for a blank line or a comment.
fn parse_line(line: &[u8]) -> Option<(GitPattern, bool)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.split(|byte| *byte == 0).next().unwrap_or(line);
    let line = without_blanks_at_end(line);
    if line.is_empty() || line[0] == b'#' {
        return None;
    }
    let (line, is_negated) = match line.strip_prefix(b"!") {
        Some(line) => (line, true),
        None => (line, false),
    };
    Some((GitPattern::new(line), is_negated))
}

/// A blank after a backslash belongs to the pattern.
fn without_blanks_at_end(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += if *byte == b'\\' && at + 1 < line.len() {
            2
        } else {
            1
        };
        if *byte != b' ' {
            end = at;
        }
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_end_are_removed_unless_escaped() {
        for (line, trimmed) in [
            ("a  ", "a"),
            (r"a\ ", r"a\ "),
            (r"a\  ", r"a\ "),
            (r"a\\ ", r"a\\"),
            ("a b\t ", "a b\t"),
            ("  ", ""),
            ("a\\", "a\\"),
            ("", ""),
        ] {
            let found = without_blanks_at_end(line.as_bytes());
            assert_eq!(found, trimmed.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn the_last_pattern_and_the_lowest_file_decide() {
        let top = IgnoreChain::default().with(b"", b"*.o\n!keep.o\n\n# no\n/out\n");
        let below = top.with(b"a/", b"keep.o\r\n!b.o\n");
        assert!(top.ignores(b"x.o", false) && !top.ignores(b"keep.o", false));
        assert!(top.ignores(b"out", true) && !top.ignores(b"a/out", true));
        assert!(below.ignores(b"a/keep.o", false) && !below.ignores(b"a/b.o", false));
        assert!(below.ignores(b"a/c.o", false) && !below.ignores(b"a/# no", false));
    }
}
