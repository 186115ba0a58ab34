//! The parsed inputs of a step.
//!
//! # Rules
//!
//! - Inputs of actions/cache and rust-cache are read as those actions read them, even where that is
//!   odd, because their steps must work unchanged. None of their values is an error: anything but
//!   `true` is false.
//! - local-cache's own inputs are strict: an invalid value is an error that names the input, the
//!   value and the allowed values. Empty means the default, because `${{ inputs.x }}` without a
//!   value is empty. `none` turns an optional one off.
//! - All errors are reported at once.
//! - A missing input takes the table's default. act passes none to the post phase.
//! - An input that the action does not offer is not read, even if a step sets it; the runner has
//!   warned. A warning says what replaces an input of an earlier version.

mod error;
mod lists;
mod parsed;
mod reader;
mod table;
mod types;
mod values;

pub use error::{InputError, InputErrors};
pub use lists::workspaces;
pub(crate) use lists::{MAX_KEY_LENGTH, MAX_KEYS};
pub use parsed::Inputs;
pub use table::{INPUTS, InputSpec, OUTPUTS, OutputSpec, RemovedInput};
pub use types::{
    CacheFamily, CargoInputs, JobStatus, Mirror, Preset, RetentionInputs, Reuse, SaveCondition,
    SaveMode, Scope,
};
pub use values::{duration, size};
