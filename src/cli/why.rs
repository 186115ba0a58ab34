//! `local-cache cargo why`: which units were fresh in the last restore, and which input decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::json;

use super::text::{Rendered, one_line};
use crate::job::UnitOutcome;

/// The units of one package, or of all.
pub(super) fn select(
    outcomes: Vec<UnitOutcome>,
    package: Option<&str>,
) -> Result<Vec<UnitOutcome>> {
    let Some(package) = package else {
        return Ok(outcomes);
    };
    let known: BTreeSet<String> = outcomes.iter().map(|it| it.package.clone()).collect();
    if !known.contains(package) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        bail!(
            "no package {package} was built; the packages are {}",
            known.join(", ")
        );
    }
    let selected = outcomes.into_iter().filter(|it| it.package == package);
    Ok(selected.collect())
}

pub(super) fn render(outcomes: &[UnitOutcome]) -> Rendered {
    let mut packages: BTreeMap<&str, Vec<&UnitOutcome>> = BTreeMap::new();
    for outcome in outcomes {
        packages.entry(&outcome.package).or_default().push(outcome);
    }
    let mut text = String::new();
    for (package, units) in packages {
        let stale: Vec<(&str, &str)> = units
            .iter()
            .filter_map(|outcome| Some((&*outcome.unit, outcome.reason.as_deref()?)))
            .collect();
        // Writing to a string does not fail.
        let _ = match stale.len() {
            0 => writeln!(text, "{package}: fresh"),
            _ => writeln!(text, "{package}: compiled again"),
        };
        for (unit, reason) in stale {
            let _ = writeln!(text, "  {unit}: {}", one_line(reason));
        }
    }
    (text, json!(outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(package: &str, unit: &str, reason: Option<&str>) -> UnitOutcome {
        UnitOutcome {
            package: package.to_owned(),
            unit: unit.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn stale_units_are_listed_below_their_package() {
        let outcomes = vec![
            outcome("api", "bin-api", None),
            outcome("api", "lib-api", Some("src/lib.rs changed")),
            outcome("core", "lib-core", None),
        ];
        assert_eq!(
            render(&outcomes).0,
            "api: compiled again\n  lib-api: src/lib.rs changed\ncore: fresh\n"
        );
        let core = select(outcomes.clone(), Some("core")).unwrap();
        assert_eq!(render(&core).0, "core: fresh\n");
        let error = select(outcomes, Some("cor")).unwrap_err().to_string();
        assert_eq!(
            error,
            "no package cor was built; the packages are api, core"
        );
    }
}
