//! Sharing the blocks of one file with another (reflink), where the filesystem can.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

mod ioctl {
    nix::ioctl_write_int!(ficlone, 0x94, 9);
}

/// Makes `to` share all of `from`'s blocks; afterwards each can be written without the other
/// changing.
///
/// Returns false where the filesystem can't do it or the files lie on different ones.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    use nix::errno::Errno;

    let source = u64::try_from(from.as_raw_fd())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: FICLONE takes two descriptors, both open here for the length of the call, and touches
    // no memory.
    #[expect(unsafe_code, reason = "no safe wrapper of FICLONE takes descriptors")]
    let cloned = unsafe { ioctl::ficlone(to.as_raw_fd(), source) };
    match cloned {
        Ok(_) => Ok(true),
        Err(
            Errno::EOPNOTSUPP
            | Errno::EXDEV
            | Errno::EINVAL
            | Errno::ENOTTY
            | Errno::ENOSYS
            | Errno::EPERM,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
