//! Documents agree with the code and with each other.

mod administration;
mod architecture;
pub(crate) mod generated;
mod inputs;
pub(crate) mod json_output;
mod links;
mod messages;
mod prose;
mod readme;
