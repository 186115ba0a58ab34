//! Steps written for actions/cache, run through the phases of the program as the runner runs them.
//!
//! README.md beside this file says which point of the list of public steps is covered by which test.

mod act;
mod disk;
mod exclusions;
mod isolation;
mod keys;
mod matching;
mod outputs;
mod paths;
mod saving;
mod step;
mod steps;
mod steps_paths;
mod support;
mod validation;
