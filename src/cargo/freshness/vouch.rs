//! Decides at save which units the entry vouches for (pure).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::fs::Timestamp;

use super::may_write::ScriptedPackages;
use super::save_facts::{PathPlace, SaveFacts, UnitFact};

/// Why a unit is not vouched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: Option<String>,
    /// A reason that only counts where cargo's own list of inputs is not trusted to be complete.
    pub(crate) safe_reason: Option<String>,
}

/// Decides about all units.
pub(crate) fn vouch(units: &[&UnitFact], facts: &SaveFacts) -> Vec<Verdict> {
    let generated = Generated::find(units, facts);
    let decide = |unit: &&UnitFact| Verdict {
        reason: reason(unit, facts, &generated).err(),
        safe_reason: safe_reason(unit, facts).err(),
    };
    units.iter().map(decide).collect()
}

/// Inputs that something wrote after the first build began, or removed after the build of the unit
/// that read them. Any build script may have written them.
#[derive(Default)]
struct Generated {
    in_packages: HashMap<usize, PathBuf>,
    /// Perhaps by any build script.
    anywhere: Option<PathBuf>,
}

impl Generated {
    fn find(units: &[&UnitFact], facts: &SaveFacts) -> Self {
        let mut found = Self::default();
        let scripted = ScriptedPackages::of(units);
        let written: HashSet<&PathBuf> = units.iter().flat_map(|unit| &unit.written).collect();
        let inputs = units.iter().flat_map(|unit| {
            let inputs = unit.inputs.iter();
            inputs.map(|input| (input, unit.is_build_script_run))
        });
        for (input, of_build_script) in inputs {
            let Some(fact) = facts.paths.get(input) else {
                continue;
            };
            let is_late = match fact.changed {
                Some(changed) => facts.first_build.is_some_and(|first| changed >= first),
                // A build script can watch for a file that never existed.
                None => !of_build_script,
            };
            // What a build script wrote while it ran counts as its output.
            if !is_late || written.contains(input) {
                continue;
            }
            match fact.place {
                // What is gone may have been made by the script of another package.
                PathPlace::Package(_)
                    if fact.changed.is_none() && scripted.writer(fact.place).is_none() =>
                {
                    found.anywhere = Some(input.clone());
                }
                PathPlace::Package(package) => {
                    found.in_packages.insert(package, input.clone());
                }
                PathPlace::OutsideOfPackages => found.anywhere = Some(input.clone()),
                PathPlace::OutDir | PathPlace::TargetDir => {}
            }
        }
        found
    }

    fn around(&self, package: Option<usize>) -> Option<&Path> {
        let in_package = package.and_then(|package| self.in_packages.get(&package));
        in_package.or(self.anywhere.as_ref()).map(PathBuf::as_path)
    }
}

fn reason(unit: &UnitFact, facts: &SaveFacts, generated: &Generated) -> Result<(), String> {
    if let Some(defect) = &unit.defect {
        return Err(defect.clone());
    }
    let started = unit
        .started
        .ok_or("cargo's record of when its build began is missing")?;
    if unit.package.is_none() && !unit.is_downloaded {
        return Err("no manifest of its package was found".to_owned());
    }
    if facts.clock_changed && !unit.is_restored {
        return Err("the clock was changed during the job".to_owned());
    }
    if let Some((built, dependency)) = &unit.newest_dependency
        && *built > started
    {
        return Err(format!("its dependency {dependency} was built after it"));
    }
    for input in &unit.inputs {
        check_input(input, started, facts)?;
    }
    check_outputs(unit, facts)?;
    if let Some(newest) = unit.newest {
        let now = unit
            .package
            .and_then(|package| facts.newest_mtimes[package]);
        if now != Some(newest) {
            return Err("files of its package changed after it was built".to_owned());
        }
    }
    if unit.is_build_script_run {
        check_build_script(unit, started, facts, generated)?;
    }
    Ok(())
}

/// A file that is missing now cannot be compared by a restore.
fn check_outputs(unit: &UnitFact, facts: &SaveFacts) -> Result<(), String> {
    let is_known = |path: &&PathBuf| {
        let fact = facts.listed(path);
        fact.is_some_and(|fact| fact.state.is_ok())
    };
    let written = unit.written.iter().map(|path| (path, "was"));
    let perhaps = unit.may_have_written.iter().chain(&unit.may_have_made);
    let perhaps = perhaps.map(|path| (path, "was perhaps"));
    match written.chain(perhaps).find(|(path, _)| !is_known(path)) {
        None => Ok(()),
        Some((path, was)) => Err(format!(
            "{} {was} written by it and removed",
            path.display()
        )),
    }
}

fn check_input(input: &Path, started: Timestamp, facts: &SaveFacts) -> Result<(), String> {
    let name = input.display();
    let fact = facts
        .paths
        .get(input)
        .ok_or_else(|| format!("{name} was not looked at"))?;
    let Some(changed) = fact.changed else {
        return Err(format!("{name} does not exist"));
    };
    match fact.place {
        PathPlace::TargetDir => Err(format!("{name} lies in a target directory")),
        // A restore gives it a later ctime.
        PathPlace::OutDir if fact.mtime > started => {
            Err(format!("{name} changed after the build began"))
        }
        PathPlace::OutDir => Ok(()),
        _ if changed >= started => Err(format!("{name} changed after the build began")),
        _ => fact.state.as_ref().map(|_| ()).map_err(Clone::clone),
    }
}

fn check_build_script(
    unit: &UnitFact,
    started: Timestamp,
    facts: &SaveFacts,
    generated: &Generated,
) -> Result<(), String> {
    if unit.is_downloaded {
        return Err("it belongs to a downloaded package that depends on a local one".to_owned());
    }
    if let Some(input) = generated.around(unit.package) {
        return Err(format!(
            "{} was written or removed during the job, perhaps by it",
            input.display()
        ));
    }
    let commit_changed = facts
        .commit_changed
        .is_some_and(|changed| changed >= started);
    if commit_changed && !unit.is_restored {
        return Err("the commit was changed after it ran, or is unknown".to_owned());
    }
    Ok(())
}

fn safe_reason(unit: &UnitFact, facts: &SaveFacts) -> Result<(), String> {
    let Some(started) = unit.started.filter(|_| !unit.is_downloaded) else {
        return Ok(());
    };
    let of_package = unit
        .package
        .and_then(|package| facts.newest_changes[package].as_ref());
    for (name, changed) in of_package.into_iter().chain(&facts.newest_outside) {
        if *changed >= started {
            return Err(format!("{} changed after the build began", name.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::contents::{ContentId, FileState};
    use super::super::save_facts::PathFact;
    use super::*;
    use crate::digest::Digest;

    fn at(seconds: i64) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds: 0,
        }
    }

    fn fact(changed: i64, place: PathPlace) -> PathFact {
        PathFact {
            changed: Some(at(changed)),
            mtime: at(changed),
            place,
            generated: None,
            state: Ok(FileState {
                content: ContentId::Bytes(Digest::of(b"text")),
                size: 4,
                is_executable: false,
            }),
        }
    }

    /// A unit that began at 10 and read a file that changed at 5.
    fn unit() -> UnitFact {
        UnitFact {
            package: Some(0),
            started: Some(at(10)),
            inputs: vec!["/w/src/lib.rs".into()],
            ..UnitFact::default()
        }
    }

    fn facts() -> SaveFacts {
        SaveFacts {
            paths: HashMap::from([("/w/src/lib.rs".into(), fact(5, PathPlace::Package(0)))]),
            first_build: Some(at(8)),
            newest_changes: vec![Some(("/w/src/lib.rs".into(), at(5)))],
            newest_mtimes: vec![Some(at(5))],
            ..SaveFacts::default()
        }
    }

    fn verdict(change: impl FnOnce(&mut UnitFact, &mut SaveFacts)) -> Verdict {
        let (mut unit, mut facts) = (unit(), facts());
        change(&mut unit, &mut facts);
        vouch(&[&unit], &facts).remove(0)
    }

    #[test]
    fn a_unit_is_vouched_for_if_nothing_that_it_read_changed_since_its_build_began() {
        type Change = fn(&mut UnitFact, &mut SaveFacts);
        assert_eq!(verdict(|_, _| ()), Verdict::default());
        let changes: [(&str, Change); 13] = [
            ("changed after the build began", |_, facts| {
                facts
                    .paths
                    .insert("/w/src/lib.rs".into(), fact(10, PathPlace::Package(0)));
            }),
            ("does not exist", |_, facts| {
                facts
                    .paths
                    .get_mut(Path::new("/w/src/lib.rs"))
                    .unwrap()
                    .changed = None;
            }),
            ("lies in a target directory", |_, facts| {
                facts
                    .paths
                    .insert("/w/src/lib.rs".into(), fact(5, PathPlace::TargetDir));
            }),
            ("may not be read", |_, facts| {
                let fact = facts.paths.get_mut(Path::new("/w/src/lib.rs")).unwrap();
                fact.state = Err("may not be read".to_owned());
            }),
            ("was not looked at", |_, facts| facts.paths.clear()),
            ("a defect", |unit, _| {
                unit.defect = Some("a defect".to_owned());
            }),
            ("when its build began", |unit, _| {
                unit.started = None;
            }),
            ("no manifest", |unit, _| {
                unit.package = None;
            }),
            ("the clock was changed", |_, facts| {
                facts.clock_changed = true;
            }),
            ("files of its package changed", |unit, _| {
                unit.newest = Some(at(4));
            }),
            ("its dependency shared was built after it", |unit, _| {
                unit.newest_dependency = Some((at(11), "shared".to_owned()));
            }),
            ("was written by it and removed", |unit, _| {
                unit.written.push("/w/made.rs".into());
            }),
            ("was perhaps written by it and removed", |unit, _| {
                unit.may_have_made.push("/w/made.rs".into());
            }),
        ];
        for (expected, change) in changes {
            let reason = verdict(change).reason.unwrap_or_default();
            assert!(reason.contains(expected), "{expected}: {reason}");
        }
    }

    #[test]
    fn a_build_script_is_vouched_for_only_if_it_surely_wrote_no_input() {
        let script = |unit: &mut UnitFact| unit.is_build_script_run = true;
        assert_eq!(verdict(|unit, _| script(unit)).reason, None);
        let of_late_input = |place, is_written: bool| {
            verdict(|unit, facts| {
                script(unit);
                let late = PathBuf::from("/w/src/made.rs");
                facts.paths.insert(late.clone(), fact(9, place));
                unit.inputs.push(late.clone());
                if is_written {
                    unit.written.push(late);
                }
            })
            .reason
        };
        assert!(of_late_input(PathPlace::Package(0), false).is_some());
        assert!(of_late_input(PathPlace::OutsideOfPackages, false).is_some());
        assert_eq!(of_late_input(PathPlace::Package(1), false), None);
        assert_eq!(of_late_input(PathPlace::Package(0), true), None);
        let later_commit = verdict(|unit, facts| {
            script(unit);
            facts.commit_changed = Some(at(10));
        });
        assert!(later_commit.reason.is_some());
    }

    #[test]
    fn other_files_of_the_project_count_only_where_cargo_is_not_trusted() {
        for outside in [false, true] {
            let verdict = verdict(|_, facts| {
                let change = Some((PathBuf::from("/w/clippy.toml"), at(10)));
                if outside {
                    facts.newest_outside = change;
                } else {
                    facts.newest_changes = vec![change];
                }
            });
            assert_eq!(verdict.reason, None);
            let reason = verdict.safe_reason.unwrap();
            assert_eq!(reason, "/w/clippy.toml changed after the build began");
        }
    }
}
