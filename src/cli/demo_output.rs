//! What `local-cache demo` prints.

use std::time::Duration;

use serde_json::{Value, json};

use super::text::files_and_bytes;
use crate::demo::{CacheUse, Compiled, DemoEvent, JobKind, JobReport, Report, StoredSize};
use crate::fmt::human::{bytes, count, elapsed, plural};
use crate::fmt::table::Table;
use crate::fmt::whole_milliseconds;
use crate::store::key_match::KeyMatch;

pub(super) fn event_line(event: &DemoEvent<'_>) -> String {
    match event {
        DemoEvent::Ready {
            project,
            cargo,
            directory,
        } => {
            format!(
                "🔍 project: {project}\n   built with {cargo}\n   everything is in {}\n",
                directory.display()
            )
        }
        DemoEvent::Job(kind) => format!("\n{}\n", title(*kind)),
        DemoEvent::Missed => "💿 nothing cached yet\n".to_owned(),
        DemoEvent::Restored(caches, duration) => {
            let restored = list(caches, |cache| cache.restored.map(|(_, size)| size));
            format!("🚀 restored in {}: {restored}\n", elapsed(*duration))
        }
        DemoEvent::Fetching => "🔍 fetching crates\n".to_owned(),
        DemoEvent::Building => "🔍 building\n".to_owned(),
        DemoEvent::Built(compiled, duration) => {
            format!(
                "✅ built in {}: {} compiled\n",
                elapsed(*duration),
                plural(compiled.total(), "crate", "crates")
            )
        }
        DemoEvent::Saved(caches, _) if caches.iter().all(|cache| cache.saved.is_none()) => {
            "✅ nothing changed, nothing to save\n".to_owned()
        }
        DemoEvent::Saved(caches, duration) => {
            let saved = list(caches, |cache| cache.saved);
            format!("💾 saved in {}: {saved}\n", elapsed(*duration))
        }
        DemoEvent::Removed(path) => format!("\n🧹 removed {}\n", path.display()),
        DemoEvent::Kept(path) => format!("\n💾 kept {}\n", path.display()),
    }
}

fn title(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Fresh => "Job 1: fresh runner, empty cache",
        JobKind::WithCache => "Job 2, with the cache: fresh checkout, empty Cargo home",
        JobKind::WithoutCache => "Job 2, without the cache: fresh checkout, empty Cargo home",
    }
}

/// The caches that have files, as `registry (3 files, 12 MB), target (...)`.
fn list(caches: &[CacheUse], size: impl Fn(&CacheUse) -> Option<StoredSize>) -> String {
    let filled: Vec<String> = caches
        .iter()
        .filter_map(|cache| {
            let size = size(cache).filter(|size| size.files > 0)?;
            Some(format!(
                "{} ({})",
                cache.name,
                files_and_bytes(size.files, size.bytes)
            ))
        })
        .collect();
    if filled.is_empty() {
        "no files".to_owned()
    } else {
        filled.join(", ")
    }
}

pub(super) fn report_text(report: &Report) -> String {
    format!("\n{}\n{}", table(report), conclusion(report))
}

fn table(report: &Report) -> Table {
    let [fresh, with, without] = &report.jobs;
    let mut table = Table::new(["", "job 1", "job 2 without cache", "job 2 with cache"]);
    let columns = [fresh, without, with].map(|job| column(job, saved_caches(fresh)));
    for (index, name) in ROWS.into_iter().enumerate() {
        let [first, second, third] = columns.each_ref().map(|column| column[index].clone());
        table.add_row([name.to_owned(), first, second, third]);
    }
    table.align_right([1, 2, 3])
}

const ROWS: [&str; 12] = [
    "restore",
    "fetch crates",
    "build",
    "save",
    "total",
    "cache hits",
    "files restored",
    "bytes restored",
    "files saved",
    "bytes saved",
    "dependencies compiled",
    "own crates compiled",
];

/// The figures of a job in the order of [`ROWS`]. Without the cache, those about caches are dashes.
fn column(job: &JobReport, caches: usize) -> [String; ROWS.len()] {
    let step = |duration: Option<Duration>| duration.map_or_else(|| "-".to_owned(), elapsed);
    let [
        hits,
        restored_files,
        restored_bytes,
        saved_files,
        saved_bytes,
    ] = if job.kind.uses_cache() {
        [
            format!("{} of {caches}", job.hits()),
            count(job.restored().files),
            bytes(job.restored().bytes),
            count(job.saved().files),
            bytes(job.saved().bytes),
        ]
    } else {
        std::array::from_fn(|_| "-".to_owned())
    };
    [
        step(job.restore),
        elapsed(job.fetch),
        elapsed(job.build),
        step(job.save),
        elapsed(job.total()),
        hits,
        restored_files,
        restored_bytes,
        saved_files,
        saved_bytes,
        count(job.compiled.dependencies),
        count(job.compiled.own),
    ]
}

/// How many caches can be found: a project without dependencies has no registry.
fn saved_caches(fresh: &JobReport) -> usize {
    fresh
        .caches
        .iter()
        .filter(|cache| cache.saved.is_some())
        .count()
}

/// What the table shows, in two sentences.
fn conclusion(report: &Report) -> String {
    let [_, with, without] = &report.jobs;
    let (short, long) = (elapsed(with.total()), elapsed(without.total()));
    let times = match speedup(report) {
        Some(ratio) if ratio > 1.0 => format!(
            "✅ job 2 took {short} with the cache and {long} without it ({ratio:.1} times as fast)"
        ),
        _ => format!(
            "⚠️ job 2 took {short} with the cache and {long} without it: this project gains little"
        ),
    };
    let mut text = format!(
        "{times}\n   {}\n",
        compiled_text(with.compiled, without.compiled)
    );
    if report.offline {
        text.push_str("   (offline: crates were copied, not downloaded, so fetching without the cache was faster than usual)\n");
    }
    text
}

/// What cargo compiled with the cache, out of what it compiled without it.
fn compiled_text(with: Compiled, without: Compiled) -> String {
    let own = format!(
        "{} of {}",
        count(with.own),
        plural(without.own, "own crate", "own crates")
    );
    if without.dependencies == 0 {
        return format!("with the cache, cargo compiled {own}, and there are no dependencies");
    }
    format!(
        "with the cache, cargo compiled {} of {} and {own}",
        count(with.dependencies),
        plural(without.dependencies, "dependency", "dependencies")
    )
}

/// How many times as fast job 2 is with the cache.
fn speedup(report: &Report) -> Option<f64> {
    let [_, with, without] = &report.jobs;
    let with = with.total().as_secs_f64();
    (with > 0.0).then(|| without.total().as_secs_f64() / with)
}

pub(super) fn report_json(report: &Report) -> Value {
    let jobs: Vec<Value> = report.jobs.iter().map(job_json).collect();
    json!({
        "project": report.project,
        "offline": report.offline,
        "jobs": jobs,
        "speedup": speedup(report),
        "kept-directory": report.kept.as_ref().map(|path| path.to_string_lossy()),
    })
}

fn job_json(job: &JobReport) -> Value {
    json!({
        "job": match job.kind {
            JobKind::Fresh => "fresh",
            JobKind::WithCache => "with-cache",
            JobKind::WithoutCache => "without-cache",
        },
        "restore-milliseconds": job.restore.map(whole_milliseconds),
        "fetch-milliseconds": whole_milliseconds(job.fetch),
        "build-milliseconds": whole_milliseconds(job.build),
        "save-milliseconds": job.save.map(whole_milliseconds),
        "total-milliseconds": whole_milliseconds(job.total()),
        "hits": job.hits(),
        "restored-files": job.restored().files,
        "restored-bytes": job.restored().bytes,
        "saved-files": job.saved().files,
        "saved-bytes": job.saved().bytes,
        "compiled-dependencies": job.compiled.dependencies,
        "compiled-own": job.compiled.own,
        "caches": job.caches.iter().map(cache_json).collect::<Vec<_>>(),
    })
}

fn cache_json(cache: &CacheUse) -> Value {
    let hit = match cache.restored {
        None => "miss",
        Some((KeyMatch::Exact, _)) => "exact",
        Some((KeyMatch::Prefix, _)) => "prefix",
    };
    json!({
        "cache": cache.name,
        "key": cache.key,
        "cache-hit": hit,
        "restored-files": cache.restored.map(|(_, size)| size.files),
        "restored-bytes": cache.restored.map(|(_, size)| size.bytes),
        "saved-files": cache.saved.map(|size| size.files),
        "saved-bytes": cache.saved.map(|size| size.bytes),
    })
}
