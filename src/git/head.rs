//! The commit that is checked out.

use std::path::{Path, PathBuf};

use super::repository::Repository;
use crate::error::{Error, Result};
use crate::fs::{FileKind, files};

/// Git follows no more symbolic refs.
const MAX_SYMBOLIC_REFS: usize = 5;
/// A repository with a million refs has a smaller file, in bytes.
const MAX_REFS: u64 = 1 << 28;
/// Refs of one checkout; all others belong to all checkouts of the repository.
const OWN_REFS: [&str; 3] = ["refs/bisect/", "refs/rewritten/", "refs/worktree/"];

/// The commit that `HEAD` names.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// In lower-case hexadecimal digits. None on a branch without a commit.
    pub commit: Option<String>,
    /// The files that were read to find it. Another commit changes one of them, or adds a file of
    /// a ref that was packed before.
    pub files: Vec<PathBuf>,
}

impl Repository {
    /// Follows `HEAD` to a commit.
    ///
    /// Errors: refs that are not files (reftable), damaged or too many symbolic refs.
    pub fn head(&self) -> Result<Head> {
        if !self.has_ref_files() {
            return Err(Error::invalid(format!(
                "the refs of {} are not files, which is not supported; the commit is not known",
                self.common_dir().display()
            )));
        }
        let mut files = Vec::new();
        let mut name = "HEAD".to_owned();
        for _ in 0..=MAX_SYMBOLIC_REFS {
            let path = self.dir_of(&name).join(&name);
            let Some(text) = read_loose(&path)? else {
                let commit = self.packed(&name, &mut files)?;
                return Ok(Head { commit, files });
            };
            let target = parse_ref(&text).ok_or_else(|| no_commit(&path))?;
            files.push(path);
            match target {
                Target::Commit(commit) => {
                    return Ok(Head {
                        commit: Some(commit),
                        files,
                    });
                }
                Target::Name(next) => name = next,
            }
        }
        Err(no_commit(&self.git_dir().join("HEAD")))
    }

    fn dir_of(&self, name: &str) -> &Path {
        if name == "HEAD" || OWN_REFS.iter().any(|own| name.starts_with(own)) {
            self.git_dir()
        } else {
            self.common_dir()
        }
    }

    fn packed(&self, name: &str, files: &mut Vec<PathBuf>) -> Result<Option<String>> {
        let path = self.common_dir().join("packed-refs");
        let Some((text, _)) = files::read_with_stat(&path, MAX_REFS)? else {
            return Ok(None);
        };
        files.push(path);
        Ok(find_packed(&text, name))
    }
}

/// The text of a ref that is not packed. Git may keep an empty directory of that name when it packs
/// the refs.
fn read_loose(path: &Path) -> Result<Option<Vec<u8>>> {
    if files::stat(path)?.is_none_or(|stat| stat.kind == FileKind::Directory) {
        return Ok(None);
    }
    let read = files::read_with_stat(path, MAX_REFS)?;
    Ok(read.map(|(text, _)| text))
}

enum Target {
    Commit(String),
    Name(String),
}

/// None if the text is neither the id of a commit nor the name of a ref.
fn parse_ref(text: &[u8]) -> Option<Target> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii_end();
    match text.strip_prefix("ref:") {
        Some(name) => {
            let name = name.trim_ascii_start();
            // The name becomes a path, which must stay in the repository.
            let is_safe = name.starts_with("refs/")
                && name
                    .split('/')
                    .all(|part| !["", ".", ".."].contains(&part) && !part.contains('\0'));
            is_safe.then(|| Target::Name(name.to_owned()))
        }
        None => commit_id(text).map(Target::Commit),
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(bytes: &[u8]) {
    if let Some(Target::Name(name)) = parse_ref(bytes) {
        assert!(name.split('/').all(|part| part != ".."), "{name}");
    }
    find_packed(bytes, "refs/heads/main");
}

fn commit_id(text: &str) -> Option<String> {
    let is_id = [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase())
}

/// The commit of a ref in the text of `packed-refs`: a line with an id and a name for each ref.
fn find_packed(text: &[u8], name: &str) -> Option<String> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(name.as_bytes())?;
        let id = std::str::from_utf8(line.strip_suffix(b" ")?).ok()?;
        commit_id(id)
    })
}

fn no_commit(path: &Path) -> Error {
    Error::invalid(format!(
        "{} does not lead to a commit; the commit is not known",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_ref_is_found_by_its_whole_name() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let text = format!(
            "# pack-refs with: peeled fully-peeled sorted \n{id} refs/heads/x/refs/heads/a\n\
             ffffffffffffffffffffffffffffffffffffffff refs/heads/a\n^{id}\n{id} refs/heads/ab\n"
        );
        let find = |name| find_packed(text.as_bytes(), name);
        assert_eq!(find("refs/heads/a"), Some("f".repeat(40)));
        assert_eq!(find("refs/heads/ab").as_deref(), Some(id));
        assert_eq!(find("refs/heads/b"), None);
    }

    #[test]
    fn a_ref_leads_to_a_commit_or_to_a_ref_in_the_repository() {
        let is_name = |text: &str| matches!(parse_ref(text.as_bytes()), Some(Target::Name(_)));
        assert!(is_name("ref: refs/heads/a/b\n") && is_name("ref:refs/x"));
        for text in ["ref: /etc/x", "ref: refs/../../x", "ref: HEAD", "ref:", ""] {
            assert!(parse_ref(text.as_bytes()).is_none(), "{text}");
        }
        let id = "A".repeat(64) + "\n";
        assert!(
            matches!(parse_ref(id.as_bytes()), Some(Target::Commit(id)) if id == "a".repeat(64))
        );
        assert!(parse_ref(&[0xff; 40]).is_none() && parse_ref(&[b'a'; 41]).is_none());
    }
}
