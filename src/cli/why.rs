//! `local-cache cargo why`: which units were fresh in the last restore, and which input decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::text::{Rendered, age_of, one_line};
use crate::job::{TargetOutcome, UnitOutcome};

/// The units of one package, or of all.
pub(super) fn select(
    mut targets: Vec<TargetOutcome>,
    package: Option<&str>,
) -> Result<Vec<TargetOutcome>> {
    let Some(package) = package else {
        return Ok(targets);
    };
    let units = targets.iter().flat_map(|target| &target.units);
    let known: BTreeSet<&str> = units.map(|unit| unit.package.as_str()).collect();
    if !known.contains(package) {
        let known: Vec<&str> = known.into_iter().collect();
        bail!(
            "the last restore has no units of a package {package}; name one of these: {}",
            known.join(", ")
        );
    }
    for target in &mut targets {
        target.units.retain(|unit| unit.package == package);
    }
    targets.retain(|target| !target.units.is_empty());
    Ok(targets)
}

pub(super) fn render(targets: &[TargetOutcome]) -> Rendered {
    let mut text = String::new();
    for target in targets {
        write_target(&mut text, target);
    }
    let targets: Vec<Value> = targets.iter().map(target_json).collect();
    (text, json!({ "targets": targets }))
}

fn write_target(text: &mut String, target: &TargetOutcome) {
    let mut packages: BTreeMap<&str, Vec<&UnitOutcome>> = BTreeMap::new();
    for unit in &target.units {
        packages.entry(&unit.package).or_default().push(unit);
    }
    let directory = one_line(&target.directory.display().to_string());
    // Writing to a string does not fail.
    let _ = writeln!(text, "🚀 {directory}: restored {} ago", age_of(target.time));
    if packages.is_empty() {
        let _ = writeln!(text, "no units of the workspace");
    }
    for (package, units) in packages {
        if units.iter().all(|unit| unit.reason.is_none()) {
            let _ = writeln!(text, "{package}: fresh");
            continue;
        }
        let _ = writeln!(text, "{package}: compiled again");
        for unit in units {
            let reason = one_line(unit.reason.as_deref().unwrap_or("fresh"));
            let _ = writeln!(text, "  {}: {reason}", unit.unit);
        }
    }
}

fn target_json(target: &TargetOutcome) -> Value {
    json!({
        "directory": target.directory.display().to_string(),
        "restored": target.time.seconds,
        "units": target.units,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Timestamp;

    fn unit(package: &str, unit: &str, reason: Option<&str>) -> UnitOutcome {
        UnitOutcome {
            package: package.to_owned(),
            unit: unit.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }

    fn target(directory: &str, units: Vec<UnitOutcome>) -> TargetOutcome {
        TargetOutcome {
            directory: directory.into(),
            time: Timestamp::now(),
            units,
        }
    }

    #[test]
    fn all_units_of_a_package_that_is_not_fresh_are_listed_below_it() {
        let api = vec![
            unit("api", "bin-api", None),
            unit("api", "lib-api", Some("src/lib.rs changed")),
            unit("core", "lib-core", None),
        ];
        let targets = vec![target("target", api), target("b/target", Vec::new())];
        assert_eq!(
            render(&targets).0,
            "🚀 target: restored 0 s ago\napi: compiled again\n  bin-api: fresh\n  \
             lib-api: src/lib.rs changed\ncore: fresh\n\
             🚀 b/target: restored 0 s ago\nno units of the workspace\n"
        );
    }

    #[test]
    fn a_package_is_selected_in_all_target_directories_that_have_it() {
        let both = vec![unit("api", "lib-api", None), unit("core", "lib-core", None)];
        let one = vec![unit("core", "lib-core", None)];
        let targets = vec![target("a", both), target("b", one)];
        let directories = |package| {
            let selected = select(targets.clone(), Some(package)).unwrap();
            let names = selected.iter().map(|it| it.directory.display().to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(directories("core"), ["a", "b"]);
        assert_eq!(directories("api"), ["a"]);
        let error = select(targets.clone(), Some("cor")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the last restore has no units of a package cor; name one of these: api, core"
        );
    }
}
