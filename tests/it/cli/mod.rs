//! The command line.

mod bad_input;
