//! Whatever is in the directory, nothing outside is reached and nothing blocks.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::BaseDir;
use crate::error::{Error, Result};
use crate::fs::WrongFile;

/// A directory `base`, and beside it `outside` with a file `kept`.
struct Case {
    top: tempfile::TempDir,
    base: BaseDir,
}

impl Case {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        for name in ["base", "outside"] {
            fs::create_dir(top.path().join(name)).unwrap();
        }
        fs::write(top.path().join("outside/kept"), "kept").unwrap();
        let base = BaseDir::open(&top.path().join("base")).unwrap().unwrap();
        Self { top, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join("base").join(name)
    }

    fn outside(&self) -> PathBuf {
        self.top.path().join("outside")
    }
}

fn is_wrong<T>(result: &Result<T>) -> bool {
    let error = result.as_ref().err();
    error.and_then(WrongFile::of) == Some(WrongFile::NotAFile)
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn nothing_below_a_symlink_is_reached() {
    let case = Case::new();
    let (link, kept) = (case.path("link"), case.path("link/kept"));
    symlink(case.outside(), &link).unwrap();
    let base = &case.base;
    assert!(base.read(&kept, 100).is_err() && base.list(&link).is_err());
    assert!(base.remove(&kept).is_err() && base.remove_tree(&kept).is_err());
    assert!(base.touch(&kept, 0o666).is_err() && base.stat(&kept).is_err());
    assert!(base.write_new(&case.path("link/new"), 0o600, b"x").is_err());
    assert!(base.create_dir(&link, 0o700).is_err() && base.open_dir(&link).is_err());
    base.write_new(&case.path("own"), 0o600, b"x").unwrap();
    assert!(base.rename(&case.path("own"), &kept).is_err());
    base.remove_tree(&link).unwrap();
    let left: Vec<_> = fs::read_dir(case.outside()).unwrap().collect();
    assert!(left.len() == 1 && fs::read(case.outside().join("kept")).unwrap() == b"kept");
}

#[test]
fn a_path_outside_is_refused() {
    let case = Case::new();
    for path in [case.outside().join("kept"), case.path("../outside/kept")] {
        assert!(case.base.read(&path, 100).is_err());
    }
}

#[test]
fn only_regular_files_are_opened_and_none_blocks() {
    let case = Case::new();
    let base = &case.base;
    let at = |name: &str| case.path(name);
    symlink(case.outside().join("kept"), at("symlink")).unwrap();
    fifo(&at("fifo"));
    fs::create_dir(at("directory")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    for name in ["symlink", "fifo", "directory", "socket"] {
        let path = at(name);
        assert!(is_wrong(&base.read(&path, 100)), "{name}");
        assert!(is_wrong(&base.open_file(&path)), "{name}");
        assert!(base.open_append(&path, 0o600).is_err(), "{name}");
        assert_eq!(
            is_wrong(&base.open_lock(&path, 0o600)),
            name != "directory",
            "{name}"
        );
    }
}

#[test]
fn long_files_and_holes_are_not_read() {
    let case = Case::new();
    let path = case.path("file");
    let file = case.base.create_new(&path, 0o600).unwrap();
    file.set_len(1 << 40).unwrap();
    let reason = |limit| WrongFile::of(&case.base.read(&path, limit).unwrap_err());
    assert_eq!(reason(1 << 30), Some(WrongFile::TooLong));
    assert_eq!(reason(u64::MAX), Some(WrongFile::Holes));
}

#[test]
fn touching_changes_neither_the_mode_nor_the_target_of_a_link() {
    let case = Case::new();
    let secret = case.outside().join("kept");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(&secret).unwrap().modified().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    symlink(&secret, case.path("link")).unwrap();
    case.base.touch(&case.path("link"), 0o666).unwrap();
    assert_eq!(fs::metadata(&secret).unwrap().modified().unwrap(), before);
    fs::hard_link(&secret, case.path("hard")).unwrap();
    case.base.touch(&case.path("hard"), 0o666).unwrap();
    assert_eq!(mode(&secret), 0o600);
    assert!(is_wrong(&case.base.open_append(&case.path("hard"), 0o666)));
    fifo(&case.path("fifo"));
    case.base.touch(&case.path("fifo"), 0o666).unwrap();
    case.base.touch(&case.path("new"), 0o666).unwrap();
    assert_eq!(mode(&case.path("new")), 0o666);
}

#[test]
fn rename_noreplace_does_not_replace_a_file() {
    let case = Case::new();
    let (one, two) = (case.path("one"), case.path("two"));
    case.base.write_new(&one, 0o644, b"1").unwrap();
    case.base.write_new(&two, 0o644, b"2").unwrap();
    assert!(!case.base.rename_noreplace(&one, &two).unwrap());
    assert_eq!(case.base.read(&two, 100).unwrap(), b"2");
    case.base.remove(&two).unwrap();
    assert!(case.base.rename_noreplace(&one, &two).unwrap());
    assert_eq!(case.base.read(&two, 100).unwrap(), b"1");
}

#[test]
fn a_rename_replaces_whatever_has_the_name() {
    let case = Case::new();
    let (from, to) = (case.path("from"), case.path("to"));
    for kind in ["directory", "symlink", "fifo"] {
        match kind {
            "directory" => fs::create_dir_all(to.join("below")).unwrap(),
            "symlink" => symlink(case.outside(), &to).unwrap(),
            _ => fifo(&to),
        }
        case.base.write_new(&from, 0o600, b"new").unwrap();
        case.base.rename(&from, &to).unwrap();
        assert_eq!(case.base.read(&to, 100).unwrap(), b"new", "{kind}");
        case.base.remove(&to).unwrap();
    }
    assert!(case.outside().join("kept").exists());
}

#[test]
fn missing_names_are_none_and_empty() {
    let case = Case::new();
    let path = case.path("missing");
    assert!(case.base.stat(&path).unwrap().is_none());
    assert!(case.base.open_dir(&path).unwrap().is_none());
    assert!(case.base.list(&path).unwrap().is_empty());
    assert_eq!(case.base.allocated_in_dir(&path).unwrap(), 0);
    case.base.remove(&path).unwrap();
    case.base.remove_tree(&path).unwrap();
    let error = case.base.open_file(&path).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.is_not_found());
}
