//! Path patterns with the rules of GitHub's own glob library.
//!
//! The input `path` and the arguments of `hashFiles` are lists of patterns, one per line: `#`
//! comments, `!` to exclude, the wildcards `*`, `?`, `[ab]` and `**`, `~` for the home directory,
//! `\` to escape. A leading dot has no special meaning; neither have braces.
//!
//! - [`Patterns`] parses a list and decides which paths it matches, without I/O
//! - [`Patterns::resolve`] searches the disk for these paths
//! - [`Anchored`] is a pattern in a form that does not depend on the machine
//! - [`Exclusions`] decides what is excluded inside a matched directory
//! - [`hash_files`] computes GitHub's `hashFiles`
//!
//! # The rules
//!
//! The rules are those of actions/toolkit, packages/glob, on Linux: a path is matched if the last
//! pattern that matches it is not a `!` pattern. So matching is a pure function of the list and the
//! path. The search visits every path that an including pattern can match, in the order of the
//! toolkit: it starts at the literal directory before the first wildcard of each pattern, skips a
//! directory below another one, and goes depth first through children sorted bytewise.
//!
//! [`Exclusions`] are the only deliberate difference. The toolkit lists a directory and the
//! archiver then adds all of it, so `target` with `!target/**/*.zip` saves the archives too. Here
//! the `!` line excludes them.
//!
//! # Why not a glob library
//!
//! `globset`, configured as close to these rules as possible, fails a quarter of the recorded
//! one-segment cases (tests/data/glob-table.json): braces can't be turned off, a bracket that is
//! not closed or a range that runs backwards is an error instead of a name, `?` and classes match a
//! byte instead of a UTF-16 code unit, and `a/**` does not match `a`. A library would only replace
//! the loop over one segment, so that loop is implemented here.
//!
//! # Bugs of the toolkit that are not repeated
//!
//! - Names that are not UTF-8 are matched and listed; the toolkit can't open them.
//! - A directory is read, and an excluded path inspected, only if something there can match; the
//!   toolkit also reads directories without need, and fails if it lacks the permission.
//! - A segment that ends in an unclosed `[` after a wildcard, or in `[**`, is parsed like any
//!   other; in the toolkit it ends in the word `undefined`.
//! - A pattern such as `name /` means the directory whose name ends in a space; the toolkit drops
//!   the space in one of two places and finds nothing.

mod anchored;
mod base;
mod disk;
mod error;
mod exclusions;
pub mod hash_files;
mod list;
mod path_pattern;
mod prefix_index;
mod resolve;
mod segment;
mod white_space;
mod wildcard;

pub use crate::glob::anchored::Anchored;
pub use crate::glob::base::{Anchor, Base};
pub use crate::glob::error::{PatternError, ResolveError};
pub use crate::glob::exclusions::{Exclusions, Filter};
pub use crate::glob::list::{PatternMatch, Patterns};
pub use crate::glob::resolve::FoundPath;
pub(crate) use crate::glob::white_space::{is_js_space, js_trim};
