//! Progress on a terminal, warnings everywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::SIGHUP;
use signal_hook::flag;

use crate::monitor::{Monitor, Stage};
use crate::site::signals::{self, Listener, Signals};

/// Shows a bar on standard error while something takes its time.
pub(super) struct Progress {
    bar: ProgressBar,
    interrupted: Arc<AtomicBool>,
    _listener: Option<Listener>,
}

impl Progress {
    pub(super) fn new(is_terminal: bool) -> Self {
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {bytes}/{total_bytes}") {
            bar.set_style(style);
        }
        let interrupted = Arc::new(AtomicBool::new(false));
        let raised = Arc::clone(&interrupted);
        let listen = |signals: Signals| signals.listen(move |_| raised.store(true, Ordering::Relaxed));
        Self { bar, interrupted, _listener: signals::install().ok().map(listen) }
    }

    /// Ends the work in good order when the terminal goes, too. Where that can't be heard, it just ends.
    pub(super) fn hear_hangup(&self) {
        drop(flag::register(SIGHUP, Arc::clone(&self.interrupted)));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Monitor for Progress {
    fn begin(&self, stage: Stage, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.set_position(0);
        self.bar.set_message(match stage {
            Stage::Scanning => "scanning",
            Stage::Storing => "saving",
            Stage::Restoring => "restoring",
            Stage::Verifying => "verifying",
            Stage::Cleaning => "cleaning",
        });
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn warn(&self, message: &str) {
        self.bar.suspend(|| log::warn!("{message}"));
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
