//! Which entries stay, and in which order the others go (pure).
//!
//! # Generations
//!
//! Entries stand in for one another within a group: a scope, a ref, a kind and a list of paths. How
//! many of a group stay can't be one number for all of it: the cells of a matrix save into one
//! group under keys of their own, so with five kept, a matrix of six would push out one of its own
//! cells at every run. So generations are counted in **families**: keys that are alike but for
//! digests, dates and numbers of runs ([`family`]). Of each family the `keep` entries that were
//! used last stay.
//!
//! Keys can also differ at every run by something that looks like a name (a short number, a topic).
//! Then every entry is a family of its own. So no more than [`MAX_FAMILIES`] times `keep` entries of a
//! group stay in all: the newest of each family before the second of any, and so on.
//!
//! Cells whose keys differ by nothing but a digest are one family: give each cell a name in its
//! key, or raise `keep`.
//!
//! # When room is needed
//!
//! [`order`] says in which order entries go, and why: those unused for longer than `old_after`,
//! those beyond the kept generations, then the least recently used; the newest entry of each group
//! of a default branch last, because every branch begins from it. A run that is over the size it
//! allows itself takes the older generations of its own groups before anything that others used: it
//! made the store too large, and it knows that its own newest entry is enough.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::id::{CacheKind, EntryGroup, EntryId};
use super::scope::CacheScope;
use crate::fs::Timestamp;

/// A group keeps this many times the entries that a family keeps.
pub const MAX_FAMILIES: usize = 4;

/// Runs of hexadecimal digits from this length on are digests, numbers of runs or dates.
const DIGEST: usize = 7;

/// What is kept. Without limits everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How many entries of each family stay: those that were used last.
    pub keep: HashMap<CacheKind, usize>,
    /// Count generations over all keys of a group, as if they were one family.
    pub as_one_family: bool,
    /// The groups that `keep` is about; none for all. Who saves speaks for its own group and for no
    /// other.
    pub groups: Option<Vec<String>>,
    /// Entries unused for longer go, whatever the room.
    pub max_age: Option<Duration>,
    /// Entries unused for longer go first when room is needed.
    pub old_after: Option<Duration>,
    /// Entries go, in [`order`], until the store takes no more bytes than this.
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The generations that are kept of each kind where nobody says otherwise.
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

    fn kept(&self, candidate: &RetentionCandidate) -> usize {
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

/// An entry as far as retention is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionCandidate {
    /// Which entry.
    pub id: EntryId,
    /// Its kind.
    pub kind: CacheKind,
    /// The [`family`] of its key.
    pub family: String,
    /// Whether it belongs to a default branch, as [`is_of_default_branch`] says.
    pub is_default_branch: bool,
    /// When it was last used, or else saved.
    pub last_used: Timestamp,
    /// The files of the store that it needs, by their numbers in the list of sizes.
    pub needs: Vec<usize>,
}

/// What is done with an entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionDecision {
    /// Which entry.
    pub id: EntryId,
    /// When it was last used, or else saved.
    pub last_used: Timestamp,
    /// Why it goes; none when it stays.
    pub evict: Option<EvictReason>,
    /// Its place in its family, by last use; the one used last is 1.
    pub rank: usize,
}

/// Why an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictReason {
    /// It was not used for longer than allowed.
    MaxAge(Duration),
    /// Room is needed, and it was not used for long.
    Old(Duration),
    /// More entries of its family were used after it than are kept.
    BeyondFamilyLimit(usize),
    /// More entries of its group were used after it than are kept of all its families together.
    BeyondGroupLimit(usize),
    /// Room is needed, and this is an older generation of the groups that need it.
    OlderOwn,
    /// Room is needed, and this is the one used longest ago.
    LeastRecentlyUsed,
    /// Room is needed, and nothing was left but the newest entry of a group of a default branch.
    NewestOfDefaultBranch,
}

impl EvictReason {
    /// Whether it goes whatever the room.
    fn is_rule(self) -> bool {
        matches!(
            self,
            Self::MaxAge(_) | Self::BeyondFamilyLimit(_) | Self::BeyondGroupLimit(_)
        )
    }
}

impl fmt::Display for EvictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxAge(age) => write!(f, "not used for {}", span(*age)),
            Self::Old(age) => write!(f, "room is needed, and it was not used for {}", span(*age)),
            Self::BeyondFamilyLimit(kept) => write!(f, "beyond the {kept} kept of keys like this"),
            Self::BeyondGroupLimit(kept) => write!(f, "beyond the {kept} kept of these paths"),
            Self::OlderOwn => f.write_str("room is needed, and there is a newer one"),
            Self::LeastRecentlyUsed => f.write_str("room is needed, and it was used longest ago"),
            Self::NewestOfDefaultBranch => f.write_str("room is needed, and all others are gone"),
        }
    }
}

fn span(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..172_800 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A key with its digests, dates and numbers of runs blanked out: what the keys of a cache have in
/// common from run to run. Blank are runs of at least seven hexadecimal digits, and dates such as
/// 2026-11-23.
pub fn family(key: &str) -> String {
    let mut family = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(first) = rest.chars().next() {
        let digits = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        let blank = date(rest)
            .filter(|date| *date >= digits)
            .or((digits >= DIGEST).then_some(digits));
        let taken = blank.unwrap_or_else(|| digits.max(first.len_utf8()));
        family.push_str(if blank.is_some() { "*" } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    family
}

/// The length of a date at the beginning of a text.
fn date(text: &str) -> Option<usize> {
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

/// Whether entries of a group are what branches begin from: those of the default branch of its
/// scope, where that is among `known`, else those of a branch with one of the
/// two usual names; entries of all branches, where they are not kept apart.
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

/// An entry in the order in which entries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Its number in the list of candidates.
    pub candidate: usize,
    /// Why it goes when its turn comes.
    pub reason: EvictReason,
    /// Its place in its family, by last use; the one used last is 1.
    pub rank: usize,
}

/// All entries in the order in which they go when room is needed.
pub fn eviction_order(
    candidates: &[RetentionCandidate],
    policy: &RetentionPolicy,
    now: Timestamp,
) -> Vec<Eviction> {
    let mut going: Vec<Eviction> = Vec::with_capacity(candidates.len());
    let mut families: HashMap<(&str, &str), usize> = HashMap::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for number in by_last_use(candidates) {
        let candidate = &candidates[number];
        let group = candidate.id.group();
        let family = if policy.as_one_family {
            ""
        } else {
            &candidate.family
        };
        let rank = families.entry((group, family)).or_default();
        let of_group = groups.entry(group).or_default();
        (*rank, *of_group) = (*rank + 1, *of_group + 1);
        let reason = reason(
            candidate,
            *rank,
            *of_group == 1,
            policy,
            age(candidate.last_used, now),
        );
        going.push(Eviction {
            candidate: number,
            reason,
            rank: *rank,
        });
    }
    limit_groups(candidates, policy, &mut going);
    let turn = |reason: EvictReason| match reason {
        EvictReason::MaxAge(_) | EvictReason::Old(_) => 0,
        EvictReason::BeyondFamilyLimit(_) | EvictReason::BeyondGroupLimit(_) => 1,
        EvictReason::OlderOwn => 2,
        EvictReason::LeastRecentlyUsed => 3,
        EvictReason::NewestOfDefaultBranch => 4,
    };
    going.reverse();
    going.sort_by_key(|going| turn(going.reason));
    going
}

/// Why an entry goes when its turn comes, the limit of its group apart.
fn reason(
    candidate: &RetentionCandidate,
    rank: usize,
    is_newest: bool,
    policy: &RetentionPolicy,
    age: Duration,
) -> EvictReason {
    let kept = policy.kept(candidate);
    if policy.max_age.is_some_and(|limit| age > limit) {
        EvictReason::MaxAge(age)
    } else if rank > kept {
        EvictReason::BeyondFamilyLimit(kept)
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

/// Lets go what a group has beyond its limit; `going` is by last use, the last first.
fn limit_groups(
    candidates: &[RetentionCandidate],
    policy: &RetentionPolicy,
    going: &mut [Eviction],
) {
    let mut staying: Vec<&mut Eviction> = going
        .iter_mut()
        .filter(|going| !going.reason.is_rule())
        .collect();
    staying.sort_by_key(|going| going.rank);
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for going in staying {
        let candidate = &candidates[going.candidate];
        let stays = groups.entry(candidate.id.group()).or_default();
        *stays += 1;
        let most = policy.kept(candidate).saturating_mul(MAX_FAMILIES);
        if *stays > most {
            going.reason = EvictReason::BeyondGroupLimit(most);
        }
    }
}

/// The candidates' numbers, those used last first. The id settles what times do not, so that the
/// same store gives the same answer.
fn by_last_use(candidates: &[RetentionCandidate]) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..candidates.len()).collect();
    let last_use = |number: usize| {
        (
            std::cmp::Reverse(candidates[number].last_used),
            &candidates[number].id,
        )
    };
    numbers.sort_by(|one, other| last_use(*one).cmp(&last_use(*other)));
    numbers
}

/// Decides what stays. `sizes` are the bytes of the store's files that entries need; several may
/// need the same.
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
        let goes = reason.is_rule() || policy.max_bytes.is_some_and(|limit| needed.bytes() > limit);
        if goes {
            needed.remove(&candidates[candidate]);
        }
        let RetentionCandidate { id, last_used, .. } = &candidates[candidate];
        let drop = goes.then_some(reason);
        decisions[candidate] = Some(RetentionDecision {
            id: id.clone(),
            last_used: *last_used,
            evict: drop,
            rank,
        });
    }
    by_last_use(candidates)
        .into_iter()
        .filter_map(|number| decisions[number].take())
        .collect()
}

/// How much room entries need together: what several need counts once.
#[derive(Clone, Debug)]
pub struct NeededSpace<'s> {
    sizes: &'s [u64],
    users: Vec<usize>,
    bytes: u64,
}

impl<'s> NeededSpace<'s> {
    /// All candidates.
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

    /// Bytes that they need now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Files that they need now.
    pub fn files(&self) -> u64 {
        self.users.iter().filter(|users| **users > 0).count() as u64
    }

    /// Takes an entry away: returns the bytes and files that nothing else needs.
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
    // A clock that was set back makes nothing old.
    Duration::from_secs(
        u64::try_from(now.seconds.saturating_sub(last_used.seconds)).unwrap_or_default(),
    )
}
