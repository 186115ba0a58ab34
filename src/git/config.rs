//! The few settings of a repository that change how its files are read.
//!
//! Only the repository's own file is read. Files that it includes, and those of the user and the
//! machine, cannot have these settings, or cannot make a changed file count as clean.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::blob::ObjectFormat;
use crate::error::{Error, Result};

/// Settings of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RepositoryConfig {
    pub(super) format: ObjectFormat,
    /// Where the checkout is, if the repository says so: absolute, or relative to its directory.
    pub(super) worktree: Option<PathBuf>,
    /// Whether refs are files with text.
    pub(super) has_ref_files: bool,
    /// The URL that the repository was cloned from.
    pub(super) origin: Option<String>,
}

impl RepositoryConfig {
    /// Reads the text of a file `config`. Errors: a hash function that is not known.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let mut config = Self {
            format: ObjectFormat::Sha1,
            worktree: None,
            has_ref_files: true,
            origin: None,
        };
        let mut section = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            let mut line = line.trim_ascii();
            if let Some(rest) = line.strip_prefix(b"[") {
                let end = memchr::memchr(b']', rest).unwrap_or(rest.len());
                section = rest[..end].to_ascii_lowercase();
                line = rest.get(end + 1..).unwrap_or_default().trim_ascii();
            }
            let Some(equals) = memchr::memchr(b'=', line) else {
                continue;
            };
            let key = line[..equals].trim_ascii_end().to_ascii_lowercase();
            config.set(&section, &key, &value(&line[equals + 1..]))?;
        }
        Ok(config)
    }

    /// The last two names of [`RepositoryConfig::origin`]: `owner/name`.
    pub(super) fn origin_name(&self) -> Option<&str> {
        let url = self.origin.as_deref()?.trim_end_matches('/');
        let url = url.strip_suffix(".git").unwrap_or(url);
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        let mut starts = path.rmatch_indices(['/', ':']).map(|(at, _)| at + 1);
        let start = starts.nth(1).unwrap_or(0);
        Some(&path[start..]).filter(|name| name.contains('/'))
    }

    fn set(&mut self, section: &[u8], key: &[u8], value: &[u8]) -> Result<()> {
        match (section, key) {
            (b"extensions", b"objectformat") => {
                self.format = match value.to_ascii_lowercase().as_slice() {
                    b"sha1" => ObjectFormat::Sha1,
                    b"sha256" => ObjectFormat::Sha256,
                    other => {
                        return Err(Error::invalid(format!(
                            "the repository has objects of the format `{}`, which is not supported; all files are read",
                            other.escape_ascii()
                        )));
                    }
                };
            }
            (b"extensions", b"refstorage") => {
                self.has_ref_files = value.eq_ignore_ascii_case(b"files");
            }
            (br#"remote "origin""#, b"url") => {
                self.origin = Some(String::from_utf8_lossy(value).into_owned());
            }
            (b"core", b"worktree") => {
                self.worktree = Some(PathBuf::from(OsStr::from_bytes(value)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The value behind an equals sign, without quotes and a comment.
fn value(text: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    let mut is_quoted = false;
    // The length without blanks at the end that are not quoted.
    let mut end = 0;
    let mut bytes = text.trim_ascii_start().iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'#' | b';' if !is_quoted => break,
            b'\\' => value.extend(bytes.next()),
            _ => value.push(byte),
        }
        if is_quoted || !byte.is_ascii_whitespace() {
            end = value.len();
        }
    }
    value.truncate(end);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_any_notation() {
        let text = b"# a comment\n[core]\n\tbare = false\n\tworktree = \"../a \\\"b\" ; c\n\
            [Extensions] ObjectFormat = SHA256 # d\n[remote \"core\"]\n\tworktree = other\n";
        let config = RepositoryConfig::parse(text).unwrap();
        assert_eq!(config.format, ObjectFormat::Sha256);
        assert_eq!(config.worktree, Some(PathBuf::from("../a \"b")));
        assert!(config.has_ref_files);
    }

    #[test]
    fn a_repository_has_the_name_of_its_origin_on_any_host() {
        let cases = [
            ("https://github.com/acme/app.git", Some("acme/app")),
            ("git@github.com:acme/app", Some("acme/app")),
            ("ssh://git@host:2222/acme/app/", Some("acme/app")),
            ("/srv/git/app.git", Some("git/app")),
            ("app", None),
        ];
        for (url, name) in cases {
            let text = format!("[remote \"origin\"]\n\turl = {url}\n");
            let config = RepositoryConfig::parse(text.as_bytes()).unwrap();
            assert_eq!(config.origin_name(), name, "{url}");
        }
    }

    #[test]
    fn the_default_is_sha1_and_files() {
        let config = RepositoryConfig::parse(b"\xff=\n[\n]x\n=\n").unwrap();
        assert_eq!(config.format, ObjectFormat::Sha1);
        let reftable = b"[extensions]\nrefStorage = reftable\n";
        assert!(!RepositoryConfig::parse(reftable).unwrap().has_ref_files);
        assert!(RepositoryConfig::parse(b"[extensions]\nobjectformat = md5\n").is_err());
    }
}
