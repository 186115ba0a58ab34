//! Small filesystems for tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tools::{is_installed, is_root, skip};

/// A mounted filesystem; dropping the value unmounts it.
pub(crate) struct Mount {
    dir: PathBuf,
    /// Removed after the filesystem is unmounted.
    place: Option<tempfile::TempDir>,
    image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    /// A memory filesystem of some bytes; none, and a skipped test, if it can't be mounted.
    pub(crate) fn tmpfs(bytes: u64, what: &str) -> Option<Self> {
        Self::at_new_place(
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=755"),
                "lc-test-tmpfs",
            ],
            None,
            what,
        )
    }

    /// A memory filesystem with a limited number of inodes.
    pub(crate) fn tmpfs_of_files(bytes: u64, files: u64, what: &str) -> Option<Self> {
        let options = format!("size={bytes},nr_inodes={files},mode=755");
        Self::at_new_place(
            &["-t", "tmpfs", "-o", &options, "lc-test-tmpfs"],
            None,
            what,
        )
    }

    /// A filesystem made by `mkfs` in a file of some bytes; none, and a skipped test, if it can't
    /// be made or mounted.
    pub(crate) fn image(bytes: u64, mkfs: &[&str], options: &str, what: &str) -> Option<Self> {
        let image = tempfile::Builder::new()
            .prefix("lc-test-")
            .suffix(".img")
            .tempfile()
            .unwrap();
        image.as_file().set_len(bytes).unwrap();
        if !is_root() || !succeeds(Command::new(mkfs[0]).args(&mkfs[1..]).arg(image.path())) {
            skip(mkfs[0], what);
            return None;
        }
        let path = image.path().to_owned();
        Self::at_new_place(
            &["-o", options, &path.display().to_string()],
            Some(image),
            what,
        )
    }

    /// The filesystem in the file `image`.
    pub(crate) fn of_image(image: &Path, what: &str) -> Option<Self> {
        Self::at_new_place(&["-o", "loop", &image.display().to_string()], None, what)
    }

    /// A directory that is also mounted at `dir`.
    pub(crate) fn bind(from: &Path, dir: &Path, what: &str) -> Option<Self> {
        Self::at(&["--bind", &from.display().to_string()], dir, what)
    }

    /// An overlay of directories, mounted at `dir`.
    pub(crate) fn overlay(options: &str, dir: &Path, what: &str) -> Option<Self> {
        Self::at(
            &["-t", "overlay", "-o", options, "lc-test-overlay"],
            dir,
            what,
        )
    }

    fn at(arguments: &[&str], dir: &Path, what: &str) -> Option<Self> {
        if !is_root() || !succeeds(Command::new("mount").args(arguments).arg(dir)) {
            skip("mount", what);
            return None;
        }
        Some(Self {
            dir: dir.to_owned(),
            place: None,
            image: None,
        })
    }

    fn at_new_place(
        arguments: &[&str],
        image: Option<tempfile::NamedTempFile>,
        what: &str,
    ) -> Option<Self> {
        let dir = tempfile::Builder::new()
            .prefix("lc-test-mount-")
            .tempdir()
            .unwrap();
        let mut mounted = Self::at(arguments, dir.path(), what)?;
        (mounted.place, mounted.image) = (Some(dir), image);
        Some(mounted)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// A path on it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// The words before a program that then finds itself in another boot of the machine, which `file`
/// identifies; none, and a skipped test, without root.
pub(crate) fn later_boot(file: &Path, what: &str) -> Option<Vec<String>> {
    if !is_root() || !is_installed("unshare", what) {
        skip("root", what);
        return None;
    }
    std::fs::write(file, "5f0c7f1e-0000-4000-8000-000000000000\n").unwrap();
    let script = format!(
        "mount --bind {} /proc/sys/kernel/random/boot_id && exec \"$@\"",
        file.display()
    );
    let words = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    Some(words.map(str::to_owned).into())
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A lazy unmount also works if a failed test left a descriptor open.
        succeeds(Command::new("umount").arg("-l").arg(&self.dir));
    }
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
