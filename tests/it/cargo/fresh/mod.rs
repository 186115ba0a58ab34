//! A job with the cache ends like a job with an empty target directory, and compiles only what
//! changed. All through the program and the real cargo.

mod ending;
mod fuzz;
mod generated;
mod git;
mod interrupted;
mod links;
mod outputs;
mod places;
mod projects;
mod steps;
mod support;
mod times;
mod unseen;
mod vendored;
mod why;
