//! Limits of the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets the process open as many files as its user may.
///
/// Work on a tree keeps a descriptor for each level of it open, on each thread; a shell allows 1,024 unless it is asked
/// for more.
pub fn allow_many_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it is refused, only very deep trees suffer, and say so.
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
}
