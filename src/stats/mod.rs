//! Statistics of the phases of jobs.
//!
//! Each phase appends an [`event`] to the [`journal`]. [`aggregate`] adds events up, [`compare`]
//! compares the job durations of two groups, and [`render`] prints the result for people and for
//! Prometheus.

pub mod aggregate;
pub mod compare;
pub mod event;
mod figures;
pub mod journal;
mod periods;
pub mod render;

pub(crate) use figures::ratio;
pub use figures::{
    Cell, DiskDay, DurationSummary, Experiment, Failure, Figures, JobTrend, NamedFigures, Stats,
    TrendRun,
};
