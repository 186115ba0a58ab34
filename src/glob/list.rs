//! Lists of patterns: which paths they match, and where the search for these paths starts.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::glob::base::Base;
use crate::glob::error::PatternError;
use crate::glob::path_pattern::PathPattern;
use crate::glob::prefix_index::PrefixIndex;
use crate::glob::white_space::js_trim;

/// A list of patterns. Their order matters: each line adds paths to the matches of the lines before
/// it, or removes paths from them.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    patterns: Vec<PathPattern>,
    index: PrefixIndex,
}

/// Whether a path is matched. This can depend on its kind: `name/` matches only directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PatternMatch {
    /// Matched if the path is a directory.
    pub directory: bool,
    /// Matched if the path is anything else.
    pub file: bool,
}

impl PatternMatch {
    /// Whether a path of any kind is matched.
    pub fn any(self) -> bool {
        self.directory || self.file
    }
}

impl Patterns {
    /// Parses patterns, one per line. Blank lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// The first line that GitHub's rules reject.
    pub fn parse<Lines>(lines: Lines, base: &Base) -> Result<Self, PatternError>
    where
        Lines: IntoIterator<Item: AsRef<str>>,
    {
        let mut patterns = Vec::new();
        for item in lines {
            for line in item.as_ref().split('\n').map(js_trim) {
                if !line.is_empty() && !line.starts_with('#') {
                    patterns.push(PathPattern::parse(line, base)?);
                }
            }
        }
        Ok(Self::of(patterns))
    }

    fn of(patterns: Vec<PathPattern>) -> Self {
        Self {
            index: PrefixIndex::new(&patterns),
            patterns,
        }
    }

    /// The same list, but each pattern also matches everything below its matches, as in
    /// `hashFiles`.
    #[must_use]
    pub fn with_descendants(&self) -> Self {
        let mut patterns = Vec::with_capacity(2 * self.patterns.len());
        for pattern in &self.patterns {
            let descendants = pattern.descendants();
            patterns.push(pattern.clone());
            patterns.extend(descendants);
        }
        Self::of(patterns)
    }

    /// Whether nothing can match: there are no patterns except `!` ones.
    pub fn is_empty(&self) -> bool {
        self.includes().next().is_none()
    }

    /// `path` is absolute, without `.` and `..`. Does not access the disk.
    pub fn matches(&self, path: &Path) -> PatternMatch {
        let bytes = path.as_os_str().as_bytes();
        let mut matched = PatternMatch::default();
        for pattern in self.index.candidates(path) {
            let pattern = &self.patterns[pattern];
            let include = !pattern.exclude;
            let is_unaffected = matched.directory == include
                && (pattern.directories_only || matched.file == include);
            if is_unaffected || !pattern.matches(bytes) {
                continue;
            }
            matched.directory = include;
            if !pattern.directories_only {
                matched.file = include;
            }
        }
        matched
    }

    /// Whether the list can match a path below this absolute path.
    pub(crate) fn may_match_below(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        let mut candidates = self.index.candidates(path);
        let may_match = |pattern: usize| {
            let pattern = &self.patterns[pattern];
            !pattern.exclude && pattern.may_match_below(bytes)
        };
        self.index.is_above_include(path) || candidates.any(may_match)
    }

    /// The directories where the search starts: the literal path before the first wildcard of each
    /// pattern, in order, without duplicates and without those below another (actions/toolkit,
    /// packages/glob, `internal-pattern-helper.ts`).
    pub(crate) fn search_paths(&self) -> Vec<&Path> {
        let all: HashSet<&Path> = self
            .includes()
            .map(|pattern| pattern.search_path.as_path())
            .collect();
        let mut seen = HashSet::new();
        self.includes()
            .map(|pattern| pattern.search_path.as_path())
            .filter(|path| {
                !path
                    .ancestors()
                    .skip(1)
                    .any(|ancestor| all.contains(ancestor))
            })
            .filter(|path| seen.insert(*path))
            .collect()
    }

    pub(crate) fn all(&self) -> &[PathPattern] {
        &self.patterns
    }

    /// The patterns that may match this absolute directory or a path below it, in order.
    pub(super) fn candidates_below(&self, directory: &Path) -> impl Iterator<Item = &PathPattern> {
        let candidates = self.index.candidates_below(directory).into_iter();
        candidates.map(|position| &self.patterns[position])
    }

    fn includes(&self) -> impl Iterator<Item = &PathPattern> {
        self.patterns.iter().filter(|pattern| !pattern.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> Patterns {
        Patterns::parse(lines, &Base::new("/ws", "/home/u")).unwrap()
    }

    #[test]
    fn searches_begin_at_the_literal_part_and_never_below_another_search() {
        let table: &[(&[&str], &[&str])] = &[
            (&["a/*", "b/c/*.rs"], &["/ws/a", "/ws/b/c"]),
            (&["a/b", "a"], &["/ws/a"]),
            (&["a", "a/b/**"], &["/ws/a"]),
            (&["b", "a", "b"], &["/ws/b", "/ws/a"]),
            (&["**/x", "/tmp/*"], &["/ws", "/tmp"]),
            (&["~/a", "~"], &["/home/u"]),
            (&["ab", "a"], &["/ws/ab", "/ws/a"]),
            (&["/", "a"], &["/"]),
            (&["!a", "b"], &["/ws/b"]),
            (&["[x]/y*"], &["/ws/x"]),
        ];
        for (patterns, roots) in table {
            let roots: Vec<&Path> = roots.iter().map(Path::new).collect();
            assert_eq!(list(patterns).search_paths(), roots, "{patterns:?}");
        }
    }

    #[test]
    fn a_long_list_matches_what_a_short_one_matches() {
        let lines = ["a/*.rs", "!a/b.rs", "dir/", "x/**/y", "!x/z/**", "/tmp/*"];
        let unused = (0..100).map(|number| format!("unused/{number}/file"));
        let all: Vec<String> = unused.chain(lines.map(str::to_owned)).collect();
        let (short, long) = (
            list(&lines),
            Patterns::parse(&all, &Base::new("/ws", "/home/u")).unwrap(),
        );
        for path in [
            "/ws",
            "/ws/a",
            "/ws/a/b.rs",
            "/ws/a/c.rs",
            "/ws/dir",
            "/ws/dir/f",
            "/ws/x",
            "/ws/x/y",
            "/ws/x/z/q/y",
            "/tmp",
            "/tmp/f",
            "/",
            "/ws/other",
        ] {
            let path = Path::new(path);
            assert_eq!(long.matches(path), short.matches(path), "{path:?}");
            let may_match = (long.may_match_below(path), short.may_match_below(path));
            assert_eq!(may_match.0, may_match.1, "{path:?}");
        }
        assert!(long.may_match_below(Path::new("/ws/unused/7")));
        assert!(!long.may_match_below(Path::new("/ws/unused/7/file")));
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let matched = |patterns: &[&str], path: &str| {
            let found = list(patterns).matches(Path::new(path));
            (found.directory, found.file)
        };
        assert_eq!(matched(&["a"], "/ws/a"), (true, true));
        assert_eq!(matched(&["a", "!a"], "/ws/a"), (false, false));
        assert_eq!(matched(&["a", "!a", "a"], "/ws/a"), (true, true));
        assert_eq!(matched(&["a/"], "/ws/a"), (true, false));
        assert_eq!(matched(&["a", "!a/"], "/ws/a"), (false, true));
        assert_eq!(matched(&["!a", "a"], "/ws/a"), (true, true));
        assert_eq!(matched(&["!!a"], "/ws/a"), (true, true));
        assert_eq!(matched(&["a/"], "/ws/a/b"), (false, false));
    }

    #[test]
    fn descendants_follow_each_pattern_at_its_place() {
        let below = |patterns: &[&str], path: &str| {
            list(patterns)
                .with_descendants()
                .matches(Path::new(path))
                .any()
        };
        assert!(below(&["a"], "/ws/a/b/c"));
        assert!(!below(&["a", "!a/b"], "/ws/a/b/c"));
        assert!(below(&["a", "!a/b", "a/b/c"], "/ws/a/b/c"));
        assert!(below(&["a/"], "/ws/a/b/c"));
        assert!(
            !list(&["file/"])
                .with_descendants()
                .matches(Path::new("/ws/file"))
                .file
        );
    }
}
