//! The input `keep-outputs`: what else is saved of a target directory.

use std::path::Path;

use crate::error::{Error, Result};
use crate::glob::{Base, Patterns};

/// Patterns relative to a target directory. A pattern also matches everything below its matches.
#[derive(Clone, Debug, Default)]
pub struct KeptOutputs {
    patterns: Patterns,
}

impl KeptOutputs {
    /// Parses patterns with the rules of the input `path`, but relative to the target directory.
    ///
    /// Errors: a pattern that is invalid, or that leads out of the target directory.
    pub fn parse(lines: &[String]) -> Result<Self> {
        for line in lines {
            let pattern = line.trim_start_matches(['!', ' ']);
            if pattern.starts_with('/') || pattern == "~" || pattern.starts_with("~/") {
                return Err(Error::invalid(format!(
                    "keep-outputs: {line} is not relative to the target directory; write it like dist or doc/**/*.html"
                )));
            }
        }
        // Matching does not depend on where the directory is.
        let patterns = Patterns::parse(lines, &Base::new("/", ""))
            .map_err(|error| Error::invalid(format!("keep-outputs: {error}")))?;
        Ok(Self {
            patterns: patterns.with_descendants(),
        })
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path is kept. It is relative to the target directory.
    pub fn matches(&self, relative: &Path) -> bool {
        self.patterns.matches(&Path::new("/").join(relative)).any()
    }

    /// Whether something below a directory can match, so that a scan must read it.
    pub fn may_match_below(&self, relative: &Path) -> bool {
        self.patterns
            .may_match_below(&Path::new("/").join(relative))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Result<KeptOutputs> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        KeptOutputs::parse(&lines)
    }

    #[test]
    fn a_pattern_matches_names_in_the_target_directory_and_what_is_below_them() {
        let kept = parse(&["dist", "doc/**/*.html", "*/app", "!dist/tmp"]).unwrap();
        for (path, is_kept) in [
            ("dist", true),
            ("dist/a/b", true),
            ("dist/tmp", false),
            ("dist/tmp/x", false),
            ("doc/api/index.html", true),
            ("doc/api/main.js", false),
            ("debug/app", true),
            ("debug/deps/app", false),
            ("app", false),
            ("", false),
        ] {
            assert_eq!(kept.matches(Path::new(path)), is_kept, "{path}");
        }
        assert!(!parse(&[]).unwrap().matches(Path::new("debug")));
    }

    #[test]
    fn a_directory_is_read_only_if_something_below_it_can_match() {
        let kept = parse(&["doc/**/*.html"]).unwrap();
        assert!(kept.may_match_below(Path::new("doc/api")));
        assert!(!kept.may_match_below(Path::new("debug")));
        assert!(!parse(&["!doc"]).unwrap().may_match_below(Path::new("doc")));
    }

    #[test]
    fn a_pattern_that_leads_out_of_the_target_directory_is_an_error() {
        for line in ["/tmp/x", "~", "~/x", "! /x", "../x", "a/../../x", "!"] {
            let error = parse(&["dist", line]).unwrap_err().with_advice();
            assert!(error.starts_with("keep-outputs: "), "{line}: {error}");
        }
        assert!(parse(&["~user", "./dist"]).is_ok());
    }
}
