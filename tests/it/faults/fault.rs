//! Which system calls fail, and runs with one that does.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::support::{RunResult, Sandbox, strace};

/// The calls that can fail on a disk, a busy machine or a network filesystem, and how.
///
/// Not listed are calls that cannot fail there (`close` reports an error, but closes), and `mmap` and
/// `brk`, by which memory is allocated: the program ends without memory, by a signal.
pub(super) const CALLS: &[(&str, &[&str])] = &[
    ("openat", &["EIO", "EMFILE", "EACCES", "ENOSPC"]),
    ("read", &["EIO"]),
    ("pread64", &["EIO"]),
    ("readv", &["EIO"]),
    ("preadv", &["EIO"]),
    ("write", &["ENOSPC", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("writev", &["ENOSPC", "EIO"]),
    ("pwritev", &["ENOSPC", "EIO"]),
    ("copy_file_range", &["ENOSPC", "EIO", "EXDEV"]),
    ("sendfile", &["EIO"]),
    ("ioctl", &["EIO", "EOPNOTSUPP"]),
    ("ftruncate", &["ENOSPC", "EIO"]),
    ("fallocate", &["ENOSPC", "EOPNOTSUPP"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("syncfs", &["EIO", "ENOSPC"]),
    ("rename", &["EIO", "ENOSPC", "EACCES"]),
    ("renameat", &["EIO", "ENOSPC", "EACCES"]),
    ("renameat2", &["EIO", "ENOSPC", "EACCES", "EINVAL"]),
    ("mkdir", &["ENOSPC", "EACCES"]),
    ("mkdirat", &["ENOSPC", "EACCES"]),
    ("unlink", &["EIO", "EACCES"]),
    ("unlinkat", &["EIO", "EACCES"]),
    ("rmdir", &["EIO", "EACCES"]),
    ("linkat", &["EPERM", "EMLINK", "EIO"]),
    ("symlinkat", &["ENOSPC", "EIO"]),
    ("readlinkat", &["EIO"]),
    ("readlink", &["EIO"]),
    ("fchmod", &["EPERM", "EIO"]),
    ("fchmodat", &["EPERM", "EIO"]),
    ("fchown", &["EPERM"]),
    ("fchownat", &["EPERM"]),
    ("utimensat", &["EPERM", "EIO"]),
    ("newfstatat", &["EIO", "EACCES", "ENOMEM"]),
    ("fstat", &["EIO"]),
    ("statx", &["EIO", "EACCES", "ENOSYS"]),
    ("statfs", &["EIO"]),
    ("fstatfs", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("lseek", &["EIO"]),
    ("flock", &["ENOLCK", "EIO"]),
    ("fcntl", &["ENOLCK", "EMFILE"]),
    ("flistxattr", &["EIO", "ENOTSUP"]),
    ("llistxattr", &["EIO", "ENOTSUP"]),
    ("fgetxattr", &["EIO"]),
    ("lgetxattr", &["EIO"]),
    ("fsetxattr", &["ENOSPC", "ENOTSUP"]),
    ("lsetxattr", &["ENOSPC", "ENOTSUP"]),
    ("clone3", &["EAGAIN"]),
    // Without the call in old kernels, and where a container's filter refuses it.
    ("getrandom", &["ENOSYS", "EPERM"]),
];

/// One call that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    pub(super) error: &'static str,
    /// The number of the call among those of its thread, from 1. Each thread that makes so many
    /// calls has one that fails.
    pub(super) at: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} {}", self.error, self.call, self.at)
    }
}

/// For each call of [`CALLS`], the most that one thread of the program makes of it.
pub(super) fn count_calls(
    sandbox: &Sandbox,
    job: &Path,
    arguments: &[&str],
) -> HashMap<&'static str, usize> {
    let log = sandbox.path("calls");
    let known: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    let strace = strace::log(&known.join(","), log.to_str().unwrap());
    let ran = RunResult::of(&mut sandbox.command_behind(&strace, job, arguments));
    assert!(ran.code == Some(0), "without a fault: {ran:#?}");
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let mut counts: HashMap<(&str, &'static str), usize> = HashMap::new();
    for line in text.lines() {
        // `PID call(arguments) = result`; the end of an interrupted call is not counted again.
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, _)) = call.trim_start().split_once('(') else {
            continue;
        };
        if let Some((known, _)) = CALLS.iter().find(|(known, _)| *known == name) {
            *counts.entry((thread, known)).or_default() += 1;
        }
    }
    let mut most = HashMap::new();
    for ((_, call), count) in counts {
        let known: &mut usize = most.entry(call).or_default();
        *known = count.max(*known);
    }
    most
}

/// Runs the program with a fault.
pub(super) fn run_with_fault(
    sandbox: &Sandbox,
    job: &Path,
    arguments: &[&str],
    fault: Fault,
) -> RunResult {
    let strace = strace::inject(
        fault.call,
        &format!("error={}:when={}", fault.error, fault.at),
    );
    RunResult::of(&mut sandbox.command_behind(&strace, job, arguments))
}
