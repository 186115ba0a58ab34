//! Users, groups, filesystems and trees that tests create on the machine and remove again.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::runner::foreign_below;
use super::support::unique;

/// useradd does not wait for the lock of passwd, so tests take this one first.
static USERS: Mutex<()> = Mutex::new(());

/// A user like that of a runner, removed with its home.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
    groups: Vec<String>,
}

impl User {
    pub(crate) fn new() -> Self {
        let name = unique("u");
        {
            let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
            root("useradd", &["--create-home", "--shell", "/bin/sh", &name]);
        }
        let home = Path::new("/home").join(&name);
        let about = fs::metadata(&home).expect("useradd made a home");
        Self {
            name,
            uid: about.uid(),
            gid: about.gid(),
            home,
            groups: Vec::new(),
        }
    }

    /// Creates a group, adds the user to it and returns its gid.
    pub(crate) fn join_new_group(&mut self) -> u32 {
        let group = unique("g");
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        root("groupadd", &[&group]);
        root("usermod", &["--append", "--groups", &group, &self.name]);
        let file = fs::read_to_string("/etc/group").expect("reads");
        let line = file
            .lines()
            .find(|line| line.starts_with(&format!("{group}:")))
            .expect("was added");
        let gid = line
            .split(':')
            .nth(2)
            .and_then(|gid| gid.parse().ok())
            .expect("is a number");
        self.groups.push(group);
        gid
    }

    pub(crate) fn join(&self, group: &str) {
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        root("usermod", &["--append", "--groups", group, &self.name]);
    }

    /// Creates a directory below the home that belongs to the user, with its parents.
    pub(crate) fn directory(&self, path: &str) -> PathBuf {
        let mut whole = self.home.clone();
        for part in Path::new(path) {
            whole.push(part);
            if !whole.exists() {
                fs::create_dir(&whole).expect("makes a directory");
                chown(&whole, Some(self.uid), Some(self.gid)).expect("changes its owner");
            }
        }
        whole
    }

    pub(crate) fn file(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("writes");
        chown(path, Some(self.uid), Some(self.gid)).expect("changes its owner");
    }

    /// The files below the home that belong to another user.
    pub(crate) fn foreign_files(&self) -> Vec<PathBuf> {
        foreign_below(&self.home, self.uid)
    }

    /// Creates a file that belongs to the user, with its parent directories.
    pub(crate) fn file_at(&self, path: &Path, contents: &[u8]) {
        let above: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|above| !above.exists())
            .collect();
        for directory in above.into_iter().rev() {
            fs::create_dir(directory).expect("makes a directory");
            self.own(directory);
        }
        fs::write(path, contents).expect("writes");
        self.own(path);
    }

    pub(crate) fn own(&self, path: &Path) {
        lchown(path, Some(self.uid), Some(self.gid)).expect("changes its owner");
    }

    /// Creates files of a size in bytes, a hundred in each directory, each with different contents.
    pub(crate) fn tree(&self, top: &Path, files: usize, bytes: usize) {
        for number in 0..files {
            let mut contents = format!("{number} ").repeat(bytes / 2 + 1).into_bytes();
            contents.truncate(bytes);
            self.file_at(&top.join(format!("d{}/f{number}", number / 100)), &contents);
        }
    }

    /// A command that runs as the user.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .uid(self.uid)
            .gid(self.gid)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command.env("HOME", &self.home);
        command
    }
}

/// What there is in a tree: names, modes with the kind, times of all but directories, contents.
pub(crate) type Snapshot = Vec<(PathBuf, u32, (i64, i64), Vec<u8>)>;

pub(crate) fn snapshot(top: &Path) -> Snapshot {
    let mut found = Vec::new();
    let mut paths = vec![top.to_owned()];
    while let Some(path) = paths.pop() {
        let about = fs::symlink_metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let contents = if about.is_dir() {
            paths.extend(
                fs::read_dir(&path)
                    .expect("lists")
                    .map(|entry| entry.expect("lists").path()),
            );
            Vec::new()
        } else if about.is_symlink() {
            fs::read_link(&path)
                .expect("reads")
                .into_os_string()
                .into_encoded_bytes()
        } else {
            fs::read(&path).expect("reads")
        };
        let name = path.strip_prefix(top).expect("is below").to_owned();
        let time = if about.is_dir() {
            (0, 0)
        } else {
            (about.mtime(), about.mtime_nsec())
        };
        found.push((name, about.permissions().mode(), time, contents));
    }
    found.sort();
    found
}

/// A tmpfs below the temporary directory. Dropping it unmounts it.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    pub(crate) fn new(user: &User, kilobytes: u32) -> Self {
        let path = std::env::temp_dir().join(unique("disk"));
        fs::create_dir(&path).expect("makes a directory");
        let options = format!(
            "size={kilobytes}k,mode=755,uid={},gid={}",
            user.uid, user.gid
        );
        let directory = path.to_string_lossy();
        root(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &options,
                "local-cache-test",
                &directory,
            ],
        );
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .args(["--lazy"])
                .arg(&self.0)
                .output(),
        );
        drop(fs::remove_dir(&self.0));
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            Command::new("userdel")
                .args(["--remove", "--force", &self.name])
                .output(),
        );
        for group in &self.groups {
            drop(Command::new("groupdel").arg(group).output());
        }
    }
}

fn root(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{program} {}: {error}",
        arguments.join(" ")
    );
}
