//! Which units of a target directory are fresh, by the contents of what they read.
//!
//! Cargo compares modification times, and a checkout makes all of them new. So a save records what
//! each of the project's own units was built from, and a restore compares that with the sources.
//!
//! # Why no unit is stale
//!
//! 1. An entry contains cargo's records of own units only in its freshness record, and a unit whose
//!    records are missing is compiled: by default, everything is.
//! 2. A save records a unit only if nothing that it read changed since its build began, by ctimes,
//!    which programs cannot set, and if no dependency was built after it. So the recorded contents
//!    are those that it and its dependencies were built from.
//! 3. A restore puts back the records of a unit only if all that it read, all that its build script
//!    may have written into the checkout, and in the mode [`mode::FreshnessMode::Safe`] all other
//!    files that count as sources, have the recorded contents, at the same absolute paths.
//! 4. Its records and artifacts then have one time that is later than all changes so far and
//!    earlier than all later ones, so cargo itself notices every change that follows.
//! 5. Records are removed before anything else is written and put back last, so that an
//!    interrupted restore leaves units that cargo compiles.
//!
//! Units that depend on a stale one need no decision: cargo compiles them because its output is
//! newer. Cargo also compares variables, features, profiles and manifests.
//!
//! What remains: a file that no cargo record names, which a step creates after the restore and
//! removes before the save, or that lies outside of the checkout, is not seen; a directory that was
//! moved away for a build and back, and then had names added or removed, looks like one that only
//! had these; what a build script wrote for an earlier target directory and left alone now, if no
//! unit reads it; a later step that gives a source other contents and an old time is reported at the
//! end of the job, and the entry does not vouch for that unit.
//!
//! # Packages of which cargo compares the newest time
//!
//! Cargo takes a build script that names no inputs, and documentation, for fresh if the newest file
//! of the package has the same time as text. The files of such a package, and of no other, get
//! their old times if all of them are unchanged, and if all of them or none still had these: in
//! a checkout that stays, another target directory may have been built from other contents.
//!
//! # Map
//!
//! - [`own_units`]: which units are the project's own, and what they read (pure)
//! - [`packages`], [`project_files`], [`paths`], [`contents`]: packages, their files, and what paths
//!   lead to
//! - [`at_save`], [`unit_fact`], [`since_restore`], [`written`], [`may_write`], [`save_facts`]: what
//!   is known at a save
//! - [`vouch`]: which units the entry vouches for (pure)
//! - [`new_record`], [`record`]: the record of an entry
//! - [`at_restore`], [`decide`]: the sources at a restore, and which units are fresh (pure)
//! - [`put_back`]: hides units from cargo and puts back the fresh ones
//! - [`note`]: what a restore leaves for the save of the same job
//! - [`mode`]: what the user trusts to tell a changed unit

pub(crate) mod at_restore;
pub(crate) mod at_save;
pub(crate) mod contents;
pub(crate) mod decide;
mod may_write;
pub mod mode;
pub(crate) mod new_record;
pub(crate) mod note;
pub(crate) mod own_units;
pub(crate) mod packages;
pub(crate) mod paths;
pub(crate) mod project_files;
pub(crate) mod put_back;
pub(crate) mod record;
mod save_facts;
mod since_restore;
pub(crate) mod unit_fact;
pub(crate) mod vouch;
mod written;
