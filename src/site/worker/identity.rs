//! Decides whether the host that a helper sees is the runner's, who the runner's user is there, and
//! where `~` is.
//!
//! The engine may run elsewhere: in a container of its own that shares only the runner's work
//! directory, or on another machine. Then `/host` is not the runner's disk, although the workspace
//! can look right. Three proofs are used, the strongest first:
//!
//! 1. The workspace must be the same directory that the action's container sees: same device, same
//!    inode.
//! 2. The runner labels its containers with the first six digits of the SHA-256 of its settings in
//!    lower case (actions/runner, `DockerCommandManager.Initialize`). Settings with that digest
//!    above the workspace prove that this is the runner's host.
//! 3. The settings can be elsewhere. Then the host's passwd must list the owner of the workspace;
//!    the passwd of an image that an engine runs in does not. Root is listed everywhere, so for
//!    root this proof counts only if there is no label that demands proof 2.
//!
//! If the user set `site: host`, the first proof is enough.
//!
//! The helper must not get the rights of another user than the runner's. Steps run as that user, and
//! can replace the workspace and directories above it by symlinks. So the owner of the workspace
//! proves nothing: the user comes from the files that the runner creates for a stage, and here it
//! is checked that nobody but root and that user decided where the workspace's path leads. For
//! root, all of that path must be out of the reach of others. A runner that is not root can't work
//! in such a directory, so a step can't bring about that its helper is root.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::env::Env;
use crate::site::problem::SiteNotice;
use crate::site::users::User;

/// Who a helper runs as. Later phases reuse it: if there are groups to add, that saves starting a
/// second helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The runner's user, as numbered in containers.
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups, without the one that owns the engine's socket.
    pub groups: Vec<u32>,
    /// Whether the groups come from the host's group file. Otherwise they are a first guess.
    pub settled: bool,
}

/// The workspace as this process's container sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceId {
    /// Its path on the host.
    pub path: PathBuf,
    pub device: u64,
    pub inode: u64,
}

/// What a helper must check before it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCheck {
    /// Where the host's root is mounted.
    pub root: PathBuf,
    /// Host directories that are hidden from the helper.
    pub hidden: Vec<PathBuf>,
    pub workspace: WorkspaceId,
    /// The runner's label on the action's container.
    pub label: Option<String>,
    /// Whether the user guarantees that this is the runner's host (`site: host`).
    pub trusted: bool,
    /// Who the helper was started as.
    pub identity: Identity,
    /// Groups that helpers must not have: with the socket's group, a helper could become root.
    pub withheld_groups: Vec<u32>,
    /// Whether the helper was given the network of the action's container.
    pub network: bool,
}

/// A directory or symlink on the way to the workspace, as the host's root sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// Its path on the host.
    pub path: PathBuf,
    pub uid: u32,
    pub is_link: bool,
    /// Whether users other than the owner may replace what is in this directory.
    pub is_open: bool,
}

/// What a helper found on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostProbe {
    /// Device and inode of the workspace, if it exists.
    pub workspace: Option<(u64, u64)>,
    /// What decides where the path of the workspace leads, without the workspace itself.
    pub way: Vec<PathStep>,
    /// The owner of the host's `/`, as numbered in containers.
    pub root_uid: u32,
    /// What the engine did not confine although it was asked to, in words.
    pub unconfined: Vec<String>,
    /// Contents of the runner's settings files above the workspace.
    pub settings: Vec<String>,
    /// The uid of the runner's user outside of user namespaces.
    pub host_uid: u32,
    /// Whether the helper is in a user namespace. Then the host's gids mean nothing to it.
    pub in_user_namespace: bool,
    /// The user's entry in the host's passwd.
    pub user: Option<User>,
    /// Whether the home in that entry is a directory.
    pub home_exists: bool,
    /// The user's groups in the host's group file.
    pub groups: Vec<u32>,
    /// The topmost directory above the workspace that belongs to the user.
    pub topmost_owned: Option<PathBuf>,
    /// What the runner adds to the environment of its steps.
    pub runner_env: Env,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVerdict {
    Accepted {
        /// The home directory of the runner's user on the host.
        home: PathBuf,
        /// The helper's identity, now settled.
        identity: Identity,
        notices: Vec<SiteNotice>,
    },
    /// A new helper must be started with this identity.
    NeedsGroups(Identity),
    /// This is not the runner's host, for this reason.
    WrongHost(String),
    /// The helper runs as a user who may not be the runner's, for this reason.
    WrongUser(String),
    /// The helper can do more than it should, for this reason.
    Unconfined(String),
}

pub fn verify_host(check: &HostCheck, probe: &HostProbe) -> HostVerdict {
    let mut notices = Vec::new();
    if let Err(reason) = prove_runner_host(check, probe, &mut notices) {
        return HostVerdict::WrongHost(reason);
    }
    if let Err(reason) = check_user(check.identity.uid, probe) {
        return HostVerdict::WrongUser(reason);
    }
    if !probe.unconfined.is_empty() {
        return HostVerdict::Unconfined(probe.unconfined.join(", "));
    }
    let identity = full_identity(check, probe);
    let is_incomplete = identity.gid != check.identity.gid
        || identity
            .groups
            .iter()
            .any(|group| !check.identity.groups.contains(group));
    if is_incomplete && !check.identity.settled {
        return HostVerdict::NeedsGroups(identity);
    }
    let home = choose_home(probe, &check.workspace, &mut notices);
    HostVerdict::Accepted {
        home,
        identity: Identity {
            settled: true,
            ..check.identity.clone()
        },
        notices,
    }
}

/// Applies the proofs of the module's documentation in their order.
fn prove_runner_host(
    check: &HostCheck,
    probe: &HostProbe,
    notices: &mut Vec<SiteNotice>,
) -> Result<(), String> {
    check_workspace(&check.workspace, probe.workspace)?;
    if check.trusted {
        return Ok(());
    }
    let Some(label) = &check.label else {
        return if probe.user.is_some() {
            Ok(())
        } else {
            Err(format!("it has no user with uid {}", probe.host_uid))
        };
    };
    if probe
        .settings
        .iter()
        .any(|text| runner_label(text) == *label)
    {
        return Ok(());
    }
    if probe.user.is_some() && probe.host_uid != 0 {
        notices.push(SiteNotice::ProvedByUser(probe.host_uid));
        return Ok(());
    }
    Err(format!(
        "no settings of this runner above {} and no user with uid {} of its own",
        check.workspace.path.display(),
        probe.host_uid
    ))
}

/// Whether only root and the helper's user decided where the workspace's path leads.
fn check_user(uid: u32, probe: &HostProbe) -> Result<(), String> {
    let foreign = |step: &&PathStep| step.uid != probe.root_uid && step.uid != uid;
    if let Some(link) = probe.way.iter().filter(|step| step.is_link).find(foreign) {
        return Err(format!(
            "{} is a symlink of uid {} and leads to a directory of another user",
            link.path.display(),
            link.uid
        ));
    }
    if uid != probe.root_uid {
        return Ok(());
    }
    let reachable = |step: &&PathStep| step.uid != uid || (step.is_open && !step.is_link);
    match probe.way.iter().find(reachable) {
        None => Ok(()),
        Some(step) => Err(format!(
            "the runner does not seem to be root, because {} can be changed by other users",
            step.path.display()
        )),
    }
}

fn check_workspace(wanted: &WorkspaceId, found: Option<(u64, u64)>) -> Result<(), String> {
    let path = wanted.path.display();
    match found {
        None => Err(format!("{path} does not exist there")),
        Some(found) if found != (wanted.device, wanted.inode) => {
            Err(format!("{path} is another directory there"))
        }
        Some(_) => Ok(()),
    }
}

/// The identity with the groups that the host's files list.
fn full_identity(check: &HostCheck, probe: &HostProbe) -> Identity {
    let mut identity = Identity {
        settled: true,
        ..check.identity.clone()
    };
    if let (Some(user), false) = (&probe.user, probe.in_user_namespace) {
        identity.gid = user.gid;
        identity.groups = probe
            .groups
            .iter()
            .copied()
            .filter(|group| !check.withheld_groups.contains(group))
            .collect();
    }
    identity
}

/// The home in the host's passwd if it exists, otherwise the topmost directory above the workspace
/// that belongs to the user.
fn choose_home(
    probe: &HostProbe,
    workspace: &WorkspaceId,
    notices: &mut Vec<SiteNotice>,
) -> PathBuf {
    let listed = probe.user.as_ref().and_then(|user| user.home.clone());
    let why = match listed {
        Some(home) if probe.home_exists => return home,
        Some(home) => format!("{} of the host's passwd does not exist", home.display()),
        None => format!("the host's passwd has no home for uid {}", probe.host_uid),
    };
    let home = probe
        .topmost_owned
        .clone()
        .unwrap_or_else(|| workspace.path.clone());
    notices.push(SiteNotice::HomeAssumed {
        home: home.clone(),
        why,
    });
    home
}

/// The label that a runner with these settings gives its containers: the first six digits of
/// `IOUtil.GetSha256Hash` of the settings in lower case (actions/runner). The file may start with a
/// byte order mark, which .NET drops.
pub fn runner_label(settings: &str) -> String {
    let text = settings
        .strip_prefix('\u{feff}')
        .unwrap_or(settings)
        .to_lowercase();
    let mut label = String::new();
    for byte in &Sha256::digest(text.as_bytes())[..3] {
        // Writing to a String can't fail.
        let _ = write!(label, "{byte:02x}");
    }
    label
}
