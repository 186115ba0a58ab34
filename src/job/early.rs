//! Restoring in the pre phase what does not depend on the checkout.
//!
//! The checkout of the job is not there yet, and the workspace may hold that of another job. So
//! only two kinds of caches are restored, and nothing is removed:
//!
//! - the registry and the git dependencies from the newest entries, whatever lock files they were
//!   saved for: their files are only ever added, and cargo uses those that it needs;
//! - paths outside of the workspace from the entry of the run's own ref with exactly the key: the
//!   one that main takes. A checkout would remove files in the workspace (`git clean`), and another
//!   entry could bring files that the right one does not have.
//!
//! Target directories wait for the checkout: their key and the freshness of their units depend on
//! its files.
//!
//! The main phase looks up and compares everything as if there had been no pre phase. So a step in
//! between may change or remove anything, and what is still in place costs one walk.

use crate::error::Result;
use crate::job::context::JobContext;
use crate::job::reply::{CacheReply, JobReply};
use crate::job::request::{EarlyRestore, JobTarget, RestoreTask};
use crate::job::{cargo, paths};
use crate::store::Store;

pub(super) fn restore(
    context: &JobContext<'_>,
    task: &RestoreTask,
    reply: &mut JobReply,
) -> Result<()> {
    // What to copy from it is known only when the lock files are there.
    let context = &JobContext {
        second_tier: None,
        ..*context
    };
    let root = context.namespace.locate(&context.job.cache_root)?;
    let Some(store) = Store::open(&root)? else {
        return Ok(());
    };
    match &context.job.target {
        JobTarget::Paths(target) => {
            let cache = paths::restore_early(context, target, task, &store)?;
            reply.caches.extend(cache);
            Ok(())
        }
        JobTarget::Cargo(target) => cargo::restore_early(context, target, task, &store, reply),
    }
}

/// Counts the work of the pre phase as part of the restore that confirms it.
pub(super) fn add_work(caches: &mut [CacheReply], early: &[EarlyRestore]) {
    for work in early {
        let mut of_it = caches.iter_mut().filter(|cache| cache.name == work.cache);
        if let Some(found) = of_it.next().and_then(|cache| cache.found.as_mut()) {
            // The pre phase may have restored another entry, with more files.
            found.early_files = work.written_files.min(found.files);
            found.written_files = (found.written_files + found.early_files).min(found.files);
            found.written_bytes = (found.written_bytes + work.written_bytes).min(found.bytes);
            found.milliseconds += work.milliseconds;
        }
    }
}

impl CacheReply {
    /// What the restore did, if it found an entry.
    pub fn early_restore(&self) -> Option<EarlyRestore> {
        let found = self.found.as_ref()?;
        Some(EarlyRestore {
            cache: self.name.clone(),
            key: self.key.clone(),
            cargo_home: None,
            written_files: found.written_files,
            written_bytes: found.written_bytes,
            milliseconds: found.milliseconds,
        })
    }
}
