//! The name under which a restore leaves its note, and the outcomes of units in a note.

use std::path::{Path, PathBuf};

use crate::cargo::freshness::note::RestoreNote;
use crate::error::Result;
use crate::fs::Namespace;
use crate::job::cargo::build_dirs::BuildDirs;
use crate::job::reply::UnitOutcome;

/// The name under which a restore leaves its note: that of the target directory. The first root of
/// an entry may be another directory, because its roots are sorted.
pub(super) fn noted_as(namespace: &dyn Namespace, dirs: &BuildDirs) -> Result<PathBuf> {
    namespace.real_name(dirs.target()?)
}

/// The outcomes of all units in a note.
pub(super) fn unit_outcomes(
    note: &RestoreNote,
    checkout: &Path,
) -> impl Iterator<Item = UnitOutcome> {
    note.outcomes().map(|(label, reason)| {
        let (package, unit) = label.split_once(" (").unwrap_or((label, ""));
        UnitOutcome {
            package: package.to_owned(),
            unit: unit.strip_suffix(')').unwrap_or(unit).to_owned(),
            reason: reason.map(|reason| relative_reason(reason, checkout)),
        }
    })
}

/// A reason with its path relative to the checkout.
pub(super) fn relative_reason(reason: &str, checkout: &Path) -> String {
    let prefix = format!("{}/", checkout.display());
    match reason.strip_prefix(&prefix) {
        Some(rest) => rest.to_owned(),
        None => reason.replacen(&format!(" {prefix}"), " ", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_below_the_checkout_becomes_relative() {
        let cases = [
            ("/w/src/lib.rs changed", "src/lib.rs changed"),
            ("/home/w/src/lib.rs changed", "/home/w/src/lib.rs changed"),
            ("/w2/a is new", "/w2/a is new"),
            (
                "cannot open /w/a: permission denied",
                "cannot open a: permission denied",
            ),
            ("freshness is off", "freshness is off"),
        ];
        for (reason, expected) in cases {
            assert_eq!(relative_reason(reason, Path::new("/w")), expected);
        }
    }
}
