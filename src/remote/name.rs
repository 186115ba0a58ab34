//! Names of objects (pure).
//!
//! ```text
//! <prefix>/local-cache-v1/
//!   <trust>/<scope>/@/<ref>/@/<group id>/   everything of one group of entries
//!     entries/<key id>-<push>.json          one record: what a push saved
//!     manifests/<digest>                    a manifest and where its contents are
//!     segments/<digest>                     contents
//!     unreferenced.json                     what garbage collection found unneeded, and since when
//!   <trust>/doctor-<number>                 written and deleted by `local-cache doctor`
//! ```
//!
//! Scope and ref keep their slashes, so that the policy of a bucket can name
//! `branch/owner/repository/*`. `@` ends each of the two; no part of them is a plain `@`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, hex};
use crate::store::EntryGroup;
use crate::store::scope::is_of_pull_request;

/// The directory of the format, like the store's own.
pub(crate) const TOP: &str = "local-cache-v1";
const PROBE_PREFIX: &str = "doctor-";

/// Who may have written an entry. Bucket policies enforce it by the names of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Runs of the repository's branches, and people.
    Branch,
    /// All other runs. Runs of branches do not read what these write.
    PullRequest,
}

impl Trust {
    pub(crate) const ALL: [Self; 2] = [Self::Branch, Self::PullRequest];

    pub fn of_branch(is_branch: bool) -> Self {
        if is_branch {
            Self::Branch
        } else {
            Self::PullRequest
        }
    }

    /// Where a run with this trust finds entries of a group, in order.
    ///
    /// What pull requests write counts only for their own groups. An entry of a branch's group that
    /// one forged would otherwise get into the store of a machine, where runs of the branch find it.
    pub(crate) fn readable(self, group: &EntryGroup) -> &'static [Self] {
        match self {
            Self::PullRequest if is_of_pull_request(&group.git_ref) => {
                &[Self::PullRequest, Self::Branch]
            }
            Self::PullRequest | Self::Branch => &[Self::Branch],
        }
    }

    /// Whether a run with this trust may write entries of a group.
    pub(crate) fn may_write(self, group: &EntryGroup) -> bool {
        self == Self::Branch || is_of_pull_request(&group.git_ref)
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Branch => "branch",
            Self::PullRequest => "pull-request",
        })
    }
}

/// The name under which everything of one group is, relative to [`TOP`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupName(String);

impl GroupName {
    pub(crate) fn new(trust: Trust, group: &EntryGroup) -> Self {
        let mut name = format!("{trust}/");
        for text in [&group.scope, &group.git_ref] {
            for part in text.split('/').filter(|_| !text.is_empty()) {
                name.push_str(&encode(part));
                name.push('/');
            }
            name.push_str("@/");
        }
        name.push_str(&group.id());
        Self(name)
    }

    /// The group of any of its objects.
    pub(crate) fn of_object(name: &str) -> Option<Self> {
        let (directory, file) = name.rsplit_once('/')?;
        if file == "unreferenced.json" {
            return Some(Self(directory.to_owned()));
        }
        let (group, kind) = directory.rsplit_once('/')?;
        matches!(kind, "entries" | "manifests" | "segments").then(|| Self(group.to_owned()))
    }

    /// None for a name that no group has.
    pub(crate) fn trust(&self) -> Option<Trust> {
        let (first, _) = self.0.split_once('/')?;
        Trust::ALL
            .into_iter()
            .find(|trust| trust.to_string() == first)
    }

    pub(crate) fn objects(&self) -> String {
        format!("{}/", self.0)
    }

    pub(crate) fn records(&self) -> String {
        format!("{}/entries/", self.0)
    }

    pub(crate) fn record(&self, key_id: &str, push: &PushId) -> String {
        format!("{}{key_id}-{push}.json", self.records())
    }

    pub(crate) fn manifest(&self, digest: &Digest) -> String {
        format!("{}/manifests/{digest}", self.0)
    }

    pub(crate) fn segment(&self, digest: &Digest) -> String {
        format!("{}/segments/{digest}", self.0)
    }

    pub(crate) fn unreferenced(&self) -> String {
        format!("{}/unreferenced.json", self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the object with which a check finds out what it may do. No entry needs it.
pub(crate) fn probe_object(trust: Trust, id: &PushId) -> String {
    format!("{trust}/{PROBE_PREFIX}{id}")
}

/// The key's part of a record's name: that of the entry's id.
pub(crate) fn key_id(group: &EntryGroup, key: &str) -> String {
    group.entry_id(key).key().to_owned()
}

/// What an object of a group is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Record {
        key_id: String,
    },
    /// A manifest or a segment.
    Data,
    Unreferenced,
    /// What a check left behind.
    Probe,
    Other,
}

impl ObjectKind {
    pub(crate) fn of(name: &str) -> Self {
        let mut parts = name.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some("unreferenced.json"), _) => Self::Unreferenced,
            (Some(file), Some("entries")) => {
                let ids = file.strip_suffix(".json").and_then(|it| it.split_once('-'));
                match ids {
                    Some((key_id, push)) if is_hex(key_id) && is_hex(push) => Self::Record {
                        key_id: key_id.to_owned(),
                    },
                    _ => Self::Other,
                }
            }
            (Some(file), Some(_)) if file.strip_prefix(PROBE_PREFIX).is_some_and(is_hex) => {
                Self::Probe
            }
            (Some(file), Some("manifests" | "segments")) if file.parse::<Digest>().is_ok() => {
                Self::Data
            }
            _ => Self::Other,
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A random number that is part of everything a push writes, so that no two pushes write an object
/// of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushId(String);

impl PushId {
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        Self(hex(&[random(), random()].concat()))
    }
}

impl fmt::Display for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a scope or ref in the characters that every server and policy takes as they are.
/// Others become `=` and two hexadecimal digits.
fn encode(part: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "={byte:02X}");
        }
    }
    match &*encoded {
        "" => "=".to_owned(),
        "." => "=2E".to_owned(),
        ".." => "=2E=2E".to_owned(),
        _ => encoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CacheKind;

    fn group(scope: &str, git_ref: &str) -> EntryGroup {
        EntryGroup {
            scope: scope.into(),
            git_ref: git_ref.into(),
            kind: CacheKind::Path,
            paths: vec!["target".into()],
        }
    }

    fn name(scope: &str, git_ref: &str) -> String {
        let name = GroupName::new(Trust::Branch, &group(scope, git_ref)).to_string();
        name.rsplit_once('/').unwrap().0.to_owned()
    }

    #[test]
    fn scopes_and_refs_are_readable_and_never_ambiguous() {
        assert_eq!(
            name("acme/repo", "refs/heads/main"),
            "branch/acme/repo/@/refs/heads/main/@"
        );
        assert_eq!(name("", ""), "branch/@/@");
        assert_eq!(name("acme", "@"), "branch/acme/@/=40/@");
        assert_eq!(name("a//b", "../x y"), "branch/a/=/b/@/=2E=2E/x=20y/@");
    }

    #[test]
    fn the_group_and_the_kind_of_an_object_follow_from_its_name() {
        let group = group("acme/repo", "refs/heads/segments");
        let of_group = GroupName::new(Trust::PullRequest, &group);
        let key_id = key_id(&group, "linux-1");
        let digest = Digest::of(b"x");
        let objects = [
            (
                of_group.record(&key_id, &PushId::random()),
                ObjectKind::Record { key_id },
            ),
            (of_group.manifest(&digest), ObjectKind::Data),
            (of_group.segment(&digest), ObjectKind::Data),
            (of_group.unreferenced(), ObjectKind::Unreferenced),
        ];
        for (name, kind) in objects {
            assert_eq!(GroupName::of_object(&name), Some(of_group.clone()));
            assert_eq!(ObjectKind::of(&name), kind, "{name}");
        }
        assert_eq!(of_group.trust(), Some(Trust::PullRequest));
        let probe = probe_object(Trust::Branch, &PushId::random());
        assert_eq!(ObjectKind::of(&probe), ObjectKind::Probe, "{probe}");
        assert_eq!(GroupName::of_object(&probe), None);
        assert_eq!(GroupName::of_object("clock"), None);
        assert_eq!(ObjectKind::of("a/entries/notes.txt"), ObjectKind::Other);
    }

    #[test]
    fn a_branch_never_reads_what_a_pull_request_writes() {
        for git_ref in ["", "refs/heads/main", "refs/tags/v1", "refs/pull/7/merge"] {
            let group = group("acme/repo", git_ref);
            assert_eq!(Trust::Branch.readable(&group), [Trust::Branch]);
            assert!(Trust::Branch.may_write(&group));
        }
    }

    #[test]
    fn a_pull_request_writes_only_groups_that_no_branch_reads() {
        for (git_ref, is_own) in [
            ("", false),
            ("refs/heads/main", false),
            ("refs/heads/untrusted/x", false),
            ("refs/tags/refs/pull/7", false),
            ("refs/pull/7/merge", true),
            ("untrusted/run/1", true),
        ] {
            let group = group("acme/repo", git_ref);
            assert_eq!(Trust::PullRequest.may_write(&group), is_own, "{git_ref}");
            let readable = Trust::PullRequest.readable(&group);
            assert_eq!(readable.contains(&Trust::PullRequest), is_own, "{git_ref}");
            assert!(readable.contains(&Trust::Branch));
        }
    }
}
