//! What cargo can use of a target directory. Nothing else is saved, so nothing else comes back.
//!
//! # Which units are unused
//!
//! A unit is used as long as cargo can find it fresh. It can't if
//!
//! 1. its package, in that version or commit, is in no lock file;
//! 2. its target is in no manifest, or its first source in no workspace: a program, example, test or
//!    library was removed or renamed;
//! 3. its build failed;
//! 4. its outputs are gone, belong to another unit, or were changed after the build (stripped,
//!    packed, signed);
//! 5. one of its dependencies is missing or unused. Cargo compares their fingerprints, so the unit
//!    is stale. After an upgrade of a dependency, all units that were built with the old version
//!    are unused: the units for the new version have other hashes, so the old ones would never be
//!    replaced.
//!
//! Cargo does not touch a unit that it finds fresh, so nothing shows whether a unit that differs
//! from another of the same package only in features or flags is still used. It is kept until a
//! newer one exists and it is 14 days old. If it was still used, it is built once more and is new
//! again. The same holds for outputs of other toolchains: a job with two toolchains keeps the
//! outputs of both.
//!
//! If a workspace that is not configured uses the same target directory, its dependencies are
//! missing in the lock files, so they are not saved and it rebuilds them.
//!
//! # Which names are saved
//!
//! A job with a cache must end like a job without one, so products of earlier jobs must not come
//! back: packages, reports, programs that were renamed. This is a list of what is saved, not of what
//! is excluded, because any tool may put its products into a target directory.
//!
//! - In the target directory, and in those of platforms: cargo's own files ([`OWN_FILES`]), the
//!   directories of profiles, `doc`, and `tmp` without its contents. Another target directory below it (of Miri, `cargo llvm-cov`
//!   or trybuild) is the product of a tool.
//! - In the directory of a profile: outputs of used units in `.fingerprint`, `build`, `deps` and
//!   `examples`, and `incremental`. Their names have the hash of the unit or are those of
//!   `target_dir::hashless`. Programs and libraries in the directory of the profile itself, and those
//!   without a hash in `examples`, are hard links that each build makes again for the units that it
//!   asks for, fresh or not.
//! - `doc` as a whole or not at all (`target_gc::docs`).
//! - What the user names ([`KeepFn`]), with the directories above it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::glob::Filter;

/// What cargo writes into a target directory and those of platforms.
const OWN_FILES: [&str; 3] = [
    "CACHEDIR.TAG",
    ".rustc_info.json",
    ".rustdoc_fingerprint.json",
];

/// The directory for the files of tests (`CARGO_TARGET_TMPDIR`). Cargo creates it when it compiles a
/// test, and not for a fresh one.
const TMP: &str = "tmp";

/// Whether a path, relative to the target directory, is saved although cargo did not make it. True
/// for everything below a kept directory but what the user excludes.
pub type KeepFn = Box<dyn Fn(&Path) -> bool + Send + Sync>;

/// Decides about the paths below some target directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusedOutputs {
    /// The target directories and those of intermediate artifacts.
    roots: Vec<PathBuf>,
    /// Saved with everything below it.
    used: HashSet<PathBuf>,
    /// The directories above them. Of these, only what is in one of the two sets is saved.
    above_used: HashSet<PathBuf>,
    /// Not saved, also below a used path.
    pub(super) excluded: HashSet<PathBuf>,
    pub units: usize,
}

impl UnusedOutputs {
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        Self {
            roots: roots.to_vec(),
            ..Self::default()
        }
    }

    /// Excludes further paths, relative to a target directory, with everything below them.
    pub fn exclude(&mut self, root: &Path, paths: impl IntoIterator<Item = PathBuf>) {
        self.excluded
            .extend(paths.into_iter().map(|path| root.join(path)));
    }

    pub(super) fn add_own_files(&mut self, directory: &Path) {
        for name in OWN_FILES {
            self.add_used(directory.join(name));
        }
        self.above_used.insert(directory.join(TMP));
    }

    pub(super) fn add_used(&mut self, path: PathBuf) {
        let is_root = |path: &Path| self.roots.iter().any(|root| root == path);
        for above in path.ancestors().skip(1) {
            let is_inside = self
                .roots
                .iter()
                .any(|root| above != root && above.starts_with(root));
            // The directories above a root that lies in another one are used as well.
            if !is_inside && !is_root(above) {
                break;
            }
            if !self.above_used.insert(above.to_owned()) {
                break;
            }
        }
        self.used.insert(path);
    }

    /// A filter that includes what is used, and what `is_kept` names.
    pub fn into_filter(
        self,
        is_kept: Option<KeepFn>,
    ) -> impl Fn(&Path, bool) -> Filter + Send + Sync + 'static {
        move |path, is_directory| match &is_kept {
            None if self.is_used(path) => Filter::Include,
            None => Filter::Exclude,
            Some(is_kept) => self.used_or_kept(path, is_directory, is_kept),
        }
    }

    /// Whether a path is used if the directory above it is.
    fn is_used(&self, path: &Path) -> bool {
        if self.excluded.contains(path) {
            return false;
        }
        if self.used.contains(path) || self.above_used.contains(path) {
            return true;
        }
        // Below a used path there is no list.
        path.parent()
            .is_some_and(|above| !self.above_used.contains(above) && !self.is_root(above))
    }

    fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root == path)
    }

    /// A kept path may lie in an unused directory, so all directories are visited.
    fn used_or_kept(&self, path: &Path, is_directory: bool, is_kept: &KeepFn) -> Filter {
        let Some(root) = self.roots.iter().find(|root| path.starts_with(root)) else {
            return Filter::Include;
        };
        let mut ancestors = path.ancestors().take_while(|above| above != root);
        let is_named = || path.strip_prefix(root).is_ok_and(is_kept);
        if ancestors.all(|path| self.is_used(path)) || is_named() {
            Filter::Include
        } else if is_directory {
            Filter::IncludeIfNonEmpty
        } else {
            Filter::Exclude
        }
    }
}
