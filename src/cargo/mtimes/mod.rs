//! Sources that did not change stay fresh: their modification times are replayed by content.
//!
//! A checkout gives every file today's time, so cargo rebuilds all packages of the workspace
//! although their outputs are there. When a target directory is saved, a
//! [record](crate::tree::manifest::SourceRecord) is made of what the sources were like: path, size,
//! digest and time of each file, names and time of each directory. When it is restored, what is the
//! same gets the time that it had.
//!
//! - [`SourceRoots`](source_roots::SourceRoots) says where sources are looked for (pure, from what [`packages`] found)
//! - [`decide`](decide::decide) says which times are replayed (pure)
//! - [`replay`] looks, reads and sets
//!
//! # What cargo looks at
//!
//! cargo's `core/compiler/fingerprint`: of a package with a path, each file that the compiler read
//! has to be there and not newer than the unit's dep-info. A build script runs again when a path
//! that it named is newer than its output, a directory with everything in it
//! (`paths::mtime_recursive` counts directories, and symlinks by their own time, too). One that
//! named nothing runs again when the newest file of its package has another time or path than
//! before. Packages from registries and git are compared by version and commit, and what lies in
//! cargo's own directories is passed over.
//!
//! # Why no binary can be stale
//!
//! Call a path *true* to a target directory when its bytes and time are those that it had when the
//! target was saved. Where all paths are true, cargo decides as it would have then, in that place.
//! A path that is not true is no danger when it is newer than everything in the target, for then
//! cargo takes whatever looked at it for stale. So every path below the area must be true or newer,
//! and nothing else is allowed to happen:
//!
//! 1. A time is given only to identical bytes: size and digest, the digest computed now and then,
//!    never believed for the sake of a time. The right to execute must be the same, too. A symlink
//!    is the same when it says the same; it is never followed, and the file behind it is judged
//!    under its own name, if it has one in the area.
//! 2. What is different from the record, or not in it, but not newer than the save, is set to now:
//!    a checkout by rsync, tar or `cp -p` brings old times, and git leaves files alone that it
//!    thinks are the same. So is a directory whose names are others. Should the clock have been set
//!    back since, "now" is just after the save.
//! 3. Targets are restored one after another but share sources. A path is given a time only if all
//!    records that could know it agree, and then the newest of their times: for the others that is
//!    as if somebody had touched it. A record could know a path when it has its root, or its own
//!    step has it in its area. Records of earlier steps of the job count, or a later one could make
//!    old again what an earlier one needs new.
//! 4. A directory gets its time only when its names are the same, and after everything in it.
//! 5. What cargo can't see is named in the input `sources`. A record in which anything there had
//!    other contents or names, or which does not know it, vouches for nothing: by 2 all that is not
//!    newer than the save becomes so.
//! 6. The record is made after the target was read. What is changed between the two has a time
//!    later than anything in the target, and so is stale when it comes back with that time (for
//!    what is moved there, see 9).
//! 7. A file that is gone is missed by the compiler, or by the time of its directory; but a build
//!    script that named nothing would not run again. So the manifest of a package that lost a file
//!    which was not its newest is treated as different: cargo counts it among the package's files.
//!    (Had the lost file been the newest, the newest is another one now, or cargo never counted it:
//!    what a job leaves behind, mostly. `Cargo.lock` is written by cargo itself.)
//! 8. A file with several names is judged by all of them, and left alone if it has one outside of
//!    the area.
//! 9. A file that is patched, built and moved back, or copied back with its time, looks older than
//!    what was built from the patch; cargo is fooled by that in place, and so would be every job
//!    after it. So what is recorded is when a file [arrived](effective_mtime::EffectiveMtimes): the time of its last change
//!    (ctime) where that is later than its modification time, and of the last move of a directory
//!    around it. What did not change since the job built anything, which the times in the target
//!    tell, is as its times say. And where an earlier step of a job replayed times, a later one
//!    gives none before those that are there: a build may have stood between, and seen something
//!    else. The price: after a `chown -R` or `chmod -R` of the checkout that follows the build, all
//!    of it is stale. What is not seen: a directory that was moved away for a build and back, and
//!    then had names added or removed, looks like one that only had these.
//!
//! What is outside of the area keeps the time that it has, which after a checkout is newer than any
//! target. Target directories that stay on the disk without being restored with the job are not
//! protected by any of this.
//!
//! A step that edits a manifest (strips `[patch]`, say) after times were replayed makes it newer.
//! The compiler does not look at manifests, so only build scripts that name nothing, or name the
//! manifest, run again. Before restoring it costs nothing, because then the manifest has the
//! contents that were recorded.

pub mod decide;
pub(crate) mod effective_mtime;
pub mod history;
pub(crate) mod match_dirs;
pub(crate) mod missing_files;
pub mod packages;
pub mod replay;
pub mod source_roots;

/// After how many milliseconds a time is surely later than another that the filesystem's clock
/// gave.
const LATER: u32 = 20;
