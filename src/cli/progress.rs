//! Progress on a terminal; warnings are always shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::action::commands::plain;
use crate::monitor::{Monitor, Stage};

const WITH_TOTAL: &str = "{msg:10} {bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
const WITHOUT_TOTAL: &str = "{msg:10} {decimal_bytes}";

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and a test parses them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A progress bar on standard error, if that is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(is_terminal: bool) -> Self {
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        Self {
            bar,
            interrupted: Arc::default(),
        }
    }

    /// Set to true to interrupt the command.
    pub(super) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Monitor for Progress {
    fn begin(&self, stage: Stage, bytes: u64) {
        // Not every stage knows how much there is to do.
        self.bar.set_style(style(if bytes == 0 {
            WITHOUT_TOTAL
        } else {
            WITH_TOTAL
        }));
        self.bar.reset();
        self.bar.set_length(bytes);
        self.bar.set_position(0);
        self.bar.set_message(match stage {
            Stage::Scanning => "scanning",
            Stage::Storing => "saving",
            Stage::Restoring => "restoring",
            Stage::Verifying => "verifying",
            Stage::Cleaning => "cleaning",
            Stage::Pushing => "pushing",
            Stage::Pulling => "pulling",
        });
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn warn(&self, message: &str) {
        self.bar.suspend(|| log::warn!("{}", plain(message)));
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [WITH_TOTAL, WITHOUT_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
