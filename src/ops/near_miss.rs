//! Why a lookup found nothing: the most similar entry, and how it differs.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fmt::human::{age, git_ref, one_line};
use crate::fs::Timestamp;
use crate::store::key_match::{self, KeyCandidate};
use crate::store::{Entry, EntryGroup, EntryId, KeepKeys, Store};

/// What a lookup asked for.
pub(crate) struct Lookup<'a> {
    /// The groups that were searched, in order.
    pub groups: &'a [EntryGroup],
    pub key: &'a str,
    pub restore_keys: &'a [String],
    /// Digests of the parts of the key, by name; empty for a key that a user wrote.
    pub parts: &'a BTreeMap<String, String>,
    /// Whether entries of other repositories may be named.
    pub all_scopes: bool,
}

/// An entry that a lookup did not find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    pub key: String,
    pub created: Timestamp,
    pub difference: Difference,
}

/// How an entry differs from what a lookup asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The parts of the key that differ; empty if they are not known.
    Key(Vec<String>),
    /// The paths that only the entry has, and those that only the lookup has.
    Paths(Vec<String>, Vec<String>),
    /// The scope and the ref of the entry.
    Place(String, String),
}

/// The maximum number of entries of other groups with other keys that are read. In a store with
/// thousands of them, reading them would delay every miss.
const OTHERS_LIMIT: usize = 1_000;

/// The entry that is most similar to what a lookup did not find.
///
/// An entry with the key in another group comes first: then only the paths or the branch differ.
/// Next comes the newest entry of the groups that were searched, and last an entry of another group
/// whose key begins with a restore key.
pub(crate) fn near_miss(store: &Store, lookup: &Lookup<'_>) -> Option<NearMiss> {
    let (same_key, others) = other_ids(lookup, store.entry_ids(None).ok()?);
    let mut entries = read_comparable(store, lookup, &same_key);
    entries.extend(newest_of_groups(store, lookup));
    let found = nearest(lookup, &entries);
    if found.is_some() || others.len() > OTHERS_LIMIT {
        return found;
    }
    entries.extend(read_comparable(store, lookup, &others));
    nearest(lookup, &entries)
}

/// The entries of groups that were not searched: those that have the key, and the others. Ids
/// contain the group and the key, so no entry is read.
fn other_ids(lookup: &Lookup<'_>, mut ids: Vec<EntryId>) -> (Vec<EntryId>, Vec<EntryId>) {
    let searched: Vec<EntryId> = lookup
        .groups
        .iter()
        .map(|group| group.entry_id(lookup.key))
        .collect();
    ids.retain(|id| searched.iter().all(|known| id.group() != known.group()));
    ids.into_iter()
        .partition(|id| searched.iter().any(|known| id.key() == known.key()))
}

/// The newest entry of each group that was searched.
fn newest_of_groups(store: &Store, lookup: &Lookup<'_>) -> Vec<Entry> {
    let newest = |group: &EntryGroup| {
        let keys = store.entry_keys(group, KeepKeys::Never, |id| Ok(read_one(store, id)));
        let mut keys = keys.ok()?;
        keys.sort_unstable_by_key(|key| Reverse(key.created));
        keys.iter().find_map(|key| read_one(store, &key.id))
    };
    lookup.groups.iter().filter_map(newest).collect()
}

/// An entry; none if it does not exist or can't be read. An operation that needs it reports that.
fn read_one(store: &Store, id: &EntryId) -> Option<Entry> {
    store.read_entry(id).ok()?
}

/// Those of some entries that [`is_comparable`] to a lookup.
fn read_comparable(store: &Store, lookup: &Lookup<'_>, ids: &[EntryId]) -> Vec<Entry> {
    let entries = ids.iter().filter_map(|id| read_one(store, id));
    entries
        .filter(|entry| is_comparable(lookup, entry))
        .collect()
}

/// Whether an entry has the kind that a lookup asked for, and a scope that may be shown.
fn is_comparable(lookup: &Lookup<'_>, entry: &Entry) -> bool {
    lookup.groups.iter().any(|group| {
        group.kind == entry.group.kind && (lookup.all_scopes || group.scope == entry.group.scope)
    })
}

/// The most similar of some entries that a lookup did not find.
fn nearest(lookup: &Lookup<'_>, entries: &[Entry]) -> Option<NearMiss> {
    let (own, others): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .partition(|entry| lookup.groups.contains(&entry.group));
    let of_key = |entry: &&&Entry| key_match::is_same(&entry.key, lookup.key);
    let has_own_paths = |entry: &Entry| {
        let mut groups = lookup.groups.iter();
        groups.any(|group| group.paths == entry.group.paths)
    };
    let same_key = others.iter().filter(of_key);
    let same_key = same_key.max_by_key(|entry| (has_own_paths(entry), entry.created));
    let newest = own.iter().max_by_key(|entry| entry.created);
    let found = same_key.or(newest).copied();
    found
        .or_else(|| by_prefix(lookup, &others))
        .map(|entry| NearMiss {
            key: entry.key.clone(),
            created: entry.created,
            difference: difference(lookup, entry),
        })
}

fn by_prefix<'e>(lookup: &Lookup<'_>, others: &[&'e Entry]) -> Option<&'e Entry> {
    let candidate = |entry: &&'e Entry| KeyCandidate {
        key: &entry.key,
        created: entry.created,
    };
    let candidates: Vec<KeyCandidate<'_>> = others.iter().map(candidate).collect();
    let (index, _) = key_match::find(&candidates, lookup.key, lookup.restore_keys)?;
    Some(others[index])
}

fn difference(lookup: &Lookup<'_>, entry: &Entry) -> Difference {
    let group = &entry.group;
    if lookup.groups.contains(group) {
        return Difference::Key(different_parts(&entry.parts, lookup.parts));
    }
    let same_paths = lookup.groups.iter().any(|it| it.paths == group.paths);
    match lookup.groups.first() {
        Some(first) if !same_paths => Difference::Paths(
            without(&group.paths, &first.paths),
            without(&first.paths, &group.paths),
        ),
        _ => Difference::Place(group.scope.clone(), group.git_ref.clone()),
    }
}

/// The names of the parts whose digests differ, and of those that only one of the two has.
fn different_parts(
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) -> Vec<String> {
    if theirs.is_empty() || ours.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| theirs.get(*name) != ours.get(*name));
    names.into_iter().cloned().collect()
}

fn without(paths: &[String], others: &[String]) -> Vec<String> {
    let only = paths.iter().filter(|path| !others.contains(path));
    only.cloned().collect()
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = one_line(&self.key);
        let seconds = Timestamp::now()
            .seconds
            .saturating_sub(self.created.seconds);
        let ago = age(Duration::from_secs(seconds.try_into().unwrap_or(0)));
        match &self.difference {
            Difference::Key(parts) if parts.is_empty() => {
                write!(f, "the nearest entry is {key}, saved {ago} ago")
            }
            Difference::Key(parts) => {
                let verb = if parts.len() == 1 {
                    "differs"
                } else {
                    "differ"
                };
                let parts = one_line(&parts.join(", "));
                write!(f, "{parts} {verb} from the entry saved {ago} ago")
            }
            Difference::Paths(theirs, ours) => write!(
                f,
                "{key} exists for {}, not for {}",
                list(theirs),
                list(ours)
            ),
            Difference::Place(scope, full_ref) => {
                let scope = if scope.is_empty() {
                    "no repository"
                } else {
                    scope
                };
                write!(f, "{key} exists for {}", one_line(scope))?;
                match git_ref(full_ref) {
                    "" => write!(f, ", all branches"),
                    branch => write!(f, ", {}", one_line(branch)),
                }
            }
        }
    }
}

fn list(paths: &[String]) -> String {
    if paths.is_empty() {
        return "fewer paths".to_owned();
    }
    one_line(&paths.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CacheKind;

    fn group(scope: &str, git_ref: &str, path: &str) -> EntryGroup {
        EntryGroup {
            scope: scope.to_owned(),
            git_ref: git_ref.to_owned(),
            kind: CacheKind::Target,
            paths: vec!["./common".to_owned(), path.to_owned()],
        }
    }

    fn entry(group: EntryGroup, key: &str, seconds: i64, parts: &[(&str, &str)]) -> Entry {
        Entry {
            created: Timestamp {
                seconds,
                nanoseconds: 0,
            },
            parts: as_map(parts),
            ..Entry::empty(group, key)
        }
    }

    fn as_map(parts: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, digest): &(&str, &str)| ((*name).to_owned(), (*digest).to_owned());
        parts.iter().map(owned).collect()
    }

    #[test]
    fn ids_tell_which_entries_of_other_groups_have_the_key() {
        let own = group("acme/app", "refs/heads/main", "./data");
        let other = group("acme/lib", "", "./data");
        let lookup = Lookup {
            groups: std::slice::from_ref(&own),
            key: "k",
            restore_keys: &[],
            parts: &BTreeMap::new(),
            all_scopes: true,
        };
        let (same_key, others) = (vec![other.entry_id("k")], vec![other.entry_id("z")]);
        let all = [vec![own.entry_id("z")], same_key.clone(), others.clone()].concat();
        assert_eq!(other_ids(&lookup, all), (same_key, others));
    }

    fn found(entries: &[Entry]) -> Option<(String, Difference)> {
        let lookup = Lookup {
            groups: &[group("acme/app", "refs/heads/main", "./data")],
            key: "k-2",
            restore_keys: &["k-".to_owned()],
            parts: &as_map(&[("toolchain", "1"), ("Cargo.lock", "1"), ("job", "1")]),
            all_scopes: true,
        };
        nearest(&lookup, entries).map(|near| (near.key, near.difference))
    }

    #[test]
    fn the_key_for_other_paths_or_another_branch_comes_first() {
        let own = || entry(group("acme/app", "refs/heads/main", "./data"), "z", 9, &[]);
        let other_paths = group("acme/app", "refs/heads/main", "./dataX");
        assert_eq!(
            found(&[own(), entry(other_paths, "K-2", 1, &[])]),
            Some((
                "K-2".to_owned(),
                Difference::Paths(vec!["./dataX".to_owned()], vec!["./data".to_owned()])
            ))
        );
        let other_ref = group("acme/app", "refs/heads/topic", "./data");
        let newer = group("acme/app", "refs/heads/topic", "./dataX");
        let entries = [
            own(),
            entry(other_ref, "k-2", 1, &[]),
            entry(newer, "k-2", 2, &[]),
        ];
        let (_, difference) = found(&entries).unwrap();
        assert_eq!(
            difference,
            Difference::Place("acme/app".to_owned(), "refs/heads/topic".to_owned())
        );
    }

    #[test]
    fn the_newest_entry_of_the_group_tells_which_parts_differ() {
        let own = |key, time, parts: &[_]| {
            let group = group("acme/app", "refs/heads/main", "./data");
            entry(group, key, time, parts)
        };
        let entries = [
            own("old", 1, &[("toolchain", "1")]),
            own(
                "new",
                2,
                &[("toolchain", "2"), ("Cargo.lock", "1"), ("RUSTFLAGS", "3")],
            ),
        ];
        let parts = ["RUSTFLAGS", "job", "toolchain"].map(str::to_owned);
        let expected = ("new".to_owned(), Difference::Key(parts.into()));
        assert_eq!(found(&entries), Some(expected));
        assert_eq!(
            found(&[own("without", 3, &[])]),
            Some(("without".to_owned(), Difference::Key(Vec::new())))
        );
    }

    #[test]
    fn another_group_counts_if_a_restore_key_fits() {
        let elsewhere = |key| entry(group("acme/lib", "", "./data"), key, 1, &[]);
        assert_eq!(found(&[elsewhere("x-1")]), None);
        assert_eq!(found(&[elsewhere("k-1")]).unwrap().0, "k-1");
    }

    #[test]
    fn each_difference_is_one_sentence() {
        let near = |difference| {
            NearMiss {
                key: "k1".to_owned(),
                created: Timestamp::now(),
                difference,
            }
            .to_string()
        };
        let one = |text: &str| vec![text.to_owned()];
        assert_eq!(
            near(Difference::Key(one("toolchain"))),
            "toolchain differs from the entry saved 0 s ago"
        );
        assert_eq!(
            near(Difference::Paths(one("data"), one("dataX"))),
            "k1 exists for data, not for dataX"
        );
        assert_eq!(
            near(Difference::Place(
                "acme/app".into(),
                "refs/heads/main".into()
            )),
            "k1 exists for acme/app, main"
        );
        assert_eq!(
            near(Difference::Place(String::new(), String::new())),
            "k1 exists for no repository, all branches"
        );
    }
}
