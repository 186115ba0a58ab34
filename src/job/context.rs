//! What every part of a job needs.

use crate::fs::Namespace;
use crate::job::request::Job;
use crate::monitor::Monitor;
use crate::ops::second_tier::SecondTier;

#[derive(Clone, Copy)]
pub(crate) struct JobContext<'a> {
    pub(crate) job: &'a Job,
    pub(crate) namespace: &'a dyn Namespace,
    pub(crate) monitor: &'a dyn Monitor,
    /// Where restores look besides the store.
    pub(crate) second_tier: Option<&'a dyn SecondTier>,
}
