//! Deciding whether the host a helper sees is the runner's, who the runner's user is there, and
//! where `~` is.
//!
//! The engine may run elsewhere: in a container of its own that shares only the runner's work
//! directory, or on another machine. Then `/host` is not the runner's disk, although the workspace
//! can look right. Three signs, strongest first:
//!
//! 1. The workspace must be the very directory that the action's container sees: same device and
//!    inode.
//! 2. The runner labels its containers with the first six digits of the SHA-256 of its settings in
//!    lower case (actions/runner, `DockerCommandManager.Initialize`). Settings with that digest
//!    beside the work directory prove it.
//! 3. Settings can lie elsewhere. Then the host's passwd must know the workspace's owner; the
//!    images that engines of their own run in do not. Root is known everywhere, so for root this
//!    sign counts only where no label asks for 2.
//!
//! A site that the user forced is believed after the first sign.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::site::problem::SiteNotice;
use crate::site::users::User;

/// Who a helper works as. Worth keeping for the next phase: it saves a second helper where there
/// are groups to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The runner's user, as containers number it.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its other groups, without the one that owns the engine's socket.
    pub groups: Vec<u32>,
    /// Whether the groups are those of the host's group file rather than a first guess.
    pub settled: bool,
}

/// A directory that both sides must see as the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceId {
    /// Its name on the host.
    pub path: PathBuf,
    /// `st_dev` as the near side sees it.
    pub device: u64,
    /// `st_ino` as the near side sees it.
    pub inode: u64,
}

/// What a helper has to check before it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCheck {
    /// Where the host's root is mounted.
    pub root: PathBuf,
    /// Directories below that root that are hidden, as the host calls them.
    pub hidden: Vec<PathBuf>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The runner's label on the action's container.
    pub label: Option<String>,
    /// Whether the user vouches for the host (`site: host`).
    pub trusted: bool,
    /// Who the helper was started as.
    pub identity: Identity,
    /// Groups that are not given to helpers: with the socket's group a helper could become root.
    pub withheld_groups: Vec<u32>,
}

/// What a helper found on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostProbe {
    /// Device and inode of the workspace, if it is there.
    pub workspace: Option<(u64, u64)>,
    /// Contents of the runner's settings files above the workspace.
    pub settings: Vec<String>,
    /// The user's number outside of user namespaces.
    pub host_uid: u32,
    /// Whether the helper is in a user namespace: then the host's group numbers mean nothing to it.
    pub in_user_namespace: bool,
    /// The user's line in the host's passwd.
    pub user: Option<User>,
    /// Whether the home in that line is a directory.
    pub home_exists: bool,
    /// The user's groups in the host's group file.
    pub groups: Vec<u32>,
    /// The topmost directory above the workspace that belongs to the user.
    pub topmost_owned: Option<PathBuf>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVerdict {
    /// To work.
    Accepted {
        /// What `~` stands for, in the host's form.
        home: PathBuf,
        /// Who the helper is, now known.
        identity: Identity,
        /// Worth a line each.
        notices: Vec<SiteNotice>,
    },
    /// To be started again as this.
    NeedsGroups(Identity),
    /// Not to work: not the runner's host, because of this.
    WrongHost(String),
}

/// Judges what was found.
pub fn verify_host(check: &HostCheck, seen: &HostProbe) -> HostVerdict {
    let mut notices = Vec::new();
    if let Err(why) = prove_runner_host(check, seen, &mut notices) {
        return HostVerdict::WrongHost(why);
    }
    let identity = full_identity(check, seen);
    let lacking = identity.gid != check.identity.gid
        || identity
            .groups
            .iter()
            .any(|group| !check.identity.groups.contains(group));
    if lacking && !check.identity.settled {
        return HostVerdict::NeedsGroups(identity);
    }
    let home = choose_home(seen, &check.workspace, &mut notices);
    HostVerdict::Accepted {
        home,
        identity: Identity {
            settled: true,
            ..check.identity.clone()
        },
        notices,
    }
}

fn prove_runner_host(
    check: &HostCheck,
    seen: &HostProbe,
    notices: &mut Vec<SiteNotice>,
) -> Result<(), String> {
    let workspace = check.workspace.path.display();
    match seen.workspace {
        None => return Err(format!("{workspace} does not exist there")),
        Some(found) if found != (check.workspace.device, check.workspace.inode) => {
            return Err(format!("{workspace} is another directory there"));
        }
        Some(_) => {}
    }
    if check.trusted {
        return Ok(());
    }
    let Some(label) = &check.label else {
        return if seen.user.is_some() {
            Ok(())
        } else {
            Err(format!("it has no user with uid {}", seen.host_uid))
        };
    };
    if seen
        .settings
        .iter()
        .any(|text| runner_label(text) == *label)
    {
        return Ok(());
    }
    if seen.user.is_some() && seen.host_uid != 0 {
        notices.push(SiteNotice::ProvedByUser(seen.host_uid));
        return Ok(());
    }
    Err(format!(
        "no settings of this runner above {workspace} and no user with uid {} of its own",
        seen.host_uid
    ))
}

fn full_identity(check: &HostCheck, seen: &HostProbe) -> Identity {
    let mut identity = Identity {
        settled: true,
        ..check.identity.clone()
    };
    if let (Some(user), false) = (&seen.user, seen.in_user_namespace) {
        identity.gid = user.gid;
        identity.groups = seen
            .groups
            .iter()
            .copied()
            .filter(|group| !check.withheld_groups.contains(group))
            .collect();
    }
    identity
}

fn choose_home(seen: &HostProbe, witness: &WorkspaceId, notices: &mut Vec<SiteNotice>) -> PathBuf {
    let listed = seen.user.as_ref().and_then(|user| user.home.clone());
    match listed {
        Some(home) if seen.home_exists => home,
        listed => {
            let why = match listed {
                Some(home) => format!("{} of the host's passwd does not exist", home.display()),
                None => format!("the host's passwd names no home for uid {}", seen.host_uid),
            };
            let home = seen
                .topmost_owned
                .clone()
                .unwrap_or_else(|| witness.path.clone());
            notices.push(SiteNotice::HomeAssumed {
                home: home.clone(),
                why,
            });
            home
        }
    }
}

/// The label a runner with these settings gives to its containers (actions/runner,
/// `IOUtil.GetSha256Hash` of the settings file's text in lower case, six digits). The file may
/// begin with a byte order mark, which .NET drops.
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
