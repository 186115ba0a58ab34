//! Path patterns with the rules of GitHub's own glob library.
//!
//! A `path` input and the arguments of `hashFiles` are lists of patterns: one a line, `#` comments,
//! `!` to exclude, `*`, `?`, `[ab]` and `**`, `~` for the home directory, `\` to escape. Names with
//! a leading dot match like all others; braces and the like are themselves. [`Patterns`] reads such
//! a list and decides, without touching the disk, which paths it matches; [`Patterns::resolve`]
//! walks the disk and lists them; [`Anchored`] says what a list means wherever the workspace and
//! the home directory are; [`Exclusions`] decides inside a listed directory.
//!
//! # Why the rules hold
//!
//! The rules are those of actions/toolkit, packages/glob, on Linux. Its answer depends on the list
//! as a whole and on nothing else: a path is matched when the last pattern that fits it is not a
//! `!` one. So matching is a pure function of the list and the path, and the walk only has to visit
//! every path that an including pattern can fit, in the order the toolkit does: it begins at the
//! literal directory in front of each pattern's first wildcard, skips one that lies below another,
//! and goes depth first through children sorted bytewise.
//!
//! The one deliberate difference is [`Exclusions`]. The toolkit lists a directory and the archiver
//! then takes all of it, so `target` with `!target/**/*.zip` saves the archives too; here the `!`
//! line leaves them out.
//!
//! # Why not a glob library
//!
//! `globset`, set as near to these rules as it can be, fails a quarter of the recorded one-segment
//! cases (tests/data/glob-table.json): braces can't be turned off, a bracket that is unclosed or
//! backward is an error and not a name, `?` and classes take a byte where GitHub's take a UTF-16
//! code unit; and its `a/**` does not match `a`. What would be left for a library is one loop over
//! a segment, so that loop stands here.
//!
//! # Where the toolkit's accidents are not repeated
//!
//! - Names that are not UTF-8 are matched and listed; the toolkit can't open them.
//! - A directory is read, and an excluded path looked at, only if something there can match; the
//!   toolkit also reads a listed directory for nothing, and fails when it may not.
//! - A segment that ends in an unclosed `[` after a wildcard, or in `[**`, is read like any other;
//!   the toolkit's then ends in the word `undefined`.
//! - A pattern such as `name /` means the directory whose name ends in a blank; the toolkit drops
//!   the blank from half of its reading and finds nothing.

mod anchored;
mod base;
mod disk;
mod error;
mod exclusions;
pub mod hash_files;
mod list;
mod path_pattern;
mod resolve;
mod segment;
mod white_space;
mod wildcard;

pub use crate::glob::anchored::Anchored;
pub use crate::glob::base::{Anchor, Base};
pub use crate::glob::error::{PatternError, ResolveError};
pub use crate::glob::exclusions::{ExclusionVerdict, Exclusions};
pub use crate::glob::list::{PatternMatch, Patterns};
pub use crate::glob::resolve::{FoundKind, FoundPath};
pub use crate::glob::white_space::{is_js_space, js_trim};
