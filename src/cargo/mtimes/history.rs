//! What the steps of a job did in a checkout, kept in the store for later steps and for the save.

use serde::{Deserialize, Serialize};

use crate::cargo::mtimes::effective_mtime::ReplayMark;
use crate::cargo::mtimes::source_roots::SourceRoots;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::Timestamp;
use crate::store::Store;

/// The sources of a step.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub area: &'a SourceRoots,
    /// Names the run of the job, so that its steps know of each other; empty where there is only
    /// one.
    pub job: &'a str,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReplayHistory {
    /// The target directories that were restored.
    pub(crate) restored: Vec<RestoredTarget>,
    /// When times were replayed, and where; none before the first step is done.
    pub(crate) given: Option<ReplayMark>,
}

/// A target directory that this or an earlier step of the job restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RestoredTarget {
    /// The record of the sources that it was built from.
    pub(crate) record: Option<Digest>,
    /// When it had been saved.
    pub(crate) saved: Timestamp,
    /// The roots of the step's area.
    pub(crate) roots: Vec<Box<[u8]>>,
}

impl ReplayHistory {
    /// What was done so far.
    pub(crate) fn read(store: &Store, sources: &Sources<'_>) -> Result<Self> {
        let name = name(sources)?;
        let Some(bytes) = store.job_state(&name)? else {
            return Ok(Self::default());
        };
        postcard::from_bytes(&bytes).map_err(|_| {
            Error::invalid(format!(
                "the record of what earlier steps restored, {}, cannot be read",
                store.layout().job_state(&name).display()
            ))
        })
    }

    /// Remembers it. Without the name of a job there are no later steps, but there is a save.
    pub(crate) fn write(&self, store: &Store, sources: &Sources<'_>) -> Result<()> {
        store.put_job_state(
            &name(sources)?,
            &postcard::to_stdvec(self).map_err(Error::defect)?,
        )
    }
}

fn name(sources: &Sources<'_>) -> Result<String> {
    let checkout = sources
        .area
        .places()
        .path(b".")?
        .as_os_str()
        .as_encoded_bytes();
    Ok(format!(
        "sources-{}",
        Digest::of(&[sources.job.as_bytes(), b"\0", checkout].concat())
    ))
}
