//! Parsers for arguments that several commands have.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use super::failure::usage_error;
use crate::action::inputs;
use crate::cargo::freshness::mode::FreshnessMode;
use crate::store::CacheKind;
use crate::store::ready_limit::ReadyLimit;

/// How many generations to keep, of one kind of cache or of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepCount {
    pub(super) kind: Option<CacheKind>,
    pub(super) count: usize,
}

/// Parses `5` or `target=3`.
pub(super) fn parse_keep_count(text: &str) -> Result<KeepCount, String> {
    let (kind, count) = match text.split_once('=') {
        None => (None, text),
        Some((name, count)) => (Some(parse_kind(name)?), count),
    };
    let count = count
        .parse()
        .map_err(|_| format!("{count:?} is not a number of generations, such as 5"))?;
    Ok(KeepCount { kind, count })
}

/// The counts by kind. One for a kind overrides one for all kinds, whatever their order.
pub(super) fn keep_counts(arguments: &[KeepCount]) -> HashMap<CacheKind, usize> {
    let of_all = arguments.iter().filter(|keep| keep.kind.is_none());
    let of_all = of_all.flat_map(|keep| CacheKind::ALL.map(|kind| (kind, keep.count)));
    let of_kinds = arguments
        .iter()
        .filter_map(|keep| Some((keep.kind?, keep.count)));
    of_all.chain(of_kinds).collect()
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    inputs::duration(text)
        .ok_or_else(|| "not a duration; write it like 7d, 12h or 1h30m".to_owned())
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    inputs::size(text).ok_or_else(|| "not a size; write it like 50GB or 20 GiB".to_owned())
}

pub(super) fn parse_freshness(text: &str) -> Result<FreshnessMode, String> {
    let mut modes = FreshnessMode::NAMED.iter();
    let found = modes.find(|(name, _)| *name == text);
    found.map_or_else(
        || Err("not a mode; use safe, cargo or off".to_owned()),
        |(_, mode)| Ok(*mode),
    )
}

pub(super) fn parse_ready_limit(text: &str) -> Result<ReadyLimit, String> {
    ReadyLimit::parse(text)
        .ok_or_else(|| "not a number of copies; use auto, 0, 1, 2 and so on".to_owned())
}

/// Trims a key as the action does.
pub(super) fn parse_key(text: &str) -> Result<&str> {
    match text.trim() {
        "" => Err(usage_error("the key is empty; give one with --key")),
        key => Ok(key),
    }
}

pub(super) fn parse_kind(name: &str) -> Result<CacheKind, String> {
    let kind = CacheKind::ALL
        .into_iter()
        .find(|kind| kind.to_string() == name);
    kind.ok_or_else(|| format!("unknown kind {name}; use path, registry, git or target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_for_a_kind_overrides_one_for_all_kinds() {
        let counts = |texts: &[&str]| {
            let arguments = texts.iter().map(|text| parse_keep_count(text).unwrap());
            keep_counts(&arguments.collect::<Vec<_>>())
        };
        for texts in [["target=3", "5"], ["5", "target=3"]] {
            let found = counts(&texts);
            assert_eq!(found[&CacheKind::Target], 3);
            assert_eq!(found[&CacheKind::Path], 5);
            assert_eq!(found.len(), CacheKind::ALL.len());
        }
        assert_eq!(counts(&["path=1"]), HashMap::from([(CacheKind::Path, 1)]));
    }
}
