//! Finds the patterns of a long list that may match a path, by their literal beginnings.
//!
//! A step can list thousands of paths, one a line. Comparing each path on the disk with each line
//! would take time in the square of that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::glob::path_pattern::PathPattern;

/// Comparing a path with this many patterns takes less time than looking them up.
const SHORT_LIST: usize = 32;

#[derive(Debug, Clone, Default)]
pub(super) struct PrefixIndex {
    /// The number of patterns.
    length: usize,
    /// None for a short list.
    lookup: Option<Box<PatternsByPath>>,
}

#[derive(Debug, Clone, Default)]
struct PatternsByPath {
    /// The positions of the patterns, by the literal path before the first wildcard.
    by_search_path: HashMap<PathBuf, Vec<usize>>,
    /// The patterns whose search paths lie below a directory.
    below: HashMap<PathBuf, PatternsBelow>,
}

#[derive(Debug, Clone, Default)]
struct PatternsBelow {
    positions: Vec<usize>,
    /// Whether one of them has no `!`.
    has_include: bool,
}

impl PrefixIndex {
    pub(super) fn new(patterns: &[PathPattern]) -> Self {
        Self {
            length: patterns.len(),
            lookup: (patterns.len() > SHORT_LIST).then(|| Box::new(PatternsByPath::new(patterns))),
        }
    }

    /// The positions of all patterns that may match this absolute path or a path below it, in order.
    /// Patterns whose search path lies below it are missing in a long list.
    pub(super) fn candidates(&self, path: &Path) -> impl Iterator<Item = usize> + use<> {
        let found = self.lookup.as_ref().map(|lookup| lookup.find(path));
        let all = if found.is_none() { self.length } else { 0 };
        (0..all).chain(found.into_iter().flatten())
    }

    /// The positions of all patterns that may match this absolute directory or a path below it, in
    /// order.
    pub(super) fn candidates_below(&self, directory: &Path) -> Vec<usize> {
        let mut found: Vec<usize> = self.candidates(directory).collect();
        if let Some(below) = self.below(directory) {
            found.extend(&below.positions);
            found.sort_unstable();
        }
        found
    }

    /// Whether the search path of a pattern without `!` lies below this path. False for a short
    /// list.
    pub(super) fn is_above_include(&self, path: &Path) -> bool {
        self.below(path).is_some_and(|below| below.has_include)
    }

    fn below(&self, directory: &Path) -> Option<&PatternsBelow> {
        self.lookup.as_ref()?.below.get(directory)
    }
}

impl PatternsByPath {
    fn new(patterns: &[PathPattern]) -> Self {
        let mut lookup = Self::default();
        for (position, pattern) in patterns.iter().enumerate() {
            let path = &pattern.search_path;
            for above in path.ancestors().skip(1) {
                let below = lookup.below.entry(above.to_owned()).or_default();
                below.positions.push(position);
                below.has_include |= !pattern.exclude;
            }
            let positions = lookup.by_search_path.entry(path.clone()).or_default();
            positions.push(position);
        }
        lookup
    }

    fn find(&self, path: &Path) -> Vec<usize> {
        let prefixes = path.ancestors();
        let mut found: Vec<usize> = prefixes
            .filter_map(|prefix| self.by_search_path.get(prefix))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Base;

    fn patterns(lines: impl Iterator<Item = String>) -> Vec<PathPattern> {
        let base = Base::new("/ws", "/home/u");
        lines
            .map(|line| PathPattern::parse(&line, &base).unwrap())
            .collect()
    }

    #[test]
    fn of_a_long_list_only_patterns_with_the_beginning_of_the_path_are_compared() {
        let lines = (0..5_000).map(|number| format!("dir-{number}/file"));
        let others = ["!**/*.log", "dir-7/*", "/elsewhere"].map(str::to_owned);
        let index = PrefixIndex::new(&patterns(lines.chain(others)));
        let candidates = |path: &str| index.candidates(Path::new(path)).collect::<Vec<_>>();
        assert_eq!(candidates("/ws/dir-7/file"), [7, 5_000, 5_001]);
        assert_eq!(candidates("/ws/dir-8"), [5_000]);
        assert_eq!(candidates("/elsewhere/below"), [5_002]);
        let below = |path: &str| index.candidates_below(Path::new(path));
        assert_eq!(below("/ws/dir-7"), [7, 5_000, 5_001]);
        assert_eq!(below("/ws/dir-9"), [9, 5_000]);
        assert_eq!(below("/ws").len(), 5_002);
        assert!(index.is_above_include(Path::new("/ws/dir-8")));
        assert!(!index.is_above_include(Path::new("/ws/dir-8/file")));
        let short = PrefixIndex::new(&patterns(["a", "b"].map(str::to_owned).into_iter()));
        assert_eq!(short.candidates(Path::new("/x")).count(), 2);
    }
}
