//! Decides which entry is restored for a key (pure).
//!
//! The order is that of GitHub's cache (docs.github.com, "Cache key matching"): the key itself,
//! then entries whose key starts with it, then each restore key in turn; the newest of several. An
//! exact match ignores case, as `isExactKeyMatch` of actions/cache does, but an entry with the same
//! case is preferred.

use crate::fs::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyCandidate<'a> {
    pub key: &'a str,
    pub created: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMatch {
    /// The entry's key is the requested one.
    Exact,
    /// The entry's key starts with the requested one, or with a restore key.
    Prefix,
}

/// The index of the candidate that matches `key`, or else one of `restore_keys`.
pub(crate) fn find(
    candidates: &[KeyCandidate<'_>],
    key: &str,
    restore_keys: &[String],
) -> Option<(usize, KeyMatch)> {
    if !key.is_empty() {
        let exact = newest(candidates, |other| other == key)
            .or_else(|| newest(candidates, |other| is_same(other, key)));
        if let Some(found) = exact {
            return Some((found, KeyMatch::Exact));
        }
    }
    std::iter::once(key)
        .chain(restore_keys.iter().map(String::as_str))
        .filter(|prefix| !prefix.is_empty())
        .find_map(|prefix| {
            newest(candidates, |other| other == prefix)
                .or_else(|| newest(candidates, |other| other.starts_with(prefix)))
        })
        .map(|found| (found, KeyMatch::Prefix))
}

/// Whether two keys are equal, ignoring case.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        fold(a) == fold(b)
    }
}

fn fold(key: &str) -> String {
    key.chars().flat_map(char::to_lowercase).collect()
}

fn newest(candidates: &[KeyCandidate<'_>], matches: impl Fn(&str) -> bool) -> Option<usize> {
    let found = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| matches(candidate.key));
    found
        .max_by_key(|(_, candidate)| candidate.created)
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &[&str], key: &str, restore_keys: &[&str]) -> Option<(usize, KeyMatch)> {
        let time = |seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        };
        let candidates: Vec<_> = (0..)
            .zip(keys)
            .map(|(at, key)| KeyCandidate {
                key,
                created: time(at),
            })
            .collect();
        let restore_keys: Vec<String> = restore_keys.iter().map(|&key| key.to_owned()).collect();
        find(&candidates, key, &restore_keys)
    }

    #[test]
    fn the_key_itself_comes_before_newer_entries_that_begin_with_it() {
        assert_eq!(
            found(&["a-1", "a-1-2"], "a-1", &[]),
            Some((0, KeyMatch::Exact))
        );
    }

    #[test]
    fn a_prefix_of_the_key_comes_before_restore_keys() {
        assert_eq!(
            found(&["a-1-x", "b-1", "b-2"], "a-1", &["b-"]),
            Some((0, KeyMatch::Prefix))
        );
    }

    #[test]
    fn of_several_the_newest_and_of_restore_keys_the_first_that_matches() {
        assert_eq!(
            found(&["a-1", "b-1", "b-2"], "c", &["x", "b-", "a-"]),
            Some((2, KeyMatch::Prefix))
        );
    }

    #[test]
    fn a_restore_key_prefers_the_entry_of_just_its_name() {
        assert_eq!(
            found(&["b", "b-2"], "c", &["b"]),
            Some((0, KeyMatch::Prefix))
        );
    }

    #[test]
    fn case_is_ignored_only_when_no_entry_has_the_same_case() {
        assert_eq!(
            found(&["Key", "KEY"], "key", &[]),
            Some((1, KeyMatch::Exact))
        );
        assert_eq!(
            found(&["key", "KEY"], "key", &[]),
            Some((0, KeyMatch::Exact))
        );
    }

    #[test]
    fn an_empty_key_matches_nothing_by_itself() {
        assert_eq!(found(&["a"], "", &[]), None);
        assert_eq!(found(&["a"], "", &["a"]), Some((0, KeyMatch::Prefix)));
    }

    #[test]
    fn nothing_matches_in_an_empty_store() {
        assert_eq!(found(&[], "a", &["b"]), None);
    }
}
