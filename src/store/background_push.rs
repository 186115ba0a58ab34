//! How the last copy of entries to a remote in the background ended: `background-push.json`.
//!
//! Nobody waits for such a copy, so this file is what remains of a failure. Others may write to the
//! store: what is read is bounded, and texts are cut and shown as one line.

use serde::{Deserialize, Serialize};

use super::open::{Store, WRITE_TIMEOUT};
use crate::error::{Error, Result};
use crate::fmt::human::{self, one_line};

/// Bytes of the file that are read.
const MAX_BYTES: u64 = 16 << 10;
const MAX_TEXT: usize = 500;
/// A copy that takes longer than this, in milliseconds, has ended without saying so.
const LONGEST: i64 = 6 * 60 * 60 * 1000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct BackgroundPush {
    /// Where the entries are copied to.
    pub place: String,
    /// In milliseconds since the epoch.
    pub started: i64,
    /// None while it runs, and if it was killed.
    pub ended: Option<i64>,
    pub pushed_entries: u64,
    /// Entries that were on the remote already.
    pub present_entries: u64,
    pub sent_bytes: u64,
    /// Why it failed, in one line.
    pub failure: Option<String>,
}

impl BackgroundPush {
    /// What went wrong, for a sentence about the copy, at a time in milliseconds since the epoch.
    pub fn what_failed(&self, now: i64) -> Option<String> {
        let ago = |time: i64| human::elapsed_ms(now.saturating_sub(time).max(0).unsigned_abs());
        match (&self.failure, self.ended) {
            (Some(failure), ended) => Some(format!(
                "failed {} ago: {failure}",
                ago(ended.unwrap_or(self.started))
            )),
            (None, None) if now.saturating_sub(self.started) > LONGEST => {
                Some(format!("began {} ago and did not end", ago(self.started)))
            }
            (None, _) => None,
        }
    }

    fn cleaned(self) -> Self {
        let clean = |text: &str| -> String { one_line(text).chars().take(MAX_TEXT).collect() };
        Self {
            place: clean(&self.place),
            failure: self.failure.as_deref().map(clean),
            ..self
        }
    }
}

impl Store {
    pub(crate) fn put_background_push(&self, push: &BackgroundPush) -> Result<()> {
        let bytes = serde_json::to_vec(&push.clone().cleaned()).map_err(Error::defect)?;
        let _lock = self.lock_shared(WRITE_TIMEOUT)?;
        self.write_atomically(&self.layout.background_push(), &bytes)
    }

    /// None if there was none, or if the file cannot be read.
    pub fn background_push(&self) -> Option<BackgroundPush> {
        let path = self.layout.background_push();
        let bytes = self.dir.read(&path, MAX_BYTES).ok()?;
        let push: BackgroundPush = serde_json::from_slice(&bytes).ok()?;
        Some(push.cleaned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::files;

    #[test]
    fn a_failure_and_a_copy_that_did_not_end_are_told() {
        let running = BackgroundPush {
            place: "s3://bucket".into(),
            started: 1_000_000,
            ..BackgroundPush::default()
        };
        assert_eq!(running.what_failed(1_060_000), None);
        let text = "began 6 h 0 min ago and did not end";
        assert_eq!(
            running.what_failed(1_000_001 + LONGEST).as_deref(),
            Some(text)
        );
        let done = BackgroundPush {
            ended: Some(1_000_100),
            ..running
        };
        assert_eq!(done.what_failed(i64::MAX), None);
        let failed = BackgroundPush {
            failure: Some("no answer".into()),
            ..done
        };
        let text = "failed 59 s ago: no answer";
        assert_eq!(failed.what_failed(1_060_000).as_deref(), Some(text));
    }

    #[test]
    fn what_others_wrote_is_bounded_and_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path()).unwrap();
        assert_eq!(store.background_push(), None);
        let push = BackgroundPush {
            place: "s3://bucket".into(),
            failure: Some(format!("a\n\u{1b}[31m{}", "x".repeat(1000))),
            ..BackgroundPush::default()
        };
        store.put_background_push(&push).unwrap();
        let failure = store.background_push().unwrap().failure.unwrap();
        assert_eq!(failure.chars().count(), MAX_TEXT);
        assert!(!failure.contains(char::is_control), "{failure}");
        let path = store.layout().background_push();
        for bytes in [b"not JSON".to_vec(), vec![b' '; 20 << 10]] {
            files::remove(&path).unwrap();
            files::write_new(&path, 0o644, &bytes).unwrap();
            assert_eq!(store.background_push(), None);
        }
    }
}
