//! Documents agree with the code and with each other.

mod links;
mod messages;
mod readme;
