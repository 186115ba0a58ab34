//! The demonstration: lines while it runs, then one table and what it shows.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::commands::CommandContext;
use super::{Exit, Failure, args};
use crate::action::Env;
use crate::demo::{
    self, CacheUse, Compiled, DemoError, DemoEvent, DemoOptions, DemoProject, JobKind, JobReport,
    Report, StoredSize,
};
use crate::fmt::human::{bytes, count, elapsed, plural};
use crate::fmt::table::Table;
use crate::store::key_match::KeyMatch;

pub(super) fn demo(
    context: &mut CommandContext<'_>,
    args: &args::DemoArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let here = &context.base.working_directory;
    let options = DemoOptions {
        project: args.project.as_ref().map_or(DemoProject::BuiltIn, |dir| {
            DemoProject::Directory(here.join(dir))
        }),
        parent: &here.join(env.path("TMPDIR").unwrap_or(Path::new("/tmp"))),
        keep: args.keep,
        offline: args.offline,
        env,
    };
    let is_json = context.common.json;
    let out = &mut *context.out;
    let mut tell = |event: &DemoEvent<'_>| {
        if !is_json {
            // Whoever can't be told sees no table in the end either, and that is said.
            drop(
                out.write_all(line(event).as_bytes())
                    .and_then(|()| out.flush()),
            );
        }
    };
    let report =
        demo::run(&options, context.monitor, &mut tell).map_err(|error| failure(&error))?;
    context.print(
        &format!("\n{}\n{}", table(&report), conclusion(&report)),
        &document(&report),
    )?;
    Ok(Exit::Done)
}

fn failure(error: &DemoError) -> Failure {
    match error.last_lines() {
        [] => Failure::Other(error.to_string()),
        said => Failure::Program(format!("{error}; it said:"), said.to_vec()),
    }
}

fn line(event: &DemoEvent<'_>) -> String {
    match event {
        DemoEvent::Ready {
            project,
            cargo,
            directory,
        } => {
            format!(
                "🔍 {project}, built by {cargo}, all of it in {}\n",
                directory.display()
            )
        }
        DemoEvent::Job(kind) => format!("\n{}\n", title(*kind)),
        DemoEvent::Missed => "💿 nothing is cached yet\n".to_owned(),
        DemoEvent::Restored(caches, duration) => {
            let restored = |of_it: &CacheUse| of_it.restored.map(|(_, stored)| stored);
            format!(
                "🚀 restored in {}: {}\n",
                elapsed(*duration),
                list(caches, restored)
            )
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
        DemoEvent::Saved(caches, _) if caches.iter().all(|of_it| of_it.saved.is_none()) => {
            "✅ nothing changed, so nothing is saved\n".to_owned()
        }
        DemoEvent::Saved(caches, duration) => {
            format!(
                "💾 saved in {}: {}\n",
                elapsed(*duration),
                list(caches, |of_it| of_it.saved)
            )
        }
        DemoEvent::Removed(path) => format!("\n🧹 removed {}\n", path.display()),
        DemoEvent::Kept(path) => format!("\n💾 kept {}\n", path.display()),
    }
}

fn title(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Fresh => "Job 1: a fresh runner, nothing is cached",
        JobKind::WithCache => "Job 2: the next one, a fresh checkout and an empty Cargo home",
        JobKind::WithoutCache => "Job 2 again, without the cache",
    }
}

/// The caches with what was restored or saved of them, in one line.
fn list(caches: &[CacheUse], of: impl Fn(&CacheUse) -> Option<StoredSize>) -> String {
    let filled = caches
        .iter()
        .filter_map(|cache| Some((cache, of(cache).filter(|stored| stored.files > 0)?)));
    let parts: Vec<String> = filled
        .map(|(cache, stored)| format!("{} ({})", cache.name, size(stored)))
        .collect();
    if parts.is_empty() {
        "nothing is needed".to_owned()
    } else {
        parts.join(", ")
    }
}

fn size(stored: StoredSize) -> String {
    format!(
        "{}, {}",
        plural(stored.files, "file", "files"),
        bytes(stored.bytes)
    )
}

fn table(report: &Report) -> Table {
    let [fresh, with, without] = &report.jobs;
    let jobs = [fresh, without, with];
    let mut table =
        Table::new(["", "job 1", "job 2 without", "job 2 with cache"]).align_right([1, 2, 3]);
    let mut row = |name: &str, cell: &dyn Fn(&JobReport) -> String| {
        let [first, second, third] = jobs.map(cell);
        table.add_row([name.to_owned(), first, second, third]);
    };
    let step = |duration: Option<Duration>| duration.map_or_else(|| "-".to_owned(), elapsed);
    row("restore", &|job| step(job.restore));
    row("fetch crates", &|job| elapsed(job.fetch));
    row("build", &|job| elapsed(job.build));
    row("save", &|job| step(job.save));
    row("total", &|job| elapsed(job.total()));
    let caches = |job: &JobReport, cell: &dyn Fn() -> String| {
        if job.kind.uses_cache() {
            cell()
        } else {
            "-".to_owned()
        }
    };
    row("cache hits", &|job| {
        caches(job, &|| {
            format!("{} of {}", job.hits(), saved_caches(fresh))
        })
    });
    row("files restored", &|job| {
        caches(job, &|| count(job.restored().files))
    });
    row("bytes restored", &|job| {
        caches(job, &|| bytes(job.restored().bytes))
    });
    row("files saved", &|job| {
        caches(job, &|| count(job.saved().files))
    });
    row("bytes saved", &|job| {
        caches(job, &|| bytes(job.saved().bytes))
    });
    row("dependencies compiled", &|job| {
        count(job.compiled.dependencies)
    });
    row("own crates compiled", &|job| count(job.compiled.own));
    table
}

/// How many caches there were to find: a project without dependencies has no registry.
fn saved_caches(fresh: &JobReport) -> usize {
    fresh
        .caches
        .iter()
        .filter(|cache| cache.saved.is_some())
        .count()
}

/// One sentence on what the table shows.
fn conclusion(report: &Report) -> String {
    let [_, with, without] = &report.jobs;
    let (short, long) = (elapsed(with.total()), elapsed(without.total()));
    let mut text = match speedup(report) {
        Some(ratio) if ratio > 1.0 => format!(
            "✅ the next job takes {short} with the cache, {long} without ({ratio:.1} times as fast): "
        ),
        _ => format!(
            "⚠️ the next job takes {short} with the cache, {long} without, so there is little to save here: "
        ),
    };
    let Compiled { dependencies, own } = with.compiled;
    let all = without.compiled.dependencies;
    let _ = match (dependencies, all) {
        (_, 0) => write!(text, "there are no dependencies"),
        (0, 1) => write!(text, "its dependency is not compiled again"),
        (0, _) => write!(
            text,
            "none of its {} dependencies is compiled again",
            count(all)
        ),
        _ => write!(
            text,
            "{} of its {} dependencies are compiled again",
            count(dependencies),
            count(all)
        ),
    };
    let again = if all == 0 { " compiled again" } else { "" };
    let _ = match own {
        0 if all == 0 => writeln!(text, ", and nothing of its own is{again}"),
        0 => writeln!(text, ", and nothing of its own either"),
        1 => writeln!(text, "; 1 crate of its own is{again}"),
        _ => writeln!(
            text,
            "; {} of its own are{again}",
            plural(own, "crate", "crates")
        ),
    };
    if report.offline {
        text.push_str("   (offline: crates are copied, not downloaded, so fetching without the cache is faster than it would be)\n");
    }
    text
}

/// How many times as fast the next job is with the cache.
fn speedup(report: &Report) -> Option<f64> {
    let [_, with, without] = &report.jobs;
    let with = with.total().as_secs_f64();
    (with > 0.0).then(|| without.total().as_secs_f64() / with)
}

fn document(report: &Report) -> Value {
    let jobs: Vec<Value> = report.jobs.iter().map(job).collect();
    json!({
        "project": report.project,
        "offline": report.offline,
        "jobs": jobs,
        "speedup": speedup(report),
        "kept-directory": report.kept.as_ref().map(|path| path.to_string_lossy()),
    })
}

fn job(job: &JobReport) -> Value {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    json!({
        "job": match job.kind {
            JobKind::Fresh => "fresh",
            JobKind::WithCache => "with-cache",
            JobKind::WithoutCache => "without-cache",
        },
        "restore-milliseconds": job.restore.map(milliseconds),
        "fetch-milliseconds": milliseconds(job.fetch),
        "build-milliseconds": milliseconds(job.build),
        "save-milliseconds": job.save.map(milliseconds),
        "total-milliseconds": milliseconds(job.total()),
        "hits": job.hits(),
        "restored-files": job.restored().files,
        "restored-bytes": job.restored().bytes,
        "saved-files": job.saved().files,
        "saved-bytes": job.saved().bytes,
        "compiled-dependencies": job.compiled.dependencies,
        "compiled-own": job.compiled.own,
        "caches": job.caches.iter().map(cache).collect::<Vec<_>>(),
    })
}

fn cache(cache: &CacheUse) -> Value {
    let hit = match cache.restored {
        None => "miss",
        Some((KeyMatch::Exact, _)) => "exact",
        Some((KeyMatch::Prefix, _)) => "prefix",
    };
    json!({
        "cache": cache.name,
        "key": cache.key,
        "cache-hit": hit,
        "restored-files": cache.restored.map(|(_, stored)| stored.files),
        "restored-bytes": cache.restored.map(|(_, stored)| stored.bytes),
        "saved-files": cache.saved.map(|stored| stored.files),
        "saved-bytes": cache.saved.map(|stored| stored.bytes),
    })
}
