//! Copying a project, without following symlinks and with new modification times, as a checkout has
//! them.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};
use crate::fs::{Dir, FileKind, files, set_mode};

/// The file that marks a directory as a cache (<https://bford.info/cachedir/>); cargo puts one into
/// target directories.
const CACHEDIR_TAG: &[u8] = b"CACHEDIR.TAG";

/// Copies the tree below `from` to the new directory `to`, without git's directories and what is
/// only a cache: the `target` at the top, and directories that are marked as caches. The directory
/// `except` is left out, too.
///
/// Sockets, fifos and devices are no part of a project and stay behind.
pub(super) fn copy_project(from: &Path, to: &Path, except: &Path) -> Result<()> {
    let except = files::stat(except)?.map(|stat| (stat.device, stat.inode));
    copy(
        from,
        to,
        &ProjectCopier {
            filter: Some(DirFilter { except }),
        },
    )
}

/// Copies all of the tree below `from` to the new directory `to`.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    copy(from, to, &ProjectCopier { filter: None })
}

fn copy(from: &Path, to: &Path, copy: &ProjectCopier) -> Result<()> {
    files::create_dir_all(to)?;
    let source = Dir::open(from).context("open", || from)?;
    let target = Dir::open(to).context("open", || to)?;
    copy.directory(&source, &target, &mut from.to_owned(), 0)
}

/// Decides which directories are part of a project.
struct DirFilter {
    /// Device and inode of one that is not.
    except: Option<(u64, u64)>,
}

impl DirFilter {
    /// Whether a directory is copied, by its name, itself and how deep its parent lies.
    fn takes(&self, name: &[u8], dir: &Dir, depth: usize) -> io::Result<bool> {
        if name == b".git" || (depth == 0 && name == b"target") {
            return Ok(false);
        }
        let stat = dir.stat()?;
        Ok(Some((stat.device, stat.inode)) != self.except && dir.stat_at(CACHEDIR_TAG).is_err())
    }
}

struct ProjectCopier {
    filter: Option<DirFilter>,
}

impl ProjectCopier {
    fn directory(&self, from: &Dir, to: &Dir, path: &mut PathBuf, depth: usize) -> Result<()> {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        for listed in from.list().context("read", || path.clone())? {
            let name = &*listed.name;
            path.push(OsStr::from_bytes(name));
            let stat = from.stat_at(name).context("look at", || path.clone())?;
            match stat.kind {
                FileKind::Directory => {
                    let below = from.open_dir(name).context("open", || path.clone())?;
                    let is_taken = self
                        .filter
                        .as_ref()
                        .map_or(Ok(true), |f| f.takes(name, &below, depth));
                    if is_taken.context("look at", || path.clone())? {
                        let copy = to.create_dir(name).and_then(|()| to.open_dir(name));
                        let copy = copy.context("copy", || path.clone())?;
                        self.directory(&below, &copy, path, depth + 1)?;
                        // Cargo has to write into some of them.
                        set_mode(&copy, stat.mode | 0o700).context("copy", || path.clone())?;
                    }
                }
                FileKind::File => {
                    copy_file(from, to, name, stat.mode).context("copy", || path.clone())?
                }
                FileKind::Symlink => {
                    let link = from
                        .read_link(name)
                        .and_then(|target| to.symlink(&target, name));
                    link.context("copy", || path.clone())?;
                }
                FileKind::Special => {}
            }
            path.pop();
        }
        Ok(())
    }
}

fn copy_file(from: &Dir, to: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    let mut source = from.open_file(name)?;
    let mut copy = to.create_file(name, 0o600)?;
    io::copy(&mut source, &mut copy)?;
    set_mode(&copy, mode & 0o777 | 0o600)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn lay(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }

    #[test]
    fn a_copy_has_the_sources_and_neither_history_nor_caches() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let scratch = from.join("tmp/scratch");
        lay(
            &from,
            &[
                "Cargo.lock",
                "src/target/main.rs",
                "target/debug/out",
                ".git/HEAD",
                "vendor/a/.git/HEAD",
                "vendor/a/lib.rs",
                "other/CACHEDIR.TAG",
                "other/out",
                "tmp/scratch/file",
            ],
        );
        fs::set_permissions(from.join("Cargo.lock"), fs::Permissions::from_mode(0o555)).unwrap();
        symlink("../nowhere", from.join("src/link")).unwrap();
        copy_project(&from, &to, &scratch).unwrap();

        let copied: Vec<_> = ["Cargo.lock", "src/target/main.rs", "vendor/a/lib.rs"].into();
        for file in &copied {
            assert_eq!(fs::read_to_string(to.join(file)).unwrap(), **file);
        }
        for left_out in ["target", ".git", "vendor/a/.git", "other", "tmp/scratch"] {
            assert!(!to.join(left_out).exists(), "{left_out}");
        }
        assert_eq!(
            fs::metadata(to.join("Cargo.lock"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o755
        );
        assert_eq!(
            fs::read_link(to.join("src/link")).unwrap(),
            Path::new("../nowhere")
        );
    }

    #[test]
    fn a_copied_file_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        lay(&from, &["file"]);
        let before = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::open(from.join("file"))
            .unwrap()
            .set_modified(before)
            .unwrap();
        copy_tree(&from, &to).unwrap();
        assert!(fs::metadata(to.join("file")).unwrap().modified().unwrap() > before);
    }
}
