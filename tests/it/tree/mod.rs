//! Directory trees: scan, manifest, restore.

mod changing_files;
mod failures;
mod manifest;
mod mirror;
mod restore_over;
mod returned_states;
mod round_trip;
mod skipped_files;
