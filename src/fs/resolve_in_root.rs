//! Resolving paths of the host in a helper container.
//!
//! The helper sees the host's `/` at `/host`. An absolute symlink of the host
//! (`~/.cargo -> /data/cargo`) would lead out of it, so symlinks are followed here, component by
//! component, as if `/host` were the root, like openat2(2) does with `RESOLVE_IN_ROOT`. The result
//! contains no symlink, so the kernel resolves nothing again.
//!
//! This does not protect against the user who owns the directories: the helper has the rights of
//! that user and no more, so a symlink that is swapped in meanwhile leads only where that user can
//! go.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows, `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// The path below `root` that `path` leads to if `root` is `/`. All symlinks are followed. From the
/// first component that does not exist, the rest is appended unchanged.
///
/// Errors: `path` is not absolute, there are too many symlinks, or a directory can't be searched.
pub(crate) fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    walk(root, path, &mut |_| ())
}

/// Like [`resolve`]; also calls `visit` with every path below `root` that decides where `path`
/// leads: directories and symlinks, in the order in which they are passed.
pub(crate) fn walk(root: &Path, path: &Path, visit: &mut dyn FnMut(&Path)) -> io::Result<PathBuf> {
    if !path.is_absolute() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not an absolute path",
        ));
    }
    let mut rest = names(path);
    let mut here = root.to_owned();
    let mut depth = 0_usize;
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            if depth > 0 {
                here.pop();
                depth -= 1;
            }
            continue;
        }
        let next = here.join(&name);
        visit(&next);
        match std::fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
                }
                if target.is_absolute() {
                    root.clone_into(&mut here);
                    depth = 0;
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            // EINVAL: the path exists and is no symlink. ENOENT, ENOTDIR: it does not exist yet; a
            // later use creates it or fails.
            Err(error) if is_no_link(&error) => {
                here = next;
                depth += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(here)
}

/// Like [`resolve`], but a symlink in the last component is not followed.
pub(crate) fn resolve_parent(root: &Path, path: &Path) -> io::Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(resolve(root, parent)?.join(name)),
        _ => resolve(root, path),
    }
}

fn is_no_link(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || matches!(
            error.raw_os_error(),
            Some(nix::libc::EINVAL | nix::libc::ENOTDIR)
        )
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn symlinks_are_followed_as_if_the_root_were_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("data/cargo")).unwrap();
        std::fs::create_dir_all(root.join("home/runner")).unwrap();
        symlink("/data/cargo", root.join("home/runner/.cargo")).unwrap();
        symlink("../../data", root.join("home/runner/up")).unwrap();
        symlink("../../../../../../data", root.join("home/runner/escape")).unwrap();
        symlink("/home/runner/up/cargo", root.join("twice")).unwrap();
        symlink("gone/away", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, expected) in [
            ("/", ""),
            ("/data", "data"),
            ("/home/runner/.cargo/registry", "data/cargo/registry"),
            ("/home/runner/up/cargo", "data/cargo"),
            ("/home/runner/escape", "data"),
            ("/twice/x", "data/cargo/x"),
            ("/home/runner/.cargo/../x", "data/x"),
            ("/../../data", "data"),
            ("/dangling/x", "gone/away/x"),
            ("/new/directory/../other", "new/other"),
        ] {
            let resolved = resolve(root, Path::new(path)).unwrap();
            assert_eq!(
                resolved,
                root.join(expected).components().collect::<PathBuf>(),
                "{path}"
            );
        }
        let error = resolve(root, Path::new("/loop")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ELOOP));
        assert!(resolve(root, Path::new("relative")).is_err());
        assert_eq!(
            resolve_parent(root, Path::new("/home/runner/.cargo")).unwrap(),
            root.join("home/runner/.cargo")
        );
    }
}
