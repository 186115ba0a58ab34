//! The cargo preset in the main and post phases: what is asked of it, and what is said of what came
//! of it.

use super::{Step, state};
use crate::action::console::Mark;
use crate::action::inputs::{Mirror, Preset};
use crate::cargo::mtimes::replay::ReplayStats;
use crate::fmt::human::{bytes, elapsed, plural};
use crate::job::{
    CacheReply, CargoTarget, FoundEntry, Job, JobTarget, RestoreRecord, SaveReply, Task,
};
use crate::store::CacheKind;

impl Step<'_, '_> {
    /// What the inputs ask of the preset. `PATH` is left out: in an action's own container it is
    /// the image's, not that of the steps.
    pub(super) fn cargo(&self) -> JobTarget {
        let inputs = self.inputs;
        let of_preset = inputs.cargo.clone();
        let mut cargo = CargoTarget {
            env: Vec::new(),
            job: self.context.job.clone().unwrap_or_default(),
            workspaces: of_preset.workspaces,
            key_inputs: of_preset.key_inputs,
            directories: of_preset.cache_directories,
            targets: of_preset.cache_targets,
            all_crates: of_preset.cache_all_crates,
            bin: of_preset.cache_bin,
            replay_mtimes: inputs.replay_mtimes,
            sources: inputs.sources.clone(),
            run: self.context.job_run_name(),
            only_projects: inputs.preset == Preset::Auto,
            lock_timeout: CargoTarget::LOCK_TIMEOUT,
        };
        cargo.add_env(self.env.iter(), false);
        JobTarget::Cargo(Box::new(cargo))
    }

    pub(super) fn restore_cargo(&mut self) {
        self.begin_late();
        let Some((job, access)) = self.job() else {
            return self.output("cache-hit", "false");
        };
        let mut may_restore = self.may_restore();
        may_restore &= !self.is_control();
        let read = if may_restore { access.read } else { Vec::new() };
        let task = self.restore_task(read, self.inputs.mirror != Mirror::No);
        let reply = self.carry_out(Job {
            task: Task::Restore(task),
            ..job
        });
        let caches = reply.as_ref().map_or(&[][..], |reply| &reply.caches);
        if let Some(reply) = &reply
            && reply.error.is_none()
            && caches.is_empty()
        {
            self.warn_of_no_project();
            return self.output("cache-hit", "false");
        }
        // Computed keys are noted down one by one; the input `key` is but a part of them.
        self.note_down("", &access.write);
        let noted: Vec<RestoreRecord> = caches.iter().map(CacheReply::record).collect();
        if let Ok(noted) = serde_json::to_string(&noted) {
            self.tell(self.context.files.save_state(state::CACHES, &noted));
        }
        for cache in caches {
            self.report_restored(cache);
        }
        if let Some(given_back) = reply.as_ref().and_then(|reply| reply.mtime_replay) {
            self.report_given_back(given_back);
        }
        self.set_outputs(caches);
        self.after_restore(reply.as_ref());
        if let Some(disk) = reply.and_then(|reply| reply.disk) {
            self.report_disk(disk);
        }
    }

    fn warn_of_no_project(&self) {
        let roots: Vec<&str> = self
            .inputs
            .cargo
            .workspaces
            .iter()
            .map(|line| line.root.as_str())
            .collect();
        self.warn(&format!(
            "no path is given, and there is neither a Cargo.toml nor a Cargo.lock in {}, so nothing is cached; check \
             out the repository before this step, name the project in `workspaces`, or give `path` and `key`",
            roots.join(" or ")
        ));
    }

    fn report_restored(&mut self, cache: &CacheReply) {
        let CacheReply { name, key, .. } = cache;
        if let Some(error) = &cache.error {
            return self.cache_failed(error);
        }
        let Some(found) = &cache.found else {
            if name != "bin" {
                self.log.log(
                    Mark::Missed,
                    format_args!("{name}: nothing found for {key}"),
                );
            }
            return;
        };
        let FoundEntry {
            files,
            bytes: size,
            written_files,
            written_bytes,
            ready,
            milliseconds,
            ..
        } = found;
        let how = if found.exact {
            "exact"
        } else {
            "the nearest earlier one"
        };
        let from = format!("{} ({how})", found.key);
        let size = format!("{}, {}", plural(*files, "file", "files"), bytes(*size));
        let took = elapsed(std::time::Duration::from_millis(*milliseconds));
        if self.inputs.lookup_only {
            self.log.log(
                Mark::Check,
                format_args!("{name}: {size} can be restored from {from}"),
            );
        } else if *files == 0 {
            self.log.log(
                Mark::Restored,
                format_args!("{name}: nothing is needed, says {from}"),
            );
        } else if *ready > 0 && *written_files == 0 {
            self.log.log(
                Mark::Restored,
                format_args!(
                    "{name}: {size} put back by a rename and compared in {took}, as in {from}"
                ),
            );
        } else if *written_files == 0 {
            self.log.log(
                Mark::Restored,
                format_args!(
                    "{name}: {size} are in place already, as in {from}; compared in {took}"
                ),
            );
        } else {
            let written = plural(*written_files, "file", "files");
            let all = if written_files == files {
                String::new()
            } else {
                format!(
                    ", {written} ({}) written and the others right already",
                    bytes(*written_bytes)
                )
            };
            self.log.log(
                Mark::Restored,
                format_args!("{name}: {size} restored in {took} from {from}{all}"),
            );
        }
    }

    fn report_given_back(&self, given_back: ReplayStats) {
        let ReplayStats {
            same,
            different,
            distrusted,
            ..
        } = given_back;
        let text = if distrusted {
            "what `sources` names has changed, so cargo takes all sources for changed".to_owned()
        } else {
            format!(
                "sources: {} as when target was saved and fresh again, {} not",
                plural(same, "file is", "files are"),
                plural(different, "file is", "files are")
            )
        };
        self.log.log(Mark::Restored, text);
    }

    fn set_outputs(&mut self, caches: &[CacheReply]) {
        let of_kind = |kind| {
            caches
                .iter()
                .filter(move |cache| cache.kind == kind)
                .collect::<Vec<_>>()
        };
        let kinds = [
            ("registry-cache-hit", CacheKind::Registry),
            ("git-cache-hit", CacheKind::Git),
            ("target-cache-hit", CacheKind::Target),
        ];
        for (output, kind) in kinds {
            if let Some(hit) = hit(&of_kind(kind)) {
                self.output(output, if hit { "true" } else { "false" });
            }
        }
        // Programs are not put back where there are some, which is no miss.
        let counted: Vec<&CacheReply> = caches.iter().filter(|cache| cache.name != "bin").collect();
        self.output(
            "cache-hit",
            if hit(&counted) == Some(true) {
                "true"
            } else {
                "false"
            },
        );
        let primary = of_kind(CacheKind::Target)
            .first()
            .copied()
            .or(caches.first());
        if let Some(primary) = primary {
            self.output("cache-primary-key", &primary.key);
            self.output("cache-key", &primary.key);
        }
        let found: Vec<&FoundEntry> = caches
            .iter()
            .filter_map(|cache| cache.found.as_ref())
            .collect();
        if let Some(found) = primary.and_then(|primary| primary.found.as_ref()) {
            self.output("cache-matched-key", &found.key);
        }
        if !found.is_empty() {
            let restored = |of: fn(&FoundEntry) -> u64| {
                if self.inputs.lookup_only {
                    0
                } else {
                    found.iter().map(|found| of(found)).sum::<u64>()
                }
            };
            let sums = [
                ("restored-files", restored(|found| found.files)),
                ("restored-bytes", restored(|found| found.bytes)),
                (
                    "restore-milliseconds",
                    found.iter().map(|found| found.milliseconds).sum(),
                ),
            ];
            sums.into_iter()
                .for_each(|(name, sum)| self.output(name, &sum.to_string()));
        } else if self.inputs.fail_on_cache_miss {
            self.fail(&format!(
                "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Nothing was found for {} \
                 (looked for in {} on this runner)",
                counted.iter().map(|cache| cache.key.as_str()).collect::<Vec<_>>().join(", "),
                self.inputs.cache_root
            ));
        }
    }

    /// What main noted down of the preset's caches; nothing where it failed before.
    pub(super) fn noted_caches(&self) -> Vec<RestoreRecord> {
        let noted = self
            .env
            .state(state::CACHES)
            .and_then(|text| serde_json::from_str(text).ok());
        noted.unwrap_or_default()
    }

    pub(super) fn report_saved_cargo(&mut self, cache: &CacheReply) {
        let CacheReply { name, key, .. } = cache;
        if let Some(error) = &cache.error {
            return self.cache_failed(error);
        }
        let say_done = |text: String| self.log.log(Mark::Done, format_args!("{name}: {text}"));
        match &cache.saved {
            Some(SaveReply::Done { files: 0, .. }) => {
                say_done(format!("nothing is needed; noted as {key}"))
            }
            Some(SaveReply::Done {
                files,
                bytes: size,
                added_bytes,
                milliseconds,
            }) => self.log.log(
                Mark::Saved,
                format_args!(
                    "{name}: {}, {} saved in {} as {key}; {} of it new",
                    plural(*files, "file", "files"),
                    bytes(*size),
                    elapsed(std::time::Duration::from_millis(*milliseconds)),
                    bytes(*added_bytes)
                ),
            ),
            Some(SaveReply::Unchanged) => {
                say_done(format!("nothing changed since it was saved as {key}"))
            }
            Some(SaveReply::Exists { .. }) => {
                say_done(format!(
                    "another job has saved {key} meanwhile; that entry stays"
                ));
            }
            Some(SaveReply::InProgress) => {
                say_done(format!("another job is saving {key} right now"))
            }
            Some(SaveReply::NothingToSave) => {
                say_done("there is nothing, so nothing is saved".to_owned())
            }
            None => {}
        }
    }
}

/// The three values of a hit over some caches: all exact, some found, none found.
fn hit(caches: &[&CacheReply]) -> Option<bool> {
    let found = |cache: &&&CacheReply| cache.found.is_some();
    let is_exact = |cache: &&CacheReply| cache.found.as_ref().is_some_and(|found| found.exact);
    caches
        .iter()
        .any(|cache| found(&cache))
        .then(|| caches.iter().all(is_exact))
}
