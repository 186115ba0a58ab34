//! The disk guard: what it decides, as tables, and what it does on filesystems of its own.

mod decisions;
mod disks;
mod removals;
mod speed;
