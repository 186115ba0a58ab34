//! Where the paths of a request lead on this machine.
//!
//! A request names paths as the steps of the job know them. On the runner and in a job's container
//! this process sees the same paths ([`Local`]). A helper container sees the host's `/` below a
//! directory of its own ([`Rooted`]). Code that works on named paths takes a [`Namespace`] and is
//! the same in both places.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};
use crate::fs::{files, resolve_in_root};

/// Translates between the names in a request and the paths that this process can open.
///
/// Names are absolute or begin with `~`.
pub trait Namespace: Debug + Send + Sync {
    /// What `~` stands for, as a name.
    fn home(&self) -> Option<&Path>;

    /// The path to open for a name. Symlinks lead where the named machine has them lead.
    ///
    /// Errors: a relative name, an unknown home, a hidden directory, too many symlinks.
    fn resolve(&self, name: &Path) -> io::Result<PathBuf>;

    /// Like [`Namespace::resolve`], but a symlink in the last component is not followed.
    fn resolve_parent(&self, name: &Path) -> io::Result<PathBuf>;

    /// The name of a path that was resolved.
    fn original_name(&self, path: &Path) -> PathBuf;

    /// A message in which resolved paths are replaced by their names.
    fn original_text(&self, text: &str) -> String;

    /// [`Namespace::resolve`] with an error that names the path.
    fn locate(&self, name: &Path) -> Result<PathBuf> {
        self.resolve(name).context("find", || name)
    }

    /// [`Namespace::resolve_parent`] with an error that names the path.
    fn locate_parent(&self, name: &Path) -> Result<PathBuf> {
        self.resolve_parent(name).context("find", || name)
    }

    /// The name of a path without symlinks, as far as it exists.
    fn real_name(&self, name: &Path) -> Result<PathBuf> {
        Ok(self.original_name(&files::real_path(&self.locate(name)?)))
    }

    /// Where a name leads if it is a symlink to a directory; none otherwise.
    fn locate_linked_dir(&self, name: &Path) -> Result<Option<PathBuf>> {
        if !files::is_symlink(&self.locate_parent(name)?)? {
            return Ok(None);
        }
        // A symlink that leads nowhere is found when it is read as one.
        let target = self.locate(name).and_then(|path| files::canonical(&path));
        Ok(target.ok().filter(|path| path.is_dir()))
    }
}

/// The paths of this process are the names.
#[derive(Clone, Debug, Default)]
pub struct Local {
    home: Option<PathBuf>,
}

impl Local {
    /// A namespace in which `~` stands for `home`.
    pub fn new(home: Option<PathBuf>) -> Self {
        Self { home }
    }
}

impl Namespace for Local {
    fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        absolute(name, self.home())
    }

    fn resolve_parent(&self, name: &Path) -> io::Result<PathBuf> {
        absolute(name, self.home())
    }

    fn original_name(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn original_text(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// The names lie below a directory of this process, as the host's files do in a helper.
#[derive(Clone, Debug)]
pub struct Rooted {
    root: PathBuf,
    /// Names that must not be used: directories that the container engine hides.
    hidden: Vec<PathBuf>,
    home: PathBuf,
}

impl Rooted {
    /// A namespace whose `/` is `root`. Names below one of `hidden` are refused.
    pub fn new(root: PathBuf, hidden: Vec<PathBuf>, home: PathBuf) -> Self {
        Self { root, hidden, home }
    }

    /// `path` is the resolved form of `name`.
    fn refuse_hidden(&self, name: &Path, path: PathBuf) -> io::Result<PathBuf> {
        let outside = self.original_name(&path);
        match self.hidden.iter().find(|dir| outside.starts_with(dir)) {
            None => Ok(path),
            Some(dir) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} lies below {}, which is hidden from the cache",
                    name.display(),
                    dir.display()
                ),
            )),
        }
    }
}

impl Namespace for Rooted {
    fn home(&self) -> Option<&Path> {
        Some(&self.home)
    }

    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        let name = absolute(name, self.home())?;
        self.refuse_hidden(&name, resolve_in_root::resolve(&self.root, &name)?)
    }

    fn resolve_parent(&self, name: &Path) -> io::Result<PathBuf> {
        let name = absolute(name, self.home())?;
        self.refuse_hidden(&name, resolve_in_root::resolve_parent(&self.root, &name)?)
    }

    fn original_name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .map_or_else(|_| path.to_owned(), |rest| Path::new("/").join(rest))
    }

    fn original_text(&self, text: &str) -> String {
        let Some(root) = self.root.to_str() else {
            return text.to_owned();
        };
        // A path starts after one of these, never inside a word.
        let words = text.split_inclusive([' ', '(', '"', '\'', '`']);
        words
            .map(|word| match word.strip_prefix(root) {
                Some(rest) if rest.starts_with('/') => rest,
                _ => word,
            })
            .collect()
    }
}

/// A name with a leading `~` replaced by the home directory.
fn absolute(name: &Path, home: Option<&Path>) -> io::Result<PathBuf> {
    let path = match (name.strip_prefix("~"), home) {
        // Joining an empty path would add a slash.
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.to_owned(),
        (Ok(rest), Some(home)) => home.join(rest),
        (Ok(_), None) => return Err(invalid("the home directory is not known; set HOME")),
        (Err(_), _) => name.to_owned(),
    };
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(invalid("not an absolute path"))
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_stands_for_the_home_directory() {
        let local = Local::new(Some("/home/me".into()));
        for (name, path) in [("~", "/home/me"), ("~/x", "/home/me/x"), ("/~/x", "/~/x")] {
            let resolved = local.resolve(Path::new(name)).unwrap();
            assert_eq!(resolved.as_os_str(), path, "{name}");
        }
        assert!(Local::default().resolve(Path::new("~/x")).is_err());
        assert!(local.resolve(Path::new("x")).is_err());
    }

    #[test]
    fn names_below_a_hidden_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc/self", dir.path().join("link")).unwrap();
        let root = dir.path().to_owned();
        let rooted = Rooted::new(root, vec!["/proc".into()], "/home/me".into());
        for name in ["/proc", "/proc/1", "/link/fd", "~/../../proc"] {
            let error = rooted.resolve(Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
        assert!(rooted.resolve(Path::new("/processes")).is_ok());
    }

    #[test]
    fn messages_name_paths_without_the_root() {
        let rooted = Rooted::new("/host".into(), Vec::new(), "/home/me".into());
        let text = "could not read /host/home/me/x (/host/y); see /hosts and a/host/b";
        let expected = "could not read /home/me/x (/y); see /hosts and a/host/b";
        assert_eq!(rooted.original_text(text), expected);
    }
}
