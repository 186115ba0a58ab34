//! What the `!` lines of a list leave out below a directory that the list matched.
//!
//! A directory that is matched stands for everything below it, so a path below it is left out
//! exactly when the last pattern that fits it, or a directory above it, is a `!` one: the rule of
//! the list itself with each pattern extended to its descendants, as in `hashFiles`.
//!
//! All patterns are moved to the directory first. What is left of them is short, and usually
//! nothing; then a scan pays one comparison for each path.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::glob::list::Patterns;
use crate::glob::path_pattern::PathPattern;
use crate::glob::segment::{PathNames, Segment, match_start, may_match_below};

/// The patterns that matter below one directory.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    /// What is left of the patterns, in the order of the list, from the first that excludes.
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    exclude: bool,
    directories_only: bool,
    /// Relative to the directory; empty when everything below it fits.
    segments: Vec<Segment>,
}

/// What to do with a path below the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExclusionVerdict {
    /// Take it.
    Include,
    /// Leave it out with everything below it.
    Exclude,
    /// A directory to leave out, but a later pattern may bring back something below it: look
    /// inside, and take the directory only if there is something.
    IncludeIfNonEmpty,
}

impl Patterns {
    /// What the list leaves out below a directory that it matched, given as an absolute path.
    pub fn exclusions_below(&self, directory: &Path) -> Exclusions {
        let mut rules: Vec<Rule> = Vec::new();
        for pattern in self.all() {
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
    /// Whether nothing is left out, so that no path needs to be asked about.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What to do with a path, given relative to the directory and without `.` and `..`. Does not
    /// allocate.
    pub fn verdict(&self, path: &Path, is_directory: bool) -> ExclusionVerdict {
        let names = PathNames::of(path.as_os_str().as_bytes());
        let Some(at) = self
            .rules
            .iter()
            .rposition(|rule| rule.covers(names.clone(), is_directory))
        else {
            return ExclusionVerdict::Include;
        };
        let later = || self.rules[at + 1..].iter().filter(|rule| !rule.exclude);
        if !self.rules[at].exclude {
            ExclusionVerdict::Include
        } else if is_directory && later().any(|rule| may_match_below(&rule.segments, names.clone()))
        {
            ExclusionVerdict::IncludeIfNonEmpty
        } else {
            ExclusionVerdict::Exclude
        }
    }
}

impl Rule {
    /// Whether the pattern fits the path or a directory above it.
    fn covers(&self, names: PathNames, is_directory: bool) -> bool {
        match match_start(&self.segments, names) {
            // What is left over lies below what fits, and that is then a directory.
            Some(mut rest) => !self.directories_only || is_directory || rest.next().is_some(),
            None => false,
        }
    }
}

/// What is left of a pattern after the names of the directory: one rule for each way to account for
/// them.
fn rules_below(pattern: &PathPattern, directory: &Path) -> Vec<Rule> {
    let segments = &pattern.segments;
    let mut positions = vec![0];
    for name in PathNames::of(directory.as_os_str().as_bytes()) {
        let mut next = Vec::new();
        for &at in &positions {
            advance(segments, at, name, &mut next);
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
    let complete = |at: &usize| {
        segments[*at..]
            .iter()
            .all(|segment| *segment == Segment::Globstar)
    };
    if positions.iter().any(complete) {
        return vec![rule(&[])];
    }
    positions.iter().map(|at| rule(&segments[*at..])).collect()
}

/// Where in the segments one can be after one more name. At the end everything below is accounted
/// for.
fn advance(segments: &[Segment], at: usize, name: &[u8], next: &mut Vec<usize>) {
    match segments.get(at) {
        None => next.push(at),
        Some(Segment::Globstar) => {
            next.push(at);
            advance(segments, at + 1, name, next);
        }
        Some(segment) if segment.takes(name) => next.push(at + 1),
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
        use ExclusionVerdict::{Exclude, Include, IncludeIfNonEmpty};
        let zip: &[&str] = &["./target", "!./target/**/*.zip"];
        let table: &[(&[&str], &str, ExclusionVerdict)] = &[
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
            assert_eq!(
                below("/ws/target", lines).verdict(Path::new(path), directory),
                *verdict,
                "{lines:?} {path}"
            );
        }
    }

    #[test]
    fn a_slash_at_the_end_excludes_directories_and_what_they_hold() {
        let exclusions = below("/ws/target", &["target", "!target/**/name/"]);
        assert_eq!(
            exclusions.verdict(Path::new("name"), true),
            ExclusionVerdict::Exclude
        );
        assert_eq!(
            exclusions.verdict(Path::new("a/name"), false),
            ExclusionVerdict::Include
        );
        assert_eq!(
            exclusions.verdict(Path::new("a/name/file"), false),
            ExclusionVerdict::Exclude
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
                        let kept =
                            exclusions.verdict(Path::new(path), true) == ExclusionVerdict::Include;
                        let matched = all.matches(&Path::new("/ws/t").join(path)).directory;
                        assert_eq!(kept, matched, "{first} {second} {third} {path}");
                    }
                }
            }
        }
    }
}
