//! What the work is told about the place it runs in.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::site::EnvVars;
use crate::site::worker::resolve_in_root as rooted;

/// The place where the work runs, whichever of the sites that is.
#[derive(Debug, Clone)]
pub struct WorkerContext {
    /// What is the root for the names in the request: `/`, or where a helper sees the host's root.
    pub root: PathBuf,
    /// Directories that can't be used here, as the request names them.
    pub hidden: Vec<PathBuf>,
    /// What `~` stands for, as the request names it.
    pub home: Option<PathBuf>,
    /// The environment of the steps, where it is known: here and in a job's container.
    pub env: EnvVars,
    cancel: Arc<AtomicBool>,
}

impl WorkerContext {
    /// A place whose root is this process's own.
    pub fn local(env: EnvVars, home: Option<PathBuf>, cancel: Arc<AtomicBool>) -> Self {
        Self {
            root: PathBuf::from("/"),
            hidden: Vec::new(),
            home,
            env,
            cancel,
        }
    }

    /// A place below `root`, with nothing known of the steps' environment.
    pub fn below(
        root: PathBuf,
        hidden: Vec<PathBuf>,
        home: PathBuf,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        Self {
            root,
            hidden,
            home: Some(home),
            env: EnvVars::new(),
            cancel,
        }
    }

    /// Whether the work was called off. It is to stop soon and to return what it has.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// `path` with a leading `~` replaced by the home, as the request names things.
    ///
    /// Errors: `path` begins with `~` and the home is not known, or with `~name`, which is not
    /// supported.
    fn expand(&self, path: &Path) -> io::Result<PathBuf> {
        let Some(first) = path
            .components()
            .next()
            .map(|part| part.as_os_str().to_owned())
        else {
            return Ok(path.to_owned());
        };
        if first == OsStr::new("~") {
            let home = self
                .home
                .as_ref()
                .ok_or_else(|| invalid("`~` is not known here: HOME is not set"))?;
            let rest = path.strip_prefix("~").unwrap_or(path);
            return Ok(if rest.as_os_str().is_empty() {
                home.clone()
            } else {
                home.join(rest)
            });
        }
        Ok(path.to_owned())
    }

    /// The path to use for what the request calls `path`: absolute or beginning with `~`. Below a
    /// foreign root every symlink is followed as that root has it; here the kernel does that.
    ///
    /// Errors: a relative path, an unknown home, a directory that is hidden, too many symlinks.
    pub fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        self.place(path, rooted::resolve)
    }

    /// The same, but a symlink in the last component is left alone.
    pub fn locate_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.place(path, rooted::resolve_parent)
    }

    fn place(
        &self,
        path: &Path,
        resolve: fn(&Path, &Path) -> io::Result<PathBuf>,
    ) -> io::Result<PathBuf> {
        let path = self.expand(path)?;
        if !path.is_absolute() {
            return Err(invalid(&format!(
                "{} is not an absolute path",
                path.display()
            )));
        }
        if self.root == Path::new("/") {
            return Ok(path);
        }
        let found = resolve(&self.root, &path)?;
        let outside = self.name(&found);
        if let Some(hidden) = self
            .hidden
            .iter()
            .find(|hidden| outside.starts_with(hidden))
        {
            let text = format!(
                "{} lies below {}, which is hidden from the cache",
                path.display(),
                hidden.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(found)
    }

    /// The name for people and for replies of a path from [`Self::locate`].
    pub fn name(&self, located: &Path) -> PathBuf {
        located
            .strip_prefix(&self.root)
            .map_or_else(|_| located.to_owned(), |rest| Path::new("/").join(rest))
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
