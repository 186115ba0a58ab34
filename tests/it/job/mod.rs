//! Jobs that a worker runs for the action.

mod cancelled;
mod housekeeping;
