//! The outputs of a restore (pure).

use crate::job::{CacheReply, FoundEntry};
use crate::stats::event::LookupResult;
use crate::store::CacheKind;

pub(super) type Outputs = Vec<(&'static str, String)>;

/// The outputs of a step with `path` that found an entry.
pub(super) fn of_paths(found: &FoundEntry, lookup_only: bool) -> Outputs {
    let mut outputs = vec![
        ("cache-hit", found.exact.to_string()),
        ("cache-matched-key", found.key.clone()),
    ];
    outputs.extend(sums(&[found], lookup_only));
    outputs
}

/// The outputs of a step in a Cargo project.
pub(super) fn of_cargo(caches: &[CacheReply], lookup_only: bool) -> Outputs {
    let mut outputs = hits_by_kind(caches);
    let restored = caches.iter().filter(|cache| !cache.is_bin());
    let is_exact = combine(restored) == Some(LookupResult::Exact);
    outputs.push(("cache-hit", is_exact.to_string()));
    if let Some(primary) = primary(caches) {
        outputs.push(("cache-primary-key", primary.key.clone()));
        outputs.push(("cache-key", primary.key.clone()));
        let matched = primary.found.as_ref().map(|found| found.key.clone());
        outputs.extend(matched.map(|key| ("cache-matched-key", key)));
    }
    let found: Vec<&FoundEntry> = caches
        .iter()
        .filter_map(|cache| cache.found.as_ref())
        .collect();
    if !found.is_empty() {
        outputs.extend(sums(&found, lookup_only));
    }
    outputs
}

/// What a step found. Target directories decide if there are any: downloads are cheap compared with
/// what is compiled again without them.
pub(super) fn lookup_result(caches: &[CacheReply]) -> Option<LookupResult> {
    let targets = caches.iter().filter(|it| it.kind == CacheKind::Target);
    combine(targets).or_else(|| combine(caches.iter().filter(|cache| cache.counts())))
}

pub(super) fn lookup_of(cache: &CacheReply) -> LookupResult {
    match &cache.found {
        Some(found) if found.exact => LookupResult::Exact,
        Some(_) => LookupResult::Prefix,
        None => LookupResult::Miss,
    }
}

fn combine<'c>(caches: impl Iterator<Item = &'c CacheReply>) -> Option<LookupResult> {
    let results: Vec<LookupResult> = caches.map(lookup_of).collect();
    let first = *results.first()?;
    let all_alike = results.iter().all(|result| *result == first);
    Some(if all_alike {
        first
    } else {
        LookupResult::Prefix
    })
}

/// True if all caches of a kind had exact hits, false if some had a hit, not set without any.
fn hits_by_kind(caches: &[CacheReply]) -> Outputs {
    let kinds = [
        ("registry-cache-hit", CacheKind::Registry),
        ("git-cache-hit", CacheKind::Git),
        ("target-cache-hit", CacheKind::Target),
    ];
    kinds
        .into_iter()
        .filter_map(|(output, kind)| {
            match combine(caches.iter().filter(|cache| cache.kind == kind))? {
                LookupResult::Exact => Some((output, "true".to_owned())),
                LookupResult::Prefix => Some((output, "false".to_owned())),
                LookupResult::Miss => None,
            }
        })
        .collect()
}

/// The cache whose key stands for all: that of the first target directory.
fn primary(caches: &[CacheReply]) -> Option<&CacheReply> {
    let mut targets = caches
        .iter()
        .filter(|cache| cache.kind == CacheKind::Target);
    targets.next().or(caches.first())
}

fn sums(found: &[&FoundEntry], lookup_only: bool) -> Outputs {
    let sum = |field: fn(&FoundEntry) -> u64| found.iter().map(|found| field(found)).sum::<u64>();
    let restored = |field| if lookup_only { 0 } else { sum(field) };
    vec![
        ("restored-files", restored(|found| found.files).to_string()),
        ("restored-bytes", restored(|found| found.bytes).to_string()),
        (
            "restore-milliseconds",
            sum(|found| found.milliseconds).to_string(),
        ),
    ]
}
