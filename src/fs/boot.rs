//! The identity of the running system.

use std::fs;

/// The random identifier that the kernel gives each boot (`random(4)`). None if it can't be read.
pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}
