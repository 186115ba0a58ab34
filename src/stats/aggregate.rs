//! From events to figures (pure).

use std::collections::{BTreeMap, HashMap};

use crate::stats::compare::compare;
use crate::stats::event::{Arm, CacheEvent, Event, LookupResult, Phase};
use crate::stats::journal::JournalContents;
use crate::stats::{Cell, DurationSummary, Experiment, Figures, NamedFigures, Stats};

const DAY: i64 = 86_400_000;

/// A job that took longer than this, or less than nothing, was measured by a clock that jumped.
const LONGEST_JOB: u64 = 35 * 86_400_000;

/// Figures of all events that are not older than `since`, in milliseconds since the epoch.
pub fn aggregate(read: &JournalContents, since: Option<i64>) -> Stats {
    let events: Vec<&Event> = read
        .events
        .iter()
        .filter(|event| since.is_none_or(|since| event.time >= since))
        .collect();
    let mut total = Tally::default();
    let mut repositories: HashMap<&str, Tally> = HashMap::new();
    let mut kinds: HashMap<&str, Tally> = HashMap::new();
    let mut days: BTreeMap<i64, Tally> = BTreeMap::new();
    let mut cells: HashMap<(&str, &str), Tally> = HashMap::new();
    for event in &events {
        let repository = event.run.repository.as_str();
        let day = days.entry(event.time.div_euclid(DAY)).or_default();
        for tally in [&mut total, repositories.entry(repository).or_default(), day] {
            tally.add_event(event);
            event.caches.iter().for_each(|cache| tally.add_cache(cache));
        }
        for cache in &event.caches {
            kinds.entry(&cache.kind).or_default().add_cache(cache);
            cells
                .entry((repository, &cache.kind))
                .or_default()
                .add_cache(cache);
        }
    }
    let mut all_cells: Vec<Cell> = cells
        .into_iter()
        .map(|((repository, kind), tally)| Cell {
            repository: repository.to_owned(),
            kind: kind.to_owned(),
            figures: tally.finish(),
        })
        .collect();
    all_cells
        .sort_by(|one, other| (&one.repository, &one.kind).cmp(&(&other.repository, &other.kind)));
    Stats {
        from: events.iter().map(|event| event.time).min(),
        to: events.iter().map(|event| event.time).max(),
        events: events.len() as u64,
        skipped_lines: read.skipped_lines,
        total: total.finish(),
        repositories: named(
            repositories
                .into_iter()
                .map(|(name, tally)| (name.to_owned(), tally)),
        ),
        kinds: named(
            kinds
                .into_iter()
                .map(|(name, tally)| (name.to_owned(), tally)),
        ),
        days: named(days.into_iter().map(|(day, tally)| (date(day), tally))),
        cells: all_cells,
        experiments: compared(&events, |event| {
            event.experiment.map(|arm| arm == Arm::Cached)
        }),
        misses_and_hits: compared(&events, |event| match event.experiment {
            Some(Arm::Control) => None,
            _ => event.found.map(|found| found != LookupResult::Miss),
        }),
        disk: events.iter().rev().find_map(|event| event.disk),
    }
}

fn named(tallies: impl Iterator<Item = (String, Tally)>) -> Vec<NamedFigures> {
    let mut all: Vec<NamedFigures> = tallies
        .map(|(name, tally)| NamedFigures {
            name,
            figures: tally.finish(),
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// A day as people write it, by its number since the epoch, of whatever year (Hinnant,
/// "chrono-compatible low-level date algorithms", `civil_from_days`).
fn date(day: i64) -> String {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let from_march_0000 = day + 719_468;
    let era = from_march_0000.div_euclid(DAYS_OF_400_YEARS);
    let of_era = from_march_0000.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// How long the job took that an event ends; none where the clock can't be believed.
fn job_duration(event: &Event) -> Option<u64> {
    event
        .job_milliseconds
        .filter(|duration| event.phase == Phase::Post && *duration <= LONGEST_JOB)
}

/// Durations of jobs in two groups, job by job; `is_with` tells the group. Jobs that failed ended
/// early, and say nothing of how long they take.
fn compared(events: &[&Event], is_with: impl Fn(&Event) -> Option<bool>) -> Vec<Experiment> {
    let mut jobs: BTreeMap<(&str, &str, &str), [Vec<u64>; 2]> = BTreeMap::new();
    for event in events {
        let succeeded = event
            .job_status
            .as_deref()
            .is_none_or(|status| status == "success");
        let (Some(duration), Some(with), true) = (job_duration(event), is_with(event), succeeded)
        else {
            continue;
        };
        let run = &event.run;
        let groups = jobs
            .entry((&run.repository, &run.workflow, &run.job))
            .or_default();
        groups[usize::from(with)].push(duration);
    }
    jobs.into_iter()
        .filter(|(_, groups)| groups.iter().all(|group| !group.is_empty()))
        .map(
            |((repository, workflow, job), [without, with])| Experiment {
                repository: repository.to_owned(),
                workflow: workflow.to_owned(),
                job: job.to_owned(),
                comparison: compare(&without, &with),
            },
        )
        .collect()
}

/// Figures in the making.
#[derive(Default)]
struct Tally {
    figures: Figures,
    restores: Vec<u64>,
    saves: Vec<u64>,
    jobs: Vec<u64>,
}

impl Tally {
    fn add_event(&mut self, event: &Event) {
        self.jobs.extend(job_duration(event));
        self.figures.removed_entries += event.removed_entries;
        self.figures.freed_bytes = self.figures.freed_bytes.saturating_add(event.freed_bytes);
        self.figures.failures += u64::from(event.error.is_some());
    }

    fn add_cache(&mut self, cache: &CacheEvent) {
        let figures = &mut self.figures;
        match cache.hit {
            Some(LookupResult::Exact) => figures.exact += 1,
            Some(LookupResult::Prefix) => figures.prefix += 1,
            Some(LookupResult::Miss) => figures.miss += 1,
            None => {}
        }
        if matches!(cache.hit, Some(LookupResult::Exact | LookupResult::Prefix)) {
            self.restores.push(cache.restore_milliseconds);
            let not_copied = cache.restored_bytes.saturating_sub(cache.written_bytes);
            figures.restored_bytes = figures.restored_bytes.saturating_add(cache.restored_bytes);
            figures.not_copied_bytes = figures.not_copied_bytes.saturating_add(not_copied);
        }
        if let Some(bytes) = cache.saved_bytes {
            self.saves.push(cache.save_milliseconds);
            figures.saved_bytes = figures.saved_bytes.saturating_add(bytes);
            figures.added_bytes = figures.added_bytes.saturating_add(cache.added_bytes);
        }
    }

    fn finish(self) -> Figures {
        let Self {
            figures,
            restores,
            saves,
            jobs,
        } = self;
        Figures {
            restores: DurationSummary::of(restores),
            saves: DurationSummary::of(saves),
            jobs: DurationSummary::of(jobs),
            ..figures
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates_also_those_of_a_clock_that_is_far_off() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (20_780, "2026-11-23"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
        ];
        for (day, wanted) in cases {
            assert_eq!(date(day), wanted);
        }
        assert!(!date(i64::MAX / DAY).is_empty() && !date(i64::MIN / DAY).is_empty());
    }
}
