//! What tests make on the machine and take away again: images, users, groups.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::kit::{probe_program, unique};

/// passwd has one lock, and useradd does not wait for it.
static USERS: Mutex<()> = Mutex::new(());

/// An image with nothing but the probe in it, as `/main`.
pub(crate) struct Image(pub(crate) String);

impl Image {
    pub(crate) fn new() -> Self {
        let name = unique("image");
        let mut header = tar::Header::new_ustar();
        let program = fs::read(probe_program()).expect("the probe is built");
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "main", program.as_slice()).expect("packs");
        let archive = archive.into_inner().expect("packs");
        let mut import = Command::new("docker")
            .args(["import", "--change", "ENTRYPOINT [\"/main\"]", "-", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("docker runs");
        import.stdin.take().expect("is piped").write_all(&archive).expect("docker reads the image");
        assert!(import.wait().expect("ends").success(), "docker import");
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["rmi", "--force", &self.0]).output());
    }
}

/// A user like the one a runner runs as. Removed with its home.
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
        Self { name, uid: about.uid(), gid: about.gid(), home, groups: Vec::new() }
    }

    /// Makes a group and puts the user into it; the group's number.
    pub(crate) fn join_new_group(&mut self) -> u32 {
        let group = unique("g");
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        root("groupadd", &[&group]);
        root("usermod", &["--append", "--groups", &group, &self.name]);
        let file = fs::read_to_string("/etc/group").expect("reads");
        let line = file.lines().find(|line| line.starts_with(&format!("{group}:"))).expect("was added");
        let gid = line.split(':').nth(2).and_then(|gid| gid.parse().ok()).expect("is a number");
        self.groups.push(group);
        gid
    }

    pub(crate) fn join(&self, group: &str) {
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        root("usermod", &["--append", "--groups", group, &self.name]);
    }

    /// Makes a directory below the home, all of it the user's.
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

    /// Everything below the home that is not the user's.
    pub(crate) fn foreign_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.home.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("lists") {
                let path = entry.expect("lists").path();
                let about = fs::symlink_metadata(&path).expect("stats");
                if about.is_dir() {
                    directories.push(path.clone());
                }
                if about.uid() != self.uid {
                    found.push(path);
                }
            }
        }
        found
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _lock = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        drop(Command::new("userdel").args(["--remove", "--force", &self.name]).output());
        for group in &self.groups {
            drop(Command::new("groupdel").arg(group).output());
        }
    }
}

fn root(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {}: {error}", arguments.join(" "));
}
