//! One pattern of a list, parsed and made absolute.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::glob::base::{Base, names};
use crate::glob::error::PatternError;
use crate::glob::segment::{PathNames, Segment, literal, match_all, may_match_below};
use crate::glob::white_space::js_trim;

#[derive(Debug, Clone)]
pub(crate) struct PathPattern {
    /// Whether matching paths are removed instead of added.
    pub(crate) exclude: bool,
    /// Whether only directories match: the pattern ends with a slash.
    pub(crate) directories_only: bool,
    /// All segments below the root of the filesystem.
    pub(crate) segments: Vec<Segment>,
    /// The segments as written; empty for those of the start directory.
    pub(crate) texts: Vec<String>,
    /// The number of segments that come from the start directory.
    pub(crate) start_len: usize,
    /// Whether the pattern starts with `~`.
    pub(crate) from_home: bool,
    /// The literal path before the first wildcard.
    pub(crate) search_path: PathBuf,
}

impl PathPattern {
    /// Parses one line that is neither blank nor a comment.
    ///
    /// Source: actions/toolkit, packages/glob, `internal-pattern.ts`, the constructor and
    /// `fixupPattern`.
    pub(crate) fn parse(line: &str, base: &Base) -> Result<Self, PatternError> {
        let (exclude, pattern) = strip_negations(line);
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut written = pattern
            .split('/')
            .filter(|segment| !segment.is_empty())
            .peekable();
        check_relative_segments(pattern)?;
        let (directory, from_home) = start_directory(pattern, base)?;
        if !pattern.starts_with('/') && (from_home || written.peek() == Some(&".")) {
            written.next();
        }
        let written: Vec<String> = written.map(str::to_owned).collect();
        Ok(Self::assemble(
            exclude,
            pattern.ends_with('/'),
            directory,
            from_home,
            &written,
        ))
    }

    fn assemble(
        exclude: bool,
        directories_only: bool,
        directory: &Path,
        from_home: bool,
        written: &[String],
    ) -> Self {
        let names: Vec<&[u8]> = names(directory).collect();
        let segments = names.iter().map(|name| Segment::name(name));
        let mut search_path = PathBuf::from("/");
        search_path.extend(names.iter().map(|name| OsString::from_vec(name.to_vec())));
        search_path.extend(written.iter().map_while(|text| literal(text)));
        Self {
            exclude,
            directories_only,
            segments: segments
                .chain(written.iter().map(|text| Segment::compile(text)))
                .collect(),
            texts: names
                .iter()
                .map(|_| String::new())
                .chain(written.iter().cloned())
                .collect(),
            start_len: names.len(),
            from_home,
            search_path,
        }
    }

    /// The pattern for everything below the matches of this one; `None` if this one matches that
    /// too.
    ///
    /// It does not match what this one matches: `name/` and its descendants do not match a file of
    /// that name (actions/toolkit, packages/glob, `internal-pattern.ts`, `isImplicitPattern`).
    pub(crate) fn descendants(&self) -> Option<Self> {
        let includes_descendants =
            !self.directories_only && self.segments.last() == Some(&Segment::Globstar);
        (!includes_descendants).then(|| {
            let mut below = self.clone();
            below.directories_only = false;
            for text in ["*", "**"] {
                below.segments.push(Segment::compile(text));
                below.texts.push(text.to_owned());
            }
            below
        })
    }

    /// Whether the pattern matches this absolute path. The kind of the path is not checked.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        match_all(&self.segments, PathNames::of(path))
    }

    /// Whether the pattern can match a path below this absolute path.
    pub(crate) fn may_match_below(&self, path: &[u8]) -> bool {
        may_match_below(&self.segments, PathNames::of(path))
    }
}

/// Removes leading `!`s and the white space between them. An odd number of them excludes.
fn strip_negations(line: &str) -> (bool, &str) {
    let mut exclude = false;
    let mut pattern = js_trim(line);
    while let Some(rest) = pattern.strip_prefix('!') {
        exclude = !exclude;
        pattern = js_trim(rest);
    }
    (exclude, pattern)
}

/// Rejects `..`, and `.` except as the first segment, even if written with escapes.
fn check_relative_segments(pattern: &str) -> Result<(), PatternError> {
    let first = usize::from(pattern.starts_with('/'));
    let has_relative = pattern
        .split('/')
        .filter(|segment| !segment.is_empty())
        .zip(first..)
        .any(|(segment, position)| match literal(segment).as_deref() {
            Some("..") => true,
            Some(".") => position > 0,
            _ => false,
        });
    if has_relative {
        Err(PatternError::RelativeSegment {
            pattern: pattern.to_owned(),
        })
    } else {
        Ok(())
    }
}

/// The directory that a pattern is relative to, and whether it is the home directory.
fn start_directory<'base>(
    pattern: &str,
    base: &'base Base,
) -> Result<(&'base Path, bool), PatternError> {
    if pattern.starts_with('/') {
        return Ok((Path::new("/"), false));
    }
    let from_home = pattern == "~" || pattern.starts_with("~/");
    let directory = if from_home {
        &base.home
    } else {
        &base.working_directory
    };
    if directory.is_absolute() {
        return Ok((directory, from_home));
    }
    let pattern = pattern.to_owned();
    if from_home {
        Err(PatternError::NoHome { pattern })
    } else {
        Err(PatternError::NoWorkingDirectory {
            pattern,
            directory: directory.clone(),
        })
    }
}
