//! Which entries stay (pure).

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::entry::{EntryId, Kind};
use crate::fs::Timestamp;

/// What is kept. Without limits everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many entries of each group stay: those that were used last.
    pub keep: HashMap<Kind, usize>,
    /// The groups that `keep` is about; none for all. Who saves speaks for its own group and for no other.
    pub groups: Option<Vec<String>>,
    /// Entries unused for longer go.
    pub max_age: Option<Duration>,
    /// Entries go, the least recently used first, until the store takes no more bytes than this.
    pub max_bytes: Option<u64>,
}

impl Policy {
    fn kept(&self, candidate: &Candidate) -> usize {
        let is_meant = |groups: &Vec<String>| groups.iter().any(|group| group == candidate.id.group());
        if self.groups.as_ref().is_none_or(is_meant) {
            self.keep.get(&candidate.kind).copied().unwrap_or(usize::MAX)
        } else {
            usize::MAX
        }
    }
}

/// An entry as far as retention is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which entry.
    pub id: EntryId,
    /// Its kind.
    pub kind: Kind,
    /// When it was last used, or else saved.
    pub last_used: Timestamp,
    /// The files of the store that it needs, by their numbers in [`decide`]'s list of sizes.
    pub needs: Vec<usize>,
}

/// What is done with an entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which entry.
    pub id: EntryId,
    /// Why it goes; none when it stays.
    pub drop: Option<Reason>,
    /// Its place among the entries of its group, by last use; the one used last is 1.
    pub rank: usize,
}

/// Why an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// More entries of its group were used after it than are kept.
    BeyondKept(usize),
    /// It was not used for longer than allowed.
    Unused(Duration),
    /// The store is too large, and this is the one used longest ago.
    TooLarge,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondKept(kept) => write!(f, "beyond the {kept} kept of its group"),
            Self::Unused(age) => write!(f, "not used for {} days", age.as_secs() / 86_400),
            Self::TooLarge => f.write_str("the store is too large, and it was used longest ago"),
        }
    }
}

/// Decides what stays. `sizes` are the bytes of the store's files that entries need; several may need the same.
pub fn decide(candidates: &[Candidate], sizes: &[u64], policy: &Policy, now: Timestamp) -> Vec<Decision> {
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    // The id settles what times do not, so that the same store gives the same answer.
    order.sort_by(|one, other| other.last_used.cmp(&one.last_used).then_with(|| one.id.cmp(&other.id)));
    let mut ranks: HashMap<&str, usize> = HashMap::new();
    let mut decisions: Vec<Decision> = Vec::with_capacity(order.len());
    for candidate in &order {
        let rank = ranks.entry(candidate.id.group()).or_default();
        *rank += 1;
        let kept = policy.kept(candidate);
        let age = age(candidate.last_used, now);
        let drop = if *rank > kept {
            Some(Reason::BeyondKept(kept))
        } else {
            policy.max_age.filter(|limit| age > *limit).map(|_| Reason::Unused(age))
        };
        decisions.push(Decision { id: candidate.id.clone(), drop, rank: *rank });
    }
    if let Some(limit) = policy.max_bytes {
        shrink(&order, sizes, limit, &mut decisions);
    }
    decisions
}

/// Drops the entries used longest ago until what the others need is small enough.
fn shrink(order: &[&Candidate], sizes: &[u64], limit: u64, decisions: &mut [Decision]) {
    let mut users = vec![0_usize; sizes.len()];
    for (candidate, _) in order.iter().zip(&*decisions).filter(|(_, decision)| decision.drop.is_none()) {
        candidate.needs.iter().for_each(|need| users[*need] += 1);
    }
    let mut total: u64 =
        sizes.iter().zip(&users).filter(|(_, users)| **users > 0).map(|(size, _)| size).sum();
    for (candidate, decision) in order.iter().zip(decisions).rev() {
        if total <= limit {
            break;
        }
        if decision.drop.is_some() {
            continue;
        }
        decision.drop = Some(Reason::TooLarge);
        for need in &candidate.needs {
            users[*need] -= 1;
            if users[*need] == 0 {
                total -= sizes[*need];
            }
        }
    }
}

fn age(last_used: Timestamp, now: Timestamp) -> Duration {
    // A clock that was set back makes nothing old.
    Duration::from_secs(u64::try_from(now.seconds.saturating_sub(last_used.seconds)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::Group;

    const DAY: u64 = 86_400;
    const NOW: Timestamp = Timestamp { seconds: 1_700_000_000, nanoseconds: 0 };

    fn candidate(path: &str, key: &str, days_ago: i64, needs: &[usize]) -> Candidate {
        let group = Group {
            scope: String::new(),
            git_ref: String::new(),
            kind: Kind::Path,
            paths: vec![path.to_owned()],
        };
        let last_used = Timestamp { seconds: NOW.seconds - days_ago * 86_400, nanoseconds: 0 };
        Candidate { id: group.entry_id(key), kind: Kind::Path, last_used, needs: needs.to_vec() }
    }

    fn dropped(candidates: &[Candidate], sizes: &[u64], policy: &Policy) -> Vec<(usize, Reason)> {
        let decisions = decide(candidates, sizes, policy, NOW);
        let mut found: Vec<_> = decisions
            .iter()
            .filter_map(|decision| {
                let at = candidates.iter().position(|candidate| candidate.id == decision.id)?;
                Some((at, decision.drop?))
            })
            .collect();
        found.sort_by_key(|(at, _)| *at);
        found
    }

    #[test]
    fn the_entries_used_last_of_each_group_stay() {
        let candidates = [
            candidate("a", "1", 5, &[]),
            candidate("a", "2", 1, &[]),
            candidate("a", "3", 3, &[]),
            candidate("b", "1", 9, &[]),
        ];
        let policy = Policy { keep: HashMap::from([(Kind::Path, 2)]), ..Policy::default() };
        assert_eq!(dropped(&candidates, &[], &policy), [(0, Reason::BeyondKept(2))]);
    }

    #[test]
    fn entries_of_groups_that_the_policy_does_not_name_stay() {
        let candidates =
            [candidate("a", "1", 5, &[]), candidate("a", "2", 1, &[]), candidate("b", "1", 9, &[])];
        let groups = |candidate: &Candidate| Some(vec![candidate.id.group().to_owned()]);
        let keep = HashMap::from([(Kind::Path, 1)]);
        let policy = Policy { keep, groups: groups(&candidates[2]), ..Policy::default() };
        assert_eq!(dropped(&candidates, &[], &policy), []);
        let policy = Policy { groups: groups(&candidates[0]), ..policy };
        assert_eq!(dropped(&candidates, &[], &policy), [(0, Reason::BeyondKept(1))]);
    }

    #[test]
    fn entries_unused_for_longer_than_allowed_go() {
        let candidates =
            [candidate("a", "1", 8, &[]), candidate("a", "2", 7, &[]), candidate("a", "3", -1, &[])];
        let policy = Policy { max_age: Some(Duration::from_secs(7 * DAY)), ..Policy::default() };
        assert_eq!(dropped(&candidates, &[], &policy), [(0, Reason::Unused(Duration::from_secs(8 * DAY)))]);
    }

    #[test]
    fn a_store_that_is_too_large_loses_what_was_used_longest_ago_and_only_as_much_as_needed() {
        let sizes = [100, 10, 10, 10];
        let candidates = [
            candidate("a", "1", 3, &[0, 1]),
            candidate("a", "2", 2, &[0, 2]),
            candidate("a", "3", 1, &[0, 3]),
        ];
        let policy = |max_bytes| Policy { max_bytes: Some(max_bytes), ..Policy::default() };
        assert_eq!(dropped(&candidates, &sizes, &policy(130)), []);
        assert_eq!(dropped(&candidates, &sizes, &policy(120)), [(0, Reason::TooLarge)]);
        assert_eq!(dropped(&candidates, &sizes, &policy(0)).len(), 3);
    }

    #[test]
    fn without_limits_everything_stays() {
        assert_eq!(dropped(&[candidate("a", "1", 4000, &[])], &[], &Policy::default()), []);
    }
}
