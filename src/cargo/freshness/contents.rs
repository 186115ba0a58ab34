//! The contents of inputs: what is compared to decide whether one changed.

use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, IoContext as _, Result};
use crate::fs::{FileKind, Stat, files};
use crate::git::{BlobId, blob_id_of};

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;
/// Any of the three permissions to execute.
const EXECUTABLE: u32 = 0o111;

/// What identifies the contents of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContentId {
    /// The file is as git's index has it, so it was not read.
    Blob(BlobId),
    /// The digest of the file's bytes.
    Bytes(Digest),
    /// The digest of the names in a directory. What lies below them is listed by itself.
    Names(Digest),
    /// The digest of where a symlink leads.
    Link(Digest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    pub(crate) content: ContentId,
    /// In bytes; zero if it is not a file. Git stores files with other line ends under one id.
    pub(crate) size: u64,
    pub(crate) is_executable: bool,
}

impl FileState {
    /// The state of a file, directory or symlink. `blob` is its id in git's index if it is unchanged.
    ///
    /// Errors: it can't be read, or is a socket, fifo or device.
    pub(crate) fn read(path: &Path, stat: &Stat, blob: Option<BlobId>) -> Result<Self> {
        let content = match (stat.kind, blob) {
            (FileKind::Directory, _) => ContentId::Names(names(path)?),
            (FileKind::File, Some(blob)) => ContentId::Blob(blob),
            (FileKind::File, None) => ContentId::Bytes(digest(path)?),
            (FileKind::Symlink, _) => ContentId::Link(link(path)?),
            (FileKind::Special, _) => {
                return Err(Error::invalid(format!(
                    "{} is neither a file nor a directory",
                    path.display()
                )));
            }
        };
        Ok(Self {
            content,
            size: size(stat),
            is_executable: is_executable(stat),
        })
    }

    /// Whether it is the state of a symlink itself.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self.content, ContentId::Link(_))
    }

    /// Whether a file or directory still has this state. Reads no more than it must.
    pub(crate) fn is_still(&self, path: &Path, stat: &Stat, blob: Option<BlobId>) -> Result<bool> {
        if self.size != size(stat) || self.is_executable != is_executable(stat) {
            return Ok(false);
        }
        match (self.content, stat.kind, blob) {
            (ContentId::Names(known), FileKind::Directory, _) => Ok(names(path)? == known),
            (ContentId::Blob(known), FileKind::File, Some(blob)) => Ok(known == blob),
            (ContentId::Blob(known), FileKind::File, None) => {
                let file = files::open(path)?;
                let found = blob_id_of(file, stat.size, known.format());
                Ok(found.context("read", || path)? == known)
            }
            (ContentId::Bytes(known), FileKind::File, _) => Ok(digest(path)? == known),
            (ContentId::Link(known), FileKind::Symlink, _) => Ok(link(path)? == known),
            _ => Ok(false),
        }
    }
}

fn size(stat: &Stat) -> u64 {
    match stat.kind {
        FileKind::File => stat.size,
        _ => 0,
    }
}

fn is_executable(stat: &Stat) -> bool {
    stat.kind == FileKind::File && stat.mode & EXECUTABLE != 0
}

fn digest(path: &Path) -> Result<Digest> {
    let mut file = files::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("read", || path),
        };
    }
}

fn link(path: &Path) -> Result<Digest> {
    let target = files::read_link(path)?;
    Ok(Digest::of(target.as_os_str().as_encoded_bytes()))
}

fn names(path: &Path) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    for name in files::list(path)? {
        // No name contains a zero byte.
        hasher.update(name.as_encoded_bytes()).update(b"\0");
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::git::ObjectFormat;

    fn stat(path: &Path) -> Stat {
        files::stat(path).unwrap().unwrap()
    }

    #[test]
    fn a_file_is_the_same_whether_git_knows_it_or_not() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("file");
        fs::write(&path, "text").unwrap();
        let blob = blob_id_of(&b"text"[..], 4, ObjectFormat::Sha1).unwrap();
        let other = blob_id_of(&b"xxxx"[..], 4, ObjectFormat::Sha1).unwrap();
        let clean = FileState::read(&path, &stat(&path), Some(blob)).unwrap();
        let read = FileState::read(&path, &stat(&path), None).unwrap();
        assert_ne!(clean, read);
        for known in [clean, read] {
            for blob in [Some(blob), None] {
                assert!(known.is_still(&path, &stat(&path), blob).unwrap());
            }
        }
        assert!(!clean.is_still(&path, &stat(&path), Some(other)).unwrap());
        for text in ["xxxx", "texts"] {
            fs::write(&path, text).unwrap();
            assert!(!clean.is_still(&path, &stat(&path), None).unwrap());
            assert!(!read.is_still(&path, &stat(&path), None).unwrap());
        }
    }

    #[test]
    fn a_directory_changes_with_its_names_and_a_file_with_the_permission_to_execute() {
        use std::os::unix::fs::PermissionsExt as _;
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("file");
        fs::write(&file, "text").unwrap();
        let directory = FileState::read(top.path(), &stat(top.path()), None).unwrap();
        let known = FileState::read(&file, &stat(&file), None).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!known.is_still(&file, &stat(&file), None).unwrap());
        assert!(
            directory
                .is_still(top.path(), &stat(top.path()), None)
                .unwrap()
        );
        fs::write(top.path().join("other"), "").unwrap();
        assert!(
            !directory
                .is_still(top.path(), &stat(top.path()), None)
                .unwrap()
        );
        assert!(!directory.is_still(&file, &stat(&file), None).unwrap());
    }
}
