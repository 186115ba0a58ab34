//! Adds up events (pure).

use std::collections::{BTreeMap, HashMap};

use crate::stats::compare::compare;
use crate::stats::event::{Arm, CacheEvent, Event, LookupResult, Phase};
use crate::stats::journal::JournalContents;
use crate::stats::periods::{self, date, day_of, job_duration};
use crate::stats::{Cell, DurationSummary, Experiment, Figures, NamedFigures, Stats};

/// Aggregates all events that are not older than `since`, in milliseconds since the epoch.
pub fn aggregate(read: &JournalContents, since: Option<i64>) -> Stats {
    let events: Vec<&Event> = read
        .events
        .iter()
        .filter(|event| since.is_none_or(|since| event.time >= since))
        .collect();
    let tallies = Tallies::of(&events);
    Stats {
        from: events.iter().map(|event| event.time).min(),
        to: events.iter().map(|event| event.time).max(),
        events: events.len() as u64,
        skipped_lines: read.skipped_lines,
        total: tallies.total.finish(),
        repositories: named(owned(tallies.repositories)),
        kinds: named(owned(tallies.kinds)),
        days: periods::filled(tallies.days, since.map(day_of))
            .map(|(day, tally)| NamedFigures {
                name: date(day),
                figures: tally.finish(),
            })
            .collect(),
        cells: cells(tallies.cells),
        experiments: compare_jobs(&events, used_cache),
        misses_and_hits: compare_jobs(&events, had_hit),
        disk: events.iter().rev().find_map(|event| event.disk),
        disk_days: periods::disk_days(&events),
        limits: events.iter().rev().find_map(|event| event.limits),
        job_trends: periods::job_trends(&events),
        failures: periods::failures(&events),
        is_limited: since.is_some(),
    }
}

/// One tally for each group of figures in [`Stats`].
#[derive(Default)]
struct Tallies<'e> {
    total: Tally,
    repositories: HashMap<&'e str, Tally>,
    kinds: HashMap<&'e str, Tally>,
    days: BTreeMap<i64, Tally>,
    cells: HashMap<(&'e str, &'e str), Tally>,
}

impl<'e> Tallies<'e> {
    fn of(events: &[&'e Event]) -> Self {
        let mut tallies = Self::default();
        for event in events {
            tallies.add(event);
        }
        tallies
    }

    fn add(&mut self, event: &'e Event) {
        let repository = event.run.repository.as_str();
        for tally in [
            &mut self.total,
            self.repositories.entry(repository).or_default(),
            self.days.entry(day_of(event.time)).or_default(),
        ] {
            tally.add_event(event);
            event.caches.iter().for_each(|cache| tally.add_cache(cache));
        }
        for cache in &event.caches {
            let kind = cache.kind.as_str();
            self.kinds.entry(kind).or_default().add_cache(cache);
            let cell = self.cells.entry((repository, kind)).or_default();
            cell.add_cache(cache);
        }
    }
}

fn owned(tallies: HashMap<&str, Tally>) -> impl Iterator<Item = (String, Tally)> {
    tallies
        .into_iter()
        .map(|(name, tally)| (name.to_owned(), tally))
}

fn cells(tallies: HashMap<(&str, &str), Tally>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = tallies
        .into_iter()
        .map(|((repository, kind), tally)| Cell {
            repository: repository.to_owned(),
            kind: kind.to_owned(),
            figures: tally.finish(),
        })
        .collect();
    cells.sort_by(|a, b| (&a.repository, &a.kind).cmp(&(&b.repository, &b.kind)));
    cells
}

fn named(tallies: impl Iterator<Item = (String, Tally)>) -> Vec<NamedFigures> {
    let mut all: Vec<NamedFigures> = tallies
        .map(|(name, tally)| NamedFigures {
            name,
            figures: tally.finish(),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether a job of an experiment used the cache; none for other jobs.
fn used_cache(event: &Event) -> Option<bool> {
    event.experiment.map(|arm| arm == Arm::Cached)
}

/// Whether a job found an entry; none if it did not look for one or is in the control group.
fn had_hit(event: &Event) -> Option<bool> {
    match event.experiment {
        // What the control group found was not restored.
        Some(Arm::Control) => None,
        _ => event.found.map(|found| found != LookupResult::Miss),
    }
}

/// Compares the durations of each job in two groups; `is_with` decides the group. Failed runs are
/// skipped, because they ended early.
fn compare_jobs(events: &[&Event], is_with: impl Fn(&Event) -> Option<bool>) -> Vec<Experiment> {
    durations_by_job(events, is_with)
        .into_iter()
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

/// Repository, workflow and job.
type JobName<'e> = (&'e str, &'e str, &'e str);

/// The durations without and with, in milliseconds, in the order of the events.
fn durations_by_job<'e>(
    events: &[&'e Event],
    is_with: impl Fn(&Event) -> Option<bool>,
) -> BTreeMap<JobName<'e>, [Vec<u64>; 2]> {
    let mut jobs: BTreeMap<JobName<'_>, [Vec<u64>; 2]> = BTreeMap::new();
    for event in events.iter().filter(|event| succeeded(event)) {
        if let (Some(duration), Some(with)) = (job_duration(event), is_with(event)) {
            let run = &event.run;
            let groups = jobs
                .entry((&run.repository, &run.workflow, &run.job))
                .or_default();
            groups[usize::from(with)].push(duration);
        }
    }
    jobs
}

fn succeeded(event: &Event) -> bool {
    event
        .job_status
        .as_deref()
        .is_none_or(|status| status == "success")
}

/// Figures while they are added up.
#[derive(Default)]
pub(super) struct Tally {
    figures: Figures,
    restores: Vec<u64>,
    saves: Vec<u64>,
    jobs: Vec<u64>,
}

impl Tally {
    fn add_event(&mut self, event: &Event) {
        self.jobs.extend(job_duration(event));
        match had_hit(event).filter(|_| event.phase == Phase::Post) {
            Some(true) => self.figures.hit_jobs += 1,
            Some(false) => self.figures.missed_jobs += 1,
            None => {}
        }
        self.figures.removed_entries += event.removed_entries;
        self.figures.freed_bytes = self.figures.freed_bytes.saturating_add(event.freed_bytes);
        self.figures.failures += u64::from(event.error.is_some());
        let figures = &mut self.figures;
        let remote = event.remote.unwrap_or_default();
        figures.received_bytes = figures.received_bytes.saturating_add(remote.received_bytes);
        figures.sent_bytes = figures.sent_bytes.saturating_add(remote.sent_bytes);
        figures.remote_milliseconds = figures
            .remote_milliseconds
            .saturating_add(remote.milliseconds);
        figures.remote_background_milliseconds = figures
            .remote_background_milliseconds
            .saturating_add(remote.background_milliseconds);
        if event.phase == Phase::Post {
            figures.remote_save_milliseconds = figures
                .remote_save_milliseconds
                .saturating_add(remote.milliseconds);
        }
    }

    /// A cache with nothing in it, such as that of git in a project without git dependencies, says
    /// nothing about how well the cache works.
    fn add_cache(&mut self, cache: &CacheEvent) {
        let is_hit = matches!(cache.hit, Some(LookupResult::Exact | LookupResult::Prefix));
        let is_empty = is_hit && cache.restored_files == 0 && cache.restored_bytes == 0;
        if is_empty || cache.saved_bytes == Some(0) {
            return;
        }
        let figures = &mut self.figures;
        match cache.hit {
            Some(LookupResult::Exact) => figures.exact += 1,
            Some(LookupResult::Prefix) => figures.prefix += 1,
            Some(LookupResult::Miss) => figures.miss += 1,
            None => {}
        }
        figures.remote_hits += u64::from(is_hit && cache.from_remote);
        if is_hit {
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
