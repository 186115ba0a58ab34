//! Directory trees: scan, manifest, restore.

mod changing_files;
mod manifest;
mod mirror;
mod restore_over;
mod round_trip;
mod skipped_files;
