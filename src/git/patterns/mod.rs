//! The patterns in `.gitignore` and `.gitattributes` files, with exactly the rules of git.
//!
//! The crate `ignore` has them too, but needs eight packages that the program does not have yet, a
//! regular expression engine among them, does not read patterns that are not UTF-8, and has no
//! patterns of attributes.

pub(super) mod attributes;
pub(super) mod ignore;
mod pattern;
mod wildmatch;
