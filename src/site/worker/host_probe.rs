//! What a helper reads from the host before it works. The host's root is mounted below a directory
//! of the helper.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::fs::resolve_in_root;
use crate::site::proc::{self, UidMap};
use crate::site::runner_env;
use crate::site::users::{self, User};
use crate::site::worker::identity::{HostCheck, HostProbe, PathStep, runner_label};

/// Settings are a few hundred bytes; a larger file is something else.
const MAX_SETTINGS_BYTES: u64 = 64 << 10;

/// Reads the host. Files that can't be read count as missing; the verdict names what is missing.
pub(super) fn probe_host(check: &HostCheck) -> HostProbe {
    let root = &check.root;
    let map = UidMap::parse(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default());
    // The host's passwd lists uids as they are outside of the helper's user namespace.
    let host_uid = map.outside(check.identity.uid);
    let user = read(root, "/etc/passwd").and_then(|passwd| users::find_user(&passwd, host_uid));
    let home = user.as_ref().and_then(|user| user.home.as_deref());
    let home = home.and_then(|home| stat(root, home));
    let workspace = &check.workspace.path;
    HostProbe {
        workspace: stat(root, workspace).map(|found| (found.dev(), found.ino())),
        way: way_to(root, workspace),
        root_uid: fs::metadata(root).map_or(0, |found| found.uid()),
        unconfined: unconfined(check),
        settings: runner_settings(root, workspace),
        host_uid,
        in_user_namespace: !map.is_identity(),
        home_exists: home.is_some_and(|home| home.is_dir()),
        groups: host_groups(root, user.as_ref()),
        user,
        topmost_owned: topmost_owned(root, workspace, check.identity.uid),
        runner_env: runner_env(root, workspace, check.label.as_deref()),
    }
}

fn host_groups(root: &Path, user: Option<&User>) -> Vec<u32> {
    match (user, read(root, "/etc/group")) {
        (Some(user), Some(group)) => users::supplementary_groups(&group, user),
        _ => Vec::new(),
    }
}

fn stat(root: &Path, path: &Path) -> Option<fs::Metadata> {
    fs::metadata(resolve_in_root::resolve(root, path).ok()?).ok()
}

fn read(root: &Path, path: &str) -> Option<Vec<u8>> {
    fs::read(resolve_in_root::resolve(root, Path::new(path)).ok()?).ok()
}

/// The `.runner` files in the directories above the workspace. The work directory is inside the
/// runner's root directory unless it was configured otherwise.
fn runner_settings(root: &Path, workspace: &Path) -> Vec<String> {
    let above = workspace.ancestors().skip(1);
    above
        .filter_map(|directory| read_settings(root, &directory.join(".runner")))
        .collect()
}

/// The environment in the root directory of the runner: the nearest one above the workspace, or the
/// one with the label's settings.
fn runner_env(root: &Path, workspace: &Path, label: Option<&str>) -> Env {
    let is_root = |directory: &&Path| {
        let settings = read_settings(root, &directory.join(".runner"));
        settings.is_some_and(|text| label.is_none_or(|label| runner_label(&text) == label))
    };
    let Some(directory) = workspace.ancestors().skip(1).find(is_root) else {
        return Env::default();
    };
    let [env, path] =
        [".env", ".path"].map(|name| read_bounded(root, &directory.join(name)).unwrap_or_default());
    runner_env::parse(&env, &path)
}

fn read_settings(root: &Path, path: &Path) -> Option<String> {
    String::from_utf8(read_bounded(root, path)?).ok()
}

fn read_bounded(root: &Path, path: &Path) -> Option<Vec<u8>> {
    let path = resolve_in_root::resolve(root, path).ok()?;
    let metadata = fs::metadata(&path).ok()?;
    if metadata.is_file() && metadata.len() <= MAX_SETTINGS_BYTES {
        fs::read(path).ok()
    } else {
        None
    }
}

fn topmost_owned(root: &Path, workspace: &Path, uid: u32) -> Option<PathBuf> {
    let is_owned =
        |directory: &&Path| stat(root, directory).is_some_and(|found| found.uid() == uid);
    workspace
        .ancestors()
        .take_while(is_owned)
        .last()
        .map(Path::to_owned)
}

/// The directories and symlinks that decide where the path of the workspace leads.
fn way_to(root: &Path, workspace: &Path) -> Vec<PathStep> {
    let mut visited = vec![root.to_owned()];
    let end = resolve_in_root::walk(root, workspace, &mut |path| visited.push(path.to_owned()));
    let end = end.unwrap_or_default();
    visited
        .into_iter()
        .filter(|path| *path != end)
        .filter_map(|path| {
            let found = fs::symlink_metadata(&path).ok()?;
            let (is_shared, is_sticky) = (found.mode() & 0o022 != 0, found.mode() & 0o1000 != 0);
            Some(PathStep {
                path: Path::new("/").join(path.strip_prefix(root).ok()?),
                uid: found.uid(),
                is_link: found.is_symlink(),
                is_open: is_shared && !is_sticky,
            })
        })
        .collect()
}

/// Where this process is less confined than the engine was asked for. Engines ignore options that
/// they don't know.
fn unconfined(check: &HostCheck) -> Vec<String> {
    let HostCheck { root, hidden, .. } = check;
    let visible = hidden
        .iter()
        .filter(|path| is_visible(root, path))
        .map(|path| format!("{} is not hidden", path.display()));
    let status = fs::read("/proc/self/status").unwrap_or_default();
    let network = if check.network {
        Vec::new()
    } else {
        fs::read("/proc/self/net/dev").unwrap_or_default()
    };
    visible
        .chain(proc::excess_rights(&status, &network))
        .collect()
}

/// Whether this process can see what is at a path of the host: names in a directory, or a socket.
fn is_visible(root: &Path, path: &Path) -> bool {
    let Ok(path) = resolve_in_root::resolve(root, path) else {
        return false;
    };
    let Ok(found) = fs::symlink_metadata(&path) else {
        return false;
    };
    if !found.is_dir() {
        return found.file_type().is_socket();
    }
    match fs::read_dir(&path) {
        Ok(mut names) => names.next().is_some(),
        // Without the right to search it, nothing in it can be reached either.
        Err(_) => fs::metadata(path.join(".")).is_ok(),
    }
}
