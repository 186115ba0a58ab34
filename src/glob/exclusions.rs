//! The paths below a matched directory that the `!` lines of a list exclude.
//!
//! A matched directory stands for everything below it. A path below it is excluded if the last
//! pattern that matches the path or one of its parents is a `!` pattern. This is the rule of the
//! list itself with each pattern extended to its descendants, as in `hashFiles`.
//!
//! All patterns are made relative to the directory first. Few or none remain, and without any a
//! scan needs one comparison for each path.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::glob::list::Patterns;
use crate::glob::path_pattern::PathPattern;
use crate::glob::segment::{PathNames, Segment, match_start, may_match_below};

/// The patterns that apply below one directory.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    /// In the order of the list, from the first `!` pattern on.
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    exclude: bool,
    directories_only: bool,
    /// Relative to the directory; empty if everything below it matches.
    segments: Vec<Segment>,
}

/// What a scan does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Include,
    /// Skip it, with everything below it.
    Exclude,
    /// Scan this directory, and drop it if nothing below it is included.
    IncludeIfNonEmpty,
}

impl Patterns {
    /// The exclusions of the list below a matched directory, which is an absolute path.
    pub fn exclusions_below(&self, directory: &Path) -> Exclusions {
        let mut rules: Vec<Rule> = Vec::new();
        for pattern in self.candidates_below(directory) {
            for rule in rules_below(pattern, directory) {
                if rule.segments.is_empty() {
                    rules.clear();
                }
                if rule.exclude || !rules.is_empty() {
                    rules.push(rule);
                }
            }
        }
        Exclusions { rules }
    }
}

impl Exclusions {
    /// Whether every path is included, so that [`Self::verdict`] need not be called.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// `path` is relative to the directory and has no `.` or `..`. Does not allocate.
    ///
    /// An excluded directory in which a later pattern may include something is
    /// [`Filter::IncludeIfNonEmpty`].
    pub fn verdict(&self, path: &Path, is_directory: bool) -> Filter {
        let names = PathNames::of(path.as_os_str().as_bytes());
        let Some(last) = self
            .rules
            .iter()
            .rposition(|rule| rule.matches_with_parents(names.clone(), is_directory))
        else {
            return Filter::Include;
        };
        let later = || self.rules[last + 1..].iter().filter(|rule| !rule.exclude);
        if !self.rules[last].exclude {
            Filter::Include
        } else if is_directory && later().any(|rule| may_match_below(&rule.segments, names.clone()))
        {
            Filter::IncludeIfNonEmpty
        } else {
            Filter::Exclude
        }
    }
}

impl Rule {
    /// Whether the pattern matches the path or one of its parents.
    fn matches_with_parents(&self, names: PathNames, is_directory: bool) -> bool {
        match match_start(&self.segments, names) {
            // With names left over, the pattern matched a parent, and a parent is a directory.
            Some(mut rest) => !self.directories_only || is_directory || rest.next().is_some(),
            None => false,
        }
    }
}

/// The pattern relative to the directory: one rule for each way in which its first segments match
/// the directory's names.
fn rules_below(pattern: &PathPattern, directory: &Path) -> Vec<Rule> {
    let segments = &pattern.segments;
    let mut positions = vec![0];
    for name in PathNames::of(directory.as_os_str().as_bytes()) {
        let mut next = Vec::new();
        for &position in &positions {
            advance(segments, position, name, &mut next);
        }
        next.sort_unstable();
        next.dedup();
        positions = next;
    }
    let rule = |segments: &[Segment]| Rule {
        exclude: pattern.exclude,
        directories_only: pattern.directories_only,
        segments: segments.to_vec(),
    };
    let matches_all = |position: &usize| {
        segments[*position..]
            .iter()
            .all(|segment| *segment == Segment::Globstar)
    };
    if positions.iter().any(matches_all) {
        return vec![rule(&[])];
    }
    positions
        .iter()
        .map(|position| rule(&segments[*position..]))
        .collect()
}

/// Adds the positions in the segments that can follow `position` after one more name. At the end of
/// the segments, everything below matches.
fn advance(segments: &[Segment], position: usize, name: &[u8], next: &mut Vec<usize>) {
    match segments.get(position) {
        None => next.push(position),
        Some(Segment::Globstar) => {
            next.push(position);
            advance(segments, position + 1, name, next);
        }
        Some(segment) if segment.matches(name) => next.push(position + 1),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::base::Base;

    fn below(directory: &str, lines: &[&str]) -> Exclusions {
        Patterns::parse(lines, &Base::new("/ws", "/h"))
            .unwrap()
            .exclusions_below(Path::new(directory))
    }

    #[test]
    fn a_list_that_excludes_nothing_below_the_directory_is_empty() {
        for lines in [
            &["target"][..],
            &["target", "!other/x"],
            &["!target/x", "target"],
            &["t*", "!*.zip"],
        ] {
            assert!(below("/ws/target", lines).is_empty(), "{lines:?}");
        }
        assert!(!below("/ws/target", &["target", "!**/*.zip"]).is_empty());
    }

    #[test]
    fn exclusions_work_inside_a_listed_directory() {
        use Filter::{Exclude, Include, IncludeIfNonEmpty};
        let zip: &[&str] = &["./target", "!./target/**/*.zip"];
        let table: &[(&[&str], &str, Filter)] = &[
            (zip, "a.zip", Exclude),
            (zip, "debug/deep/a.zip", Exclude),
            (zip, "debug", Include),
            (zip, "dir.zip/inside", Exclude),
            (&["target", "!target/*/*.zip"], "a.zip", Include),
            (&["target", "!target/*/*.zip"], "x/a.zip", Exclude),
            (&["target", "!target/*/*.zip"], "x/y/a.zip", Include),
            (&["target", "!target/debug"], "debug/deps/x", Exclude),
            (&["target", "!target/debug"], "debug2", Include),
            (&["target", "!**/tmp"], "a/tmp/b", Exclude),
            (&["target", "!target/**"], "a", Exclude),
            (&["target", "!/ws/*/a"], "a", Exclude),
            (
                &["target", "!target/a", "target/a/keep"],
                "a",
                IncludeIfNonEmpty,
            ),
            (&["target", "!target/a", "target/a/keep"], "a/keep", Include),
            (
                &["target", "!target/a", "target/a/keep"],
                "a/keep/x",
                Include,
            ),
            (
                &["target", "!target/a", "target/a/keep"],
                "a/other",
                Exclude,
            ),
            (
                &["target", "!target/a", "target/**/k", "!target/a/b"],
                "a/b/k",
                Exclude,
            ),
            (&["target", "!target/a", "target/b/keep"], "a", Exclude),
            (&["target", "!target/a", "target"], "a", Include),
        ];
        for (lines, path, verdict) in table {
            let directory = Path::new(path)
                .extension()
                .is_none_or(|extension| extension != "zip");
            let mut long: Vec<&str> = vec!["unused"; 100];
            long.extend(*lines);
            for list in [lines, &*long] {
                assert_eq!(
                    below("/ws/target", list).verdict(Path::new(path), directory),
                    *verdict,
                    "{lines:?} {path} {}",
                    list.len()
                );
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_excludes_directories_and_what_they_hold() {
        let exclusions = below("/ws/target", &["target", "!target/**/name/"]);
        assert_eq!(exclusions.verdict(Path::new("name"), true), Filter::Exclude);
        assert_eq!(
            exclusions.verdict(Path::new("a/name"), false),
            Filter::Include
        );
        assert_eq!(
            exclusions.verdict(Path::new("a/name/file"), false),
            Filter::Exclude
        );
    }

    /// All paths of up to three names from a small alphabet, against the list's own rule for
    /// descendants.
    #[test]
    fn the_verdict_is_the_lists_own_rule_with_descendants() {
        let patterns = [
            "t",
            "t/a",
            "!t/a",
            "!t/*/b",
            "t/a/b",
            "!**/b",
            "**/a/**/b",
            "!t/**/a",
            "t/b/**",
            "!t/?",
        ];
        let names = ["a", "b", "c"];
        let pairs = names
            .iter()
            .flat_map(|x| names.iter().map(move |y| format!("{x}/{y}")));
        let triples = pairs
            .clone()
            .flat_map(|pair| names.iter().map(move |z| format!("{pair}/{z}")));
        let paths: Vec<String> = names
            .iter()
            .map(ToString::to_string)
            .chain(pairs)
            .chain(triples)
            .collect();
        let base = Base::new("/ws", "/h");
        for first in patterns {
            for second in patterns {
                for third in patterns {
                    let list = Patterns::parse(["t", first, second, third], &base).unwrap();
                    let (all, exclusions) = (
                        list.with_descendants(),
                        list.exclusions_below(Path::new("/ws/t")),
                    );
                    for path in &paths {
                        let kept = exclusions.verdict(Path::new(path), true) == Filter::Include;
                        let matched = all.matches(&Path::new("/ws/t").join(path)).directory;
                        assert_eq!(kept, matched, "{first} {second} {third} {path}");
                    }
                }
            }
        }
    }
}
