//! Copies of a project, as a checkout makes them: symlinks stay symlinks, and files get new
//! modification times.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};
use crate::fs::{Dir, FileKind, Stat, files, set_mode};

/// The file that marks a directory as a cache (<https://bford.info/cachedir/>). Cargo creates one
/// in target directories.
const CACHEDIR_TAG: &[u8] = b"CACHEDIR.TAG";

/// Copies the tree `from` to the new directory `to`, but not git's directories, the `target` at the
/// top, directories marked as caches, and the directory `excluded`.
///
/// Sockets, fifos and devices are not copied.
pub(super) fn copy_project(from: &Path, to: &Path, excluded: &Path) -> Result<()> {
    let excluded = files::stat(excluded)?.map(|stat| (stat.device, stat.inode));
    let filter = Some(DirFilter { excluded });
    copy(from, to, &TreeCopier { filter })
}

/// Copies the whole tree `from` to the new directory `to`.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    copy(from, to, &TreeCopier { filter: None })
}

fn copy(from: &Path, to: &Path, copier: &TreeCopier) -> Result<()> {
    files::create_dir_all(to)?;
    let source = Dir::open(from).context("open", || from)?;
    let target = Dir::open(to).context("open", || to)?;
    copier.copy_contents(&source, &target, &mut from.to_owned(), 0)
}

/// Decides which directories are part of a project.
struct DirFilter {
    /// Device and inode of a directory that is not.
    excluded: Option<(u64, u64)>,
}

impl DirFilter {
    /// `depth` is the number of directories between the project and this one.
    fn includes(&self, name: &[u8], dir: &Dir, stat: &Stat, depth: usize) -> bool {
        name != b".git"
            && (depth > 0 || name != b"target")
            && Some((stat.device, stat.inode)) != self.excluded
            && dir.stat_at(CACHEDIR_TAG).is_err()
    }
}

struct TreeCopier {
    filter: Option<DirFilter>,
}

impl TreeCopier {
    /// `path` is that of `from`, for errors; it is the same again when this returns.
    fn copy_contents(&self, from: &Dir, to: &Dir, path: &mut PathBuf, depth: usize) -> Result<()> {
        for listed in from.list().context("read", || path.clone())? {
            let name = &*listed.name;
            path.push(OsStr::from_bytes(name));
            let stat = from.stat_at(name).context("inspect", || path.clone())?;
            match stat.kind {
                FileKind::Directory => {
                    let source = from.open_dir(name).context("open", || path.clone())?;
                    let filter = self.filter.as_ref();
                    if filter.is_none_or(|filter| filter.includes(name, &source, &stat, depth)) {
                        let copy = create_dir(to, name).context("copy", || path.clone())?;
                        self.copy_contents(&source, &copy, path, depth + 1)?;
                        // Writable for the owner: cargo has to write into some of them.
                        set_mode(&copy, stat.mode | 0o700).context("copy", || path.clone())?;
                    }
                }
                FileKind::File => {
                    copy_file(from, to, name, stat.mode).context("copy", || path.clone())?;
                }
                FileKind::Symlink => {
                    copy_symlink(from, to, name).context("copy", || path.clone())?;
                }
                FileKind::Special => {}
            }
            path.pop();
        }
        Ok(())
    }
}

fn create_dir(parent: &Dir, name: &[u8]) -> io::Result<Dir> {
    parent.create_dir(name)?;
    parent.open_dir(name)
}

fn copy_file(from: &Dir, to: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    let mut source = from.open_file(name)?;
    let mut copy = to.create_file(name, 0o600)?;
    io::copy(&mut source, &mut copy)?;
    set_mode(&copy, mode & 0o777 | 0o600)
}

fn copy_symlink(from: &Dir, to: &Dir, name: &[u8]) -> io::Result<()> {
    to.symlink(&from.read_link(name)?, name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write_files(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }

    #[test]
    fn a_copy_has_the_sources_but_no_history_and_no_caches() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let scratch = from.join("tmp/scratch");
        write_files(
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
        for skipped in ["target", ".git", "vendor/a/.git", "other", "tmp/scratch"] {
            assert!(!to.join(skipped).exists(), "{skipped}");
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
    fn a_copied_file_has_a_new_mtime() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write_files(&from, &["file"]);
        let before = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::open(from.join("file"))
            .unwrap()
            .set_modified(before)
            .unwrap();
        copy_tree(&from, &to).unwrap();
        assert!(fs::metadata(to.join("file")).unwrap().modified().unwrap() > before);
    }
}
