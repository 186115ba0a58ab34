//! Jobs that a worker runs for the action.

mod housekeeping;
