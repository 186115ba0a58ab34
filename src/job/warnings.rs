//! Warnings of a job, collected for its reply.

use std::sync::Mutex;

use crate::monitor::{Monitor, Stage};
use crate::workers;

/// Passes everything on to another monitor but warnings, which it keeps.
pub(super) struct WarningCollector<'m> {
    inner: &'m dyn Monitor,
    warnings: Mutex<Vec<String>>,
}

impl<'m> WarningCollector<'m> {
    pub(super) fn new(inner: &'m dyn Monitor) -> Self {
        Self {
            inner,
            warnings: Mutex::default(),
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        workers::into_inner(self.warnings)
    }
}

impl Monitor for WarningCollector<'_> {
    fn begin(&self, stage: Stage, bytes: u64) {
        self.inner.begin(stage, bytes);
    }

    fn advance(&self, bytes: u64) {
        self.inner.advance(bytes);
    }

    fn warn(&self, message: &str) {
        workers::lock(&self.warnings).push(message.to_owned());
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }
}
