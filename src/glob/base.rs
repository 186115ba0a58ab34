//! The directories that patterns and stored paths are relative to.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The directories that relative patterns, `~` and stored paths refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The checked-out repository: `GITHUB_WORKSPACE`.
    pub workspace: PathBuf,
    /// The directory that relative patterns start from.
    pub working_directory: PathBuf,
    /// The directory that `~` stands for; empty if unknown.
    pub home: PathBuf,
}

/// The directory that a path is relative to, so that the path keeps its meaning on machines where
/// the directory is somewhere else.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    Workspace,
    Home,
    /// `/`, for paths outside of workspace and home.
    Root,
}

impl Base {
    /// The base of a step in a workflow: relative patterns start at the workspace.
    pub fn new(workspace: impl Into<PathBuf>, home: impl Into<PathBuf>) -> Self {
        let workspace = workspace.into();
        Self {
            working_directory: workspace.clone(),
            workspace,
            home: home.into(),
        }
    }

    /// Splits an absolute path into an anchor and the rest. The workspace takes precedence over
    /// home.
    ///
    /// A workspace or home that is `/` is no anchor, because every path is below it.
    pub fn anchor<'path>(&self, path: &'path Path) -> (Anchor, &'path Path) {
        for (anchor, directory) in [
            (Anchor::Workspace, &self.workspace),
            (Anchor::Home, &self.home),
        ] {
            if let (true, Ok(rest)) = (can_anchor(directory), path.strip_prefix(directory)) {
                return (anchor, rest);
            }
        }
        (Anchor::Root, path.strip_prefix("/").unwrap_or(path))
    }

    /// The inverse of [`Base::anchor`], with the current workspace and home.
    pub fn locate(&self, anchor: Anchor, rest: &Path) -> PathBuf {
        let directory = match anchor {
            Anchor::Workspace => &self.workspace,
            Anchor::Home => &self.home,
            Anchor::Root => Path::new("/"),
        };
        if rest.as_os_str().is_empty() {
            directory.to_path_buf()
        } else {
            directory.join(rest)
        }
    }

    /// An absolute path relative to the working directory: `.` for the directory itself, `../x` for
    /// a sibling.
    pub fn relative(&self, path: &Path) -> PathBuf {
        let from: Vec<Component> = self.working_directory.components().collect();
        let to: Vec<Component> = path.components().collect();
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let up = from[common..].iter().map(|_| Component::ParentDir);
        let relative: PathBuf = up.chain(to[common..].iter().copied()).collect();
        if relative.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            relative
        }
    }
}

/// Whether a directory is known and not `/`.
pub(crate) fn can_anchor(directory: &Path) -> bool {
    directory.is_absolute() && names(directory).next().is_some()
}

/// The names in a path. `.` and repeated slashes are skipped.
pub(crate) fn names(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        Component::ParentDir => Some(b"..".as_slice()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_anchored_at_the_workspace_before_home_and_comes_back() {
        let base = Base::new("/home/u/work/ws/", "/home//u");
        let table = [
            ("/home/u/work/ws", Anchor::Workspace, ""),
            ("/home/u/work/ws/a/b", Anchor::Workspace, "a/b"),
            ("/home/u/work/ws2", Anchor::Home, "work/ws2"),
            ("/home/u", Anchor::Home, ""),
            ("/tmp/x", Anchor::Root, "tmp/x"),
            ("/", Anchor::Root, ""),
        ];
        for (path, anchor, rest) in table {
            assert_eq!(
                base.anchor(Path::new(path)),
                (anchor, Path::new(rest)),
                "{path}"
            );
            assert_eq!(
                base.locate(anchor, Path::new(rest)),
                Path::new(path),
                "{path}"
            );
        }
    }

    #[test]
    fn a_home_that_is_the_root_or_unknown_anchors_nothing() {
        for home in ["/", ""] {
            assert_eq!(
                Base::new("/ws", home).anchor(Path::new("/tmp")),
                (Anchor::Root, Path::new("tmp"))
            );
        }
    }

    #[test]
    fn paths_are_shown_from_the_working_directory() {
        let base = Base::new("/a/b", "/h");
        for (path, shown) in [
            ("/a/b", "."),
            ("/a/b/c", "c"),
            ("/a/x", "../x"),
            ("/h/.cargo", "../../h/.cargo"),
            ("/", "../.."),
        ] {
            assert_eq!(base.relative(Path::new(path)), Path::new(shown), "{path}");
        }
    }
}
