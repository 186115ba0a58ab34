//! Restoring: the main phase of the action itself and of `restore/`.

use super::{Step, cache_size, state};
use crate::action::console::Mark;
use crate::action::inputs::Mirror;
use crate::fmt::human::{bytes, plural};
use crate::job::{FoundEntry, Job, RestoreTask, Task};
use crate::ops::restore::RestoreOptions;
use crate::store::CacheScope;
use crate::tree::plan::Extraneous;

impl Step<'_, '_> {
    pub(super) fn restore(&mut self) {
        self.begin_late();
        let Some((job, access)) = self.job() else {
            return;
        };
        let key = &self.inputs.key;
        self.output("cache-primary-key", key);
        self.output("cache-key", key);
        self.note_down(key, &access.write);
        let keys = [std::slice::from_ref(key), &self.inputs.restore_keys]
            .concat()
            .join(", ");
        if !self.may_restore() {
            return self.report_miss(&keys);
        }
        if self.is_control() {
            return self.after_restore(None);
        }
        let task = self.restore_task(access.read, self.inputs.mirror == Mirror::Yes);
        let job = Job {
            task: Task::Restore(task),
            ..job
        };
        let reply = self.carry_out(job);
        let cache = reply.as_ref().and_then(|reply| reply.caches.first());
        match cache.and_then(|cache| cache.found.as_ref()) {
            Some(found) => self.report_found(found),
            None => self.report_miss(&keys),
        }
        self.after_restore(reply.as_ref());
        if let Some(disk) = reply.and_then(|reply| reply.disk) {
            self.report_disk(disk);
        }
    }

    /// Whether the run may restore; that it may not is said.
    pub(super) fn may_restore(&self) -> bool {
        let may = self.context.cache_mode.may_restore();
        if !may {
            self.log.log(
                Mark::Done,
                "this run may not restore caches (ACTIONS_CACHE_MODE); nothing is restored",
            );
        }
        may
    }

    /// How to restore from some scopes.
    pub(super) fn restore_task(&self, read: Vec<CacheScope>, mirror: bool) -> RestoreTask {
        RestoreTask {
            read,
            options: RestoreOptions {
                extraneous: Extraneous::for_mirror(mirror),
                verify: self.inputs.verify,
                lookup_only: self.inputs.lookup_only,
            },
            record_as: self.memory(),
        }
    }

    /// Notes down for the post phase what is looked for and where it may write.
    pub(super) fn note_down(&mut self, key: &str, write: &CacheScope) {
        self.tell(self.context.files.save_state(state::KEY, key));
        if let Ok(write) = serde_json::to_string(write) {
            self.tell(self.context.files.save_state(state::WRITE, &write));
        }
    }

    fn report_found(&mut self, found: &FoundEntry) {
        let FoundEntry {
            key,
            entry,
            exact,
            files,
            bytes: size,
            written_files,
            written_bytes,
            milliseconds,
            ..
        } = found;
        if self.inputs.lookup_only {
            self.log.log(
                Mark::Check,
                format_args!("Cache found and can be restored from key: {key}"),
            );
            self.log.line("   Lookup only - skipping download");
        } else {
            self.log.log(
                Mark::Restored,
                format_args!("Cache restored from key: {key}"),
            );
            let right = files.saturating_sub(*written_files);
            let written = format!(
                "{} written ({})",
                plural(*written_files, "file", "files"),
                bytes(*written_bytes)
            );
            let right = if right > 0 {
                format!(", {} right already", plural(right, "file", "files"))
            } else {
                String::new()
            };
            self.log.line(format_args!(
                "   Cache Size: {}, {written}{right}, in {milliseconds} ms",
                cache_size(*size)
            ));
        }
        self.output("cache-hit", if *exact { "true" } else { "false" });
        self.output("cache-matched-key", key);
        self.output(
            "restored-files",
            &if self.inputs.lookup_only { 0 } else { *files }.to_string(),
        );
        self.output(
            "restored-bytes",
            &if self.inputs.lookup_only { 0 } else { *size }.to_string(),
        );
        self.output("restore-milliseconds", &milliseconds.to_string());
        self.tell(self.context.files.save_state(state::MATCHED_KEY, key));
        self.tell(
            self.context
                .files
                .save_state(state::EXACT, if *exact { "true" } else { "false" }),
        );
        self.tell(self.context.files.save_state(state::ENTRY, entry));
    }

    fn report_miss(&mut self, keys: &str) {
        self.log.log(
            Mark::Missed,
            format_args!("Cache not found for input keys: {keys}"),
        );
        if self.inputs.fail_on_cache_miss {
            let key = &self.inputs.key;
            self.fail(&format!(
                "Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: {key} \
                 (looked for in {} on this runner)",
                self.inputs.cache_root
            ));
        }
    }
}
