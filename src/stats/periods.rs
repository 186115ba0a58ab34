//! What happened over time (pure): days, the disk, the runs of each job, failures.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::stats::event::{Arm, DiskState, Event, Phase, Run};
use crate::stats::{DiskDay, Failure, JobTrend, TrendRun};

const DAY: i64 = 86_400_000;

/// Longer durations were measured with a clock that jumped. GitHub limits workflow runs to 35 days.
const MAX_JOB: u64 = 35 * 86_400_000;

/// A period of more days has no rows for days without events.
const MAX_FILLED_DAYS: i64 = 400;
/// How many jobs have a trend, and how many of their runs are in it.
const MAX_TRENDS: usize = 12;
const MAX_RUNS: usize = 60;
/// How many reasons of failures are listed.
const MAX_FAILURES: usize = 20;

/// The number of a day since the epoch (UTC).
pub(super) fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY)
}

/// The date of a day that is given by its number since the epoch (Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
pub(super) fn date(day: i64) -> String {
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

/// The duration of the job, if this is its last event and the duration is plausible.
pub(super) fn job_duration(event: &Event) -> Option<u64> {
    event
        .job_milliseconds
        .filter(|duration| event.phase == Phase::Post && *duration <= MAX_JOB)
}

/// All days from `first`, or else from the first one with events, to the last one with events.
pub(super) fn filled<T: Default>(
    mut days: BTreeMap<i64, T>,
    first: Option<i64>,
) -> impl Iterator<Item = (i64, T)> {
    let known = days.keys().next().zip(days.keys().next_back());
    if let Some((earliest, last)) = known.map(|(earliest, last)| (*earliest, *last)) {
        let first = first.unwrap_or(earliest).min(earliest);
        if last.saturating_sub(first) < MAX_FILLED_DAYS {
            for day in first..=last {
                days.entry(day).or_default();
            }
        }
    }
    days.into_iter()
}

/// The last state of the disk on each day. `events` are in the order of their times.
pub(super) fn disk_days(events: &[&Event]) -> Vec<DiskDay> {
    let mut days: BTreeMap<i64, DiskState> = BTreeMap::new();
    for event in events {
        if let Some(disk) = event.disk {
            days.insert(day_of(event.time), disk);
        }
    }
    days.into_iter()
        .map(|(day, disk)| DiskDay {
            name: date(day),
            disk,
        })
        .collect()
}

/// The last runs of the jobs with the most runs.
pub(super) fn job_trends(events: &[&Event]) -> Vec<JobTrend> {
    let mut jobs: HashMap<(&str, &str, &str), Vec<TrendRun>> = HashMap::new();
    for event in events {
        let Some(job_milliseconds) = job_duration(event) else {
            continue;
        };
        let Run {
            repository,
            workflow,
            job,
            ..
        } = &event.run;
        // What the control group found was not restored.
        let found = event
            .found
            .filter(|_| event.experiment != Some(Arm::Control));
        let runs = jobs.entry((repository, workflow, job)).or_default();
        runs.push(TrendRun {
            time: event.time,
            job_milliseconds,
            found,
        });
    }
    let mut trends: Vec<JobTrend> = jobs
        .into_iter()
        .map(|((repository, workflow, job), runs)| JobTrend {
            repository: repository.to_owned(),
            workflow: workflow.to_owned(),
            job: job.to_owned(),
            runs,
        })
        .collect();
    trends.sort_by(|a, b| {
        let name = |trend: &JobTrend| {
            let JobTrend {
                repository,
                workflow,
                job,
                ..
            } = trend;
            (repository.clone(), workflow.clone(), job.clone())
        };
        (b.runs.len().cmp(&a.runs.len())).then_with(|| name(a).cmp(&name(b)))
    });
    trends.truncate(MAX_TRENDS);
    for trend in &mut trends {
        let surplus = trend.runs.len().saturating_sub(MAX_RUNS);
        trend.runs.drain(..surplus);
    }
    trends
}

/// The reasons for which phases failed.
pub(super) fn failures(events: &[&Event]) -> Vec<Failure> {
    let mut reasons: BTreeMap<&str, Failure> = BTreeMap::new();
    for event in events {
        let Some(reason) = &event.error else { continue };
        let failure = reasons.entry(reason).or_default();
        failure.count += 1;
        failure.last = event.time;
        failure.repository.clone_from(&event.run.repository);
    }
    let mut failures: Vec<Failure> = reasons
        .into_iter()
        .map(|(reason, failure)| Failure {
            reason: reason.to_owned(),
            ..failure
        })
        .collect();
    failures.sort_by_key(|failure| (Reverse(failure.count), Reverse(failure.last)));
    failures.truncate(MAX_FAILURES);
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(known: &[i64], first: Option<i64>) -> Vec<i64> {
        let known: BTreeMap<i64, u8> = known.iter().map(|day| (*day, 1)).collect();
        filled(known, first).map(|(day, _)| day).collect()
    }

    #[test]
    fn days_without_events_are_in_the_period_too() {
        assert_eq!(days(&[3, 6], None), [3, 4, 5, 6]);
        assert_eq!(days(&[3], Some(1)), [1, 2, 3]);
        assert!(days(&[], Some(1)).is_empty());
        // A clock that jumped does not make millions of days.
        assert_eq!(days(&[i64::MIN, 5], None), [i64::MIN, 5]);
    }

    #[test]
    fn the_most_frequent_failure_comes_first_with_its_last_time() {
        let failed = |time, reason: &str| Event {
            time,
            error: Some(reason.to_owned()),
            ..Event::default()
        };
        let events = [
            failed(1, "a"),
            failed(2, "b"),
            failed(3, "b"),
            Event::default(),
        ];
        let events: Vec<&Event> = events.iter().collect();
        let found = failures(&events);
        let found: Vec<(&str, u64, i64)> = found
            .iter()
            .map(|it| (it.reason.as_str(), it.count, it.last))
            .collect();
        assert_eq!(found, [("b", 2, 3), ("a", 1, 1)]);
    }

    #[test]
    fn dates_are_right_even_if_the_clock_is_far_off() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (20_780, "2026-11-23"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
        ];
        for (day, expected) in cases {
            assert_eq!(date(day), expected);
        }
        assert!(!date(i64::MAX / DAY).is_empty() && !date(i64::MIN / DAY).is_empty());
    }
}
