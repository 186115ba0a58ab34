//! Whether the cache worked, in one line (pure): what was found, how much, how long it took, and
//! what the job usually takes without it.

use super::context::StepContext;
use crate::action::console::Mark;
use crate::action::kind::ActionKind;
use crate::fmt::human::{bytes, elapsed_ms, plural};
use crate::job::{CacheReply, FoundEntry, JobReply, PastRun};
use crate::stats::compare::median;
use crate::stats::event::{Arm, LookupResult, Phase};
use crate::store::CacheKind;

/// Fewer runs say nothing about what is usual.
const MIN_RUNS: usize = 3;

/// The verdict about the restore of this phase.
pub(super) fn of_step(step: &StepContext<'_, '_>, reply: &JobReply) -> Option<(Mark, String)> {
    let is_restore = step.phase == Phase::Main && step.inputs.kind != ActionKind::Save;
    if !is_restore || step.inputs.lookup_only || step.arm() == Some(Arm::Control) {
        return None;
    }
    verdict(&reply.caches, &reply.past_runs)
}

/// The verdict about a lookup; `None` if there was nothing to look for.
fn verdict(caches: &[CacheReply], past_runs: &[PastRun]) -> Option<(Mark, String)> {
    let counted: Vec<&CacheReply> = caches.iter().filter(|cache| cache.counts()).collect();
    let found: Vec<&FoundEntry> = counted.iter().filter_map(|it| it.found.as_ref()).collect();
    let missed: Vec<&CacheReply> = counted
        .iter()
        .copied()
        .filter(|cache| cache.found.is_none())
        .collect();
    if counted.is_empty() {
        return None;
    }
    let usual = usually_without(past_runs).unwrap_or_default();
    let is_target_missing = missed.iter().any(|cache| cache.kind == CacheKind::Target);
    let mark = if found.is_empty() || is_target_missing {
        Mark::Missed
    } else {
        Mark::Restored
    };
    let text = match (found.as_slice(), missed.as_slice()) {
        ([], missed) => format!("nothing restored: {}", why(missed)),
        (found, []) => format!("{} restored: {}{usual}", all(&counted), amount(found)),
        (found, missed) => format!(
            "{} not restored: {}; restored: {}{usual}",
            names(missed),
            why(missed),
            amount(found)
        ),
    };
    Some((mark, text))
}

/// `all`, or which caches come from earlier entries.
fn all(caches: &[&CacheReply]) -> String {
    let is_earlier = |cache: &&&CacheReply| cache.found.as_ref().is_some_and(|it| !it.exact);
    let earlier: Vec<&CacheReply> = caches.iter().filter(is_earlier).copied().collect();
    if earlier.is_empty() {
        return "all".to_owned();
    }
    let entries = if earlier.len() == 1 {
        "an earlier entry"
    } else {
        "earlier entries"
    };
    format!("all ({} from {entries})", names(&earlier))
}

fn amount(found: &[&FoundEntry]) -> String {
    let size = found.iter().map(|it| it.bytes).sum();
    let milliseconds = found.iter().map(|it| it.milliseconds).sum();
    format!("{} in {}", bytes(size), elapsed_ms(milliseconds))
}

fn names(caches: &[&CacheReply]) -> String {
    let names: Vec<&str> = caches.iter().map(|cache| cache.name.as_str()).collect();
    names.join(", ")
}

/// Why caches were not found: the reason of the most important one that has one.
fn why(missed: &[&CacheReply]) -> String {
    if let Some(error) = missed.iter().find_map(|cache| cache.error.as_ref()) {
        return error.clone();
    }
    let targets = missed.iter().filter(|it| it.kind == CacheKind::Target);
    let near = targets
        .chain(missed)
        .find_map(|cache| cache.near_miss.as_ref());
    near.map_or_else(|| "there is no entry yet".to_owned(), ToString::to_string)
}

/// What jobs without the cache took.
fn usually_without(past_runs: &[PastRun]) -> Option<String> {
    let without = past_runs
        .iter()
        .filter(|run| run.is_control || run.found == Some(LookupResult::Miss));
    let mut durations: Vec<u64> = without.map(|run| run.job_milliseconds).collect();
    durations.sort_unstable();
    let usual = elapsed_ms(median(&durations)?);
    Some(if durations.len() < MIN_RUNS {
        let runs = plural(durations.len() as u64, "run", "runs");
        format!("; without the cache, this job took {usual} ({runs})")
    } else {
        format!("; this job usually takes {usual} without the cache")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Timestamp;
    use crate::ops::near_miss::{Difference, NearMiss};

    fn cache(name: &str, kind: CacheKind, found: Option<(bool, u64)>) -> CacheReply {
        CacheReply {
            found: found.map(|(exact, bytes)| FoundEntry {
                entry: String::new(),
                key: "k".to_owned(),
                exact,
                files: u64::from(bytes > 0),
                bytes,
                written_files: 0,
                written_bytes: 0,
                early_files: 0,
                ready: 0,
                milliseconds: 400,
                from_remote: false,
            }),
            ..CacheReply::new(name, kind, "k")
        }
    }

    fn registry() -> CacheReply {
        cache("registry", CacheKind::Registry, Some((true, 7_000_000)))
    }

    fn target(found: Option<(bool, u64)>) -> CacheReply {
        cache("target", CacheKind::Target, found)
    }

    fn run(job_milliseconds: u64, found: LookupResult) -> PastRun {
        PastRun {
            job_milliseconds,
            found: Some(found),
            is_control: false,
        }
    }

    fn text(caches: &[CacheReply], past: &[PastRun]) -> String {
        verdict(caches, past).unwrap().1
    }

    #[test]
    fn a_hit_says_how_much_how_fast_and_what_is_usual_without() {
        let caches = [registry(), target(Some((true, 100_000_000)))];
        assert_eq!(text(&caches, &[]), "all restored: 107 MB in 800 ms");
        let miss = |seconds: u64| run(seconds * 1000, LookupResult::Miss);
        let past = [
            miss(42),
            run(9_000, LookupResult::Exact),
            miss(43),
            miss(20),
        ];
        assert_eq!(
            text(&caches, &past),
            "all restored: 107 MB in 800 ms; this job usually takes 42 s without the cache"
        );
        assert!(
            text(&caches, &past[..1]).ends_with("; without the cache, this job took 42 s (1 run)")
        );
        let control = PastRun {
            is_control: true,
            ..run(30_000, LookupResult::Exact)
        };
        assert!(text(&caches, &[control]).ends_with("this job took 30 s (1 run)"));
    }

    #[test]
    fn a_missing_target_directory_is_a_miss_whatever_else_was_found() {
        let mut missing = target(None);
        let (mark, text) = verdict(&[registry(), missing.clone()], &[]).unwrap();
        assert_eq!(mark, Mark::Missed);
        assert_eq!(
            text,
            "target not restored: there is no entry yet; restored: 7.0 MB in 400 ms"
        );
        missing.near_miss = Some(NearMiss {
            key: "k".to_owned(),
            created: Timestamp::now(),
            difference: Difference::Key(vec!["toolchain".to_owned()]),
        });
        let text = verdict(&[missing], &[]).unwrap().1;
        assert_eq!(
            text,
            "nothing restored: toolchain differs from the entry saved 0 s ago"
        );
    }

    #[test]
    fn earlier_entries_are_named_and_caches_with_nothing_in_them_are_not() {
        let git = cache("git", CacheKind::Git, Some((true, 0)));
        let caches = [registry(), git.clone(), target(Some((false, 1)))];
        let (mark, text) = verdict(&caches, &[]).unwrap();
        assert_eq!(mark, Mark::Restored);
        assert!(
            text.starts_with("all (target from an earlier entry) restored: 7.0 MB"),
            "{text}"
        );
        assert_eq!(verdict(&[git], &[]), None);
        assert_eq!(verdict(&[], &[]), None);
    }
}
