//! Decides which entries are retained, and in which order the others are evicted (pure).
//!
//! # Generations
//!
//! Entries of one group (scope, ref, kind and list of paths) can be restored in place of one
//! another. A single limit per group does not work: the jobs of a matrix save into one group under
//! different keys. With a limit of five, a matrix of six jobs would evict one of its own entries in
//! every run. So generations are counted in **families**: keys that are equal except for digests,
//! dates and run numbers ([`family`]). The `keep` most recently used entries of each family are
//! retained.
//!
//! Keys can also differ in each run by something that looks like a name (a short number, a branch).
//! Then every entry is a family of its own. So at most [`MAX_FAMILIES`] times `keep` entries of a
//! group are retained: the newest of each family before the second of any, and so on.
//!
//! Jobs whose keys differ only by a digest are one family. Give each job a name in its key, or
//! raise `keep`.
//!
//! # When space is needed
//!
//! [`eviction_order`] returns the order in which entries are evicted, and why: entries unused for
//! longer than `old_after`, entries beyond the kept generations, then the least recently used ones.
//! The newest entry of each group of a default branch is last, because every branch starts from it.
//! A run whose own size limit is exceeded evicts older generations of its own groups before
//! anything that others used: it made the store too large, and its newest entry is enough for it.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::id::{CacheKind, EntryGroup, EntryId};
use super::scope::CacheScope;
use crate::fmt::human;
use crate::fs::Timestamp;

/// A group retains at most this many times `keep` entries.
pub const MAX_FAMILIES: usize = 4;

/// At least this many hexadecimal digits in a row are a digest, a run number or a date.
const MIN_DIGEST: usize = 7;

/// What is retained. Without limits, everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How many entries of each family are retained; the most recently used ones.
    pub keep: HashMap<CacheKind, usize>,
    /// Counts generations over all keys of a group, as if they were one family.
    pub as_one_family: bool,
    /// The groups that `keep` applies to; none for all. A save limits only its own group.
    pub groups: Option<Vec<String>>,
    /// Entries unused for longer are evicted even if there is enough space.
    pub max_age: Option<Duration>,
    /// Entries unused for longer are evicted first when space is needed.
    pub old_after: Option<Duration>,
    /// Entries are evicted, in [`eviction_order`], until the store is no larger than this.
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    pub const DEFAULT_KEEP: [(CacheKind, usize); 4] = [
        (CacheKind::Registry, 5),
        (CacheKind::Git, 5),
        (CacheKind::Target, 3),
        (CacheKind::Path, 5),
    ];

    fn is_own(&self, candidate: &RetentionCandidate) -> bool {
        self.groups
            .as_ref()
            .is_some_and(|groups| groups.iter().any(|group| group == candidate.id.group()))
    }

    fn keep_of(&self, candidate: &RetentionCandidate) -> usize {
        if self.groups.is_none() || self.is_own(candidate) {
            self.keep
                .get(&candidate.kind)
                .copied()
                .unwrap_or(usize::MAX)
        } else {
            usize::MAX
        }
    }
}

/// An entry that may be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionCandidate {
    pub id: EntryId,
    pub kind: CacheKind,
    /// The [`family`] of its key.
    pub family: String,
    pub is_default_branch: bool,
    /// When it was last restored or saved.
    pub last_used: Timestamp,
    /// The files of the store that it needs, as indexes into the list of sizes.
    pub needs: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionDecision {
    pub id: EntryId,
    /// When it was last restored or saved.
    pub last_used: Timestamp,
    /// None if the entry is retained.
    pub evict: Option<EvictReason>,
    /// Rank in its family by last use, from 1 for the most recently used entry.
    pub rank: usize,
}

/// Why an entry is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictReason {
    /// Unused for longer than [`RetentionPolicy::max_age`].
    MaxAge(Duration),
    /// Space is needed; unused for longer than [`RetentionPolicy::old_after`].
    Old(Duration),
    /// As many entries of its family as are kept were used more recently.
    BeyondFamilyLimit(usize),
    /// As many entries of its group as are kept in all families were used more recently.
    BeyondGroupLimit(usize),
    /// Space is needed; an older generation of the groups of the run that needs it.
    OlderOwn,
    /// Space is needed; the least recently used entry.
    LeastRecentlyUsed,
    /// Space is needed; only the newest entries of default branches are left.
    NewestOfDefaultBranch,
}

impl EvictReason {
    /// Whether the entry is evicted even if there is enough space.
    fn is_unconditional(self) -> bool {
        matches!(
            self,
            Self::MaxAge(_) | Self::BeyondFamilyLimit(_) | Self::BeyondGroupLimit(_)
        )
    }

    /// Entries with a lower number are evicted first.
    fn priority(self) -> u8 {
        match self {
            Self::MaxAge(_) | Self::Old(_) => 0,
            Self::BeyondFamilyLimit(_) | Self::BeyondGroupLimit(_) => 1,
            Self::OlderOwn => 2,
            Self::LeastRecentlyUsed => 3,
            Self::NewestOfDefaultBranch => 4,
        }
    }
}

impl fmt::Display for EvictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxAge(age) => write!(f, "unused for {}", human::age(*age)),
            Self::Old(age) => write!(f, "space is needed; unused for {}", human::age(*age)),
            Self::BeyondFamilyLimit(keep) => {
                write!(f, "beyond the limit of {keep} for similar keys")
            }
            Self::BeyondGroupLimit(keep) => {
                write!(f, "beyond the limit of {keep} for these paths")
            }
            Self::OlderOwn => f.write_str("space is needed; there is a newer entry"),
            Self::LeastRecentlyUsed => f.write_str("space is needed; least recently used"),
            Self::NewestOfDefaultBranch => {
                f.write_str("space is needed; all other entries are gone")
            }
        }
    }
}

/// A key with `*` in place of digests, dates and run numbers: what the keys of a cache have in
/// common from run to run. Replaces at least seven hexadecimal digits in a row, and dates such as
/// 2026-11-23.
pub fn family(key: &str) -> String {
    let mut family = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(first) = rest.chars().next() {
        let digits = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        let replaced = date_len(rest)
            .filter(|length| *length >= digits)
            .or((digits >= MIN_DIGEST).then_some(digits));
        let length = replaced.unwrap_or_else(|| digits.max(first.len_utf8()));
        family.push_str(if replaced.is_some() {
            "*"
        } else {
            &rest[..length]
        });
        rest = &rest[length..];
    }
    family
}

/// The length of a date at the start of a text.
fn date_len(text: &str) -> Option<usize> {
    const SHAPE: &[u8] = b"0000-00-00";
    let bytes = text.as_bytes().get(..SHAPE.len())?;
    let fits = |(byte, shape): (&u8, &u8)| {
        if *shape == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == shape
        }
    };
    bytes.iter().zip(SHAPE).all(fits).then_some(SHAPE.len())
}

/// Whether other branches start from the entries of a group: it is of the default branch of its
/// scope if `known` has it, else of `main` or `master`. Always, if branches share their entries.
pub fn is_default_branch(group: &EntryGroup, known: &[CacheScope]) -> bool {
    if group.git_ref.is_empty() {
        return true;
    }
    match known.iter().find(|known| known.scope == group.scope) {
        Some(known) => known.git_ref == group.git_ref,
        None => matches!(
            group.git_ref.as_str(),
            "refs/heads/main" | "refs/heads/master"
        ),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Index in the list of candidates.
    pub candidate: usize,
    pub reason: EvictReason,
    /// Rank in its family by last use, from 1 for the most recently used entry.
    pub rank: usize,
}

/// All entries, in the order in which they are evicted when space is needed.
pub fn eviction_order(
    candidates: &[RetentionCandidate],
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Vec<Eviction> {
    let mut evictions = rank_by_last_use(candidates, policy, now);
    limit_groups(candidates, policy, &mut evictions);
    // The sort is stable: within a priority, the least recently used entry stays first.
    evictions.reverse();
    evictions.sort_by_key(|eviction| eviction.reason.priority());
    evictions
}

/// All entries, the most recently used first, without the limits of groups.
fn rank_by_last_use(
    candidates: &[RetentionCandidate],
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Vec<Eviction> {
    let mut evictions: Vec<Eviction> = Vec::with_capacity(candidates.len());
    let mut families: HashMap<(&str, &str), usize> = HashMap::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for index in by_last_use(candidates) {
        let candidate = &candidates[index];
        let group = candidate.id.group();
        let family = if policy.as_one_family {
            ""
        } else {
            &candidate.family
        };
        let rank = families.entry((group, family)).or_default();
        let group_rank = groups.entry(group).or_default();
        (*rank, *group_rank) = (*rank + 1, *group_rank + 1);
        let reason = reason(
            candidate,
            *rank,
            *group_rank == 1,
            policy,
            age(candidate.last_used, now),
        );
        evictions.push(Eviction {
            candidate: index,
            reason,
            rank: *rank,
        });
    }
    evictions
}

/// Why an entry would be evicted, apart from the limit of its group.
fn reason(
    candidate: &RetentionCandidate,
    rank: usize,
    is_newest: bool,
    policy: &RetentionPolicy,
    age: Duration,
) -> EvictReason {
    let keep = policy.keep_of(candidate);
    if policy.max_age.is_some_and(|limit| age > limit) {
        EvictReason::MaxAge(age)
    } else if rank > keep {
        EvictReason::BeyondFamilyLimit(keep)
    } else if candidate.is_default_branch && is_newest {
        EvictReason::NewestOfDefaultBranch
    } else if policy.old_after.is_some_and(|limit| age > limit) {
        EvictReason::Old(age)
    } else if rank > 1 && policy.is_own(candidate) {
        EvictReason::OlderOwn
    } else {
        EvictReason::LeastRecentlyUsed
    }
}

/// Evicts what a group has beyond its limit. `evictions` are sorted by last use, the most recent
/// first.
fn limit_groups(
    candidates: &[RetentionCandidate],
    policy: &RetentionPolicy,
    evictions: &mut [Eviction],
) {
    let mut retained: Vec<&mut Eviction> = evictions
        .iter_mut()
        .filter(|eviction| !eviction.reason.is_unconditional())
        .collect();
    retained.sort_by_key(|eviction| eviction.rank);
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for eviction in retained {
        let candidate = &candidates[eviction.candidate];
        let count = groups.entry(candidate.id.group()).or_default();
        *count += 1;
        let limit = policy.keep_of(candidate).saturating_mul(MAX_FAMILIES);
        if *count > limit {
            eviction.reason = EvictReason::BeyondGroupLimit(limit);
        }
    }
}

/// The indexes of the candidates, the most recently used first. Equal times are ordered by id, so
/// that the same store gives the same result.
fn by_last_use(candidates: &[RetentionCandidate]) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..candidates.len()).collect();
    let last_use = |index: usize| {
        (
            std::cmp::Reverse(candidates[index].last_used),
            &candidates[index].id,
        )
    };
    indexes.sort_by(|a, b| last_use(*a).cmp(&last_use(*b)));
    indexes
}

/// Decides which entries are retained. `sizes` are those of the store's files; entries can share a
/// file.
pub fn decide(
    candidates: &[RetentionCandidate],
    sizes: &[u64],
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Vec<RetentionDecision> {
    let mut needed = NeededSpace::new(candidates, sizes);
    let mut decisions: Vec<Option<RetentionDecision>> = vec![None; candidates.len()];
    for Eviction {
        candidate,
        reason,
        rank,
    } in eviction_order(candidates, policy, now)
    {
        let is_evicted = reason.is_unconditional()
            || policy.max_bytes.is_some_and(|limit| needed.bytes() > limit);
        if is_evicted {
            needed.remove(&candidates[candidate]);
        }
        let RetentionCandidate { id, last_used, .. } = &candidates[candidate];
        let evict = is_evicted.then_some(reason);
        decisions[candidate] = Some(RetentionDecision {
            id: id.clone(),
            last_used: *last_used,
            evict,
            rank,
        });
    }
    by_last_use(candidates)
        .into_iter()
        .filter_map(|index| decisions[index].take())
        .collect()
}

/// The space that entries need together; shared files count once.
#[derive(Clone, Debug)]
pub struct NeededSpace<'s> {
    sizes: &'s [u64],
    users: Vec<usize>,
    bytes: u64,
}

impl<'s> NeededSpace<'s> {
    pub fn new(candidates: &[RetentionCandidate], sizes: &'s [u64]) -> Self {
        let mut users = vec![0; sizes.len()];
        candidates
            .iter()
            .flat_map(|candidate| &candidate.needs)
            .for_each(|need| users[*need] += 1);
        let used = sizes.iter().zip(&users).filter(|(_, users)| **users > 0);
        let bytes = used.map(|(size, _)| size).sum();
        Self {
            sizes,
            users,
            bytes,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn files(&self) -> u64 {
        self.users.iter().filter(|users| **users > 0).count() as u64
    }

    /// Removes an entry. Returns the bytes and files that no other entry needs.
    pub fn remove(&mut self, candidate: &RetentionCandidate) -> (u64, u64) {
        let (mut bytes, mut files) = (0, 0);
        for need in &candidate.needs {
            self.users[*need] -= 1;
            if self.users[*need] == 0 {
                bytes += self.sizes[*need];
                files += 1;
            }
        }
        self.bytes -= bytes;
        (bytes, files)
    }
}

fn age(last_used: Timestamp, now: Timestamp) -> Duration {
    // If the clock was set back, the age is zero.
    Duration::from_secs(
        u64::try_from(now.seconds.saturating_sub(last_used.seconds)).unwrap_or_default(),
    )
}
