//! What every step of a save needs.

use std::time::Instant;

use crate::monitor::Monitor;
use crate::ops::save::request::SaveRequest;
use crate::store::Store;

pub(super) struct SaveContext<'a> {
    pub(super) store: &'a Store,
    pub(super) request: &'a SaveRequest<'a>,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) start: Instant,
}
