//! What a helper looks at on the host before it works, through the host's root mounted below one of
//! its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::fs::resolve_in_root;
use crate::site::proc::UidMap;
use crate::site::users;
use crate::site::worker::identity::{HostCheck, HostProbe};

/// Looks. What can't be read counts as absent: the judgement says what is missing.
pub(crate) fn probe_host(check: &HostCheck) -> HostProbe {
    let root = &check.root;
    let map = UidMap::parse(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default());
    let outside = map.outside(check.identity.uid);
    let workspace = &check.workspace.path;
    let witness = stat(root, workspace).map(|found| (found.dev(), found.ino()));
    let user = read(root, "/etc/passwd").and_then(|passwd| users::find_user(&passwd, outside));
    let groups = match (&user, read(root, "/etc/group")) {
        (Some(user), Some(group)) => users::supplementary_groups(&group, user),
        _ => Vec::new(),
    };
    let home = user.as_ref().and_then(|user| user.home.as_deref());
    HostProbe {
        workspace: witness,
        settings: runner_settings(root, workspace),
        host_uid: outside,
        in_user_namespace: !map.is_identity(),
        home_exists: home
            .and_then(|home| stat(root, home))
            .is_some_and(|home| home.is_dir()),
        user,
        groups,
        topmost_owned: topmost_owned(root, workspace, check.identity.uid),
    }
}

fn stat(root: &Path, path: &Path) -> Option<fs::Metadata> {
    fs::metadata(resolve_in_root::resolve(root, path).ok()?).ok()
}

fn read(root: &Path, path: &str) -> Option<Vec<u8>> {
    fs::read(resolve_in_root::resolve(root, Path::new(path)).ok()?).ok()
}

/// The `.runner` files in the directories above the workspace: the work directory stands inside the
/// runner's root unless it was configured otherwise.
fn runner_settings(root: &Path, workspace: &Path) -> Vec<String> {
    let above = workspace.ancestors().skip(1);
    above
        .filter_map(|directory| read_settings(root, &directory.join(".runner")))
        .collect()
}

fn read_settings(root: &Path, path: &Path) -> Option<String> {
    /// Settings are a few hundred bytes; what is larger is something else.
    const MAX_BYTES: u64 = 64 << 10;
    let path = resolve_in_root::resolve(root, path).ok()?;
    let about = fs::metadata(&path).ok()?;
    (about.is_file() && about.len() <= MAX_BYTES)
        .then(|| fs::read_to_string(path).ok())
        .flatten()
}

fn topmost_owned(root: &Path, workspace: &Path, uid: u32) -> Option<PathBuf> {
    let owned = |directory: &&Path| stat(root, directory).is_some_and(|about| about.uid() == uid);
    workspace
        .ancestors()
        .take_while(owned)
        .last()
        .map(Path::to_owned)
}
