//! Who may own, read and write the files that say how a remote is used.

use std::path::Path;

use crate::error::{Error, Result};
use crate::fs::Stat;

/// What a file is protected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Nobody else may write to it.
    Writing,
    /// Nobody else may read or write it.
    Reading,
}

/// Checks that a file belongs to root or to the `user` who runs this, and is closed for others. Root
/// uses files of any owner.
pub(super) fn check_owner(
    path: &Path,
    stat: &Stat,
    protection: Protection,
    user: u32,
) -> Result<()> {
    let (mode, reason, advice) = match protection {
        Protection::Writing => (
            0o022,
            "other users may write to it",
            "let root or the user who runs this own it, and close it with `chmod go-w`",
        ),
        Protection::Reading => (
            0o077,
            "other users may read it",
            "let the user who runs this own it, and close it with `chmod go-rwx`",
        ),
    };
    let reason = if stat.uid != 0 && stat.uid != user && user != 0 {
        "it belongs to another user"
    } else if stat.mode & mode != 0 {
        reason
    } else {
        return Ok(());
    };
    Err(Error::Untrusted {
        path: path.to_owned(),
        reason: reason.to_owned(),
        advice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::files;

    #[test]
    fn files_of_others_and_open_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        files::write_new(&path, 0o600, b"x").unwrap();
        let (_, stat) = files::read_with_stat(&path, 100).unwrap().unwrap();
        let is_refused = |protection, uid, mode| {
            let mode = stat.mode & !0o777 | mode;
            let stat = Stat { mode, uid, ..stat };
            check_owner(&path, &stat, protection, 6).is_err()
        };
        for protection in [Protection::Writing, Protection::Reading] {
            assert!(!is_refused(protection, 6, 0o600));
            assert!(!is_refused(protection, 0, 0o600));
            assert!(is_refused(protection, 5, 0o600));
            for mode in [0o620, 0o602, 0o666] {
                assert!(is_refused(protection, 6, mode), "{mode:o}");
            }
        }
        for mode in [0o640, 0o604, 0o644, 0o610] {
            assert!(!is_refused(Protection::Writing, 6, mode), "{mode:o}");
            assert!(is_refused(Protection::Reading, 6, mode), "{mode:o}");
        }
        let of_other = Stat { uid: 5, ..stat };
        assert!(check_owner(&path, &of_other, Protection::Reading, 0).is_ok());
    }
}
