//! Documents agree with the code and with each other.

pub(crate) mod generated;
mod inputs;
mod links;
mod messages;
mod readme;
