//! Decides which files of a checkout each build script may have written (pure).
//!
//! A file that changed while a build script ran is known to be its output ([`super::written`]). This
//! does not find a file that another run of the script wrote again later (for another profile, or
//! with other features), nor one that the script found with the right contents and did not write.
//! Both are missing in the next checkout, and only a run of the script writes them there. So such a
//! file counts as an output of each run that may have written it, and the run is fresh only where
//! the file is as it was:
//!
//! - What one run of a package's build script wrote, its other runs may have written.
//! - What a unit read, and git did not check out, the build script of the package around the file
//!   may have written, or any other one if that package has none. This is not assumed of a file whose
//!   writer is known.
//!
//! In a checkout that git did not make, each source may be such a file. A script of another package
//! then counts as its writer only where the file is missing: otherwise each change of a source would
//! run all build scripts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::save_facts::{PathPlace, SaveFacts, UnitFact};

/// What a build script may have written besides what it is known to have written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PossibleOutputs {
    pub(crate) written: Vec<PathBuf>,
    /// Only if the checkout did not bring them.
    pub(crate) made: Vec<PathBuf>,
}

/// The possible outputs of each unit. There are none of units that are no runs of build scripts.
pub(crate) fn possible_outputs(units: &[&UnitFact], facts: &SaveFacts) -> Vec<PossibleOutputs> {
    let candidates = Candidates::find(units, facts);
    units
        .iter()
        .map(
            |unit| match unit.package.filter(|_| unit.may_write_sources()) {
                Some(package) => candidates.of_run(package, unit),
                None => PossibleOutputs::default(),
            },
        )
        .collect()
}

/// The packages of which a build script ran.
pub(super) struct ScriptedPackages(HashSet<usize>);

impl ScriptedPackages {
    pub(super) fn of(units: &[&UnitFact]) -> Self {
        let runs = units.iter().filter(|unit| unit.may_write_sources());
        Self(runs.filter_map(|run| run.package).collect())
    }

    /// The package whose build script may have written a file at a place; none if it may have been
    /// any.
    pub(super) fn writer(&self, place: PathPlace) -> Option<usize> {
        match place {
            PathPlace::Package(package) => Some(package).filter(|it| self.0.contains(it)),
            PathPlace::OutsideOfPackages | PathPlace::OutDir | PathPlace::TargetDir => None,
        }
    }
}

#[derive(Default)]
struct Candidates<'u> {
    of_packages: HashMap<usize, BTreeSet<&'u Path>>,
    of_all: BTreeSet<&'u Path>,
    made: BTreeSet<&'u Path>,
}

impl<'u> Candidates<'u> {
    fn find(units: &[&'u UnitFact], facts: &'u SaveFacts) -> Self {
        let mut found = Self::default();
        let scripted = ScriptedPackages::of(units);
        let mut written: HashSet<&Path> = HashSet::new();
        for run in units.iter().filter(|unit| unit.may_write_sources()) {
            written.extend(run.written.iter().map(PathBuf::as_path));
            // The unit that read it may be gone from the target directory.
            found
                .made
                .extend(run.may_have_made.iter().map(PathBuf::as_path));
            if let Some(package) = run.package {
                let paths = run.written.iter().chain(&run.may_have_written);
                let of_package = found.of_packages.entry(package).or_default();
                of_package.extend(paths.map(PathBuf::as_path));
            }
        }
        for input in units.iter().flat_map(|unit| &unit.inputs) {
            let Some(generated) = facts
                .paths
                .get(input)
                .and_then(|fact| fact.generated.as_ref())
            else {
                continue;
            };
            if written.contains(&*generated.name) {
                continue;
            }
            let candidates = match scripted.writer(generated.place) {
                Some(package) => found.of_packages.entry(package).or_default(),
                None if generated.is_certain => &mut found.of_all,
                None => &mut found.made,
            };
            candidates.insert(input);
        }
        found
    }

    fn of_run(&self, package: usize, run: &UnitFact) -> PossibleOutputs {
        let of_package = self.of_packages.get(&package);
        let written: BTreeSet<&Path> = of_package
            .into_iter()
            .flatten()
            .chain(&self.of_all)
            .copied()
            .filter(|path| !run.written.iter().any(|written| written == path))
            .collect();
        PossibleOutputs {
            written: written.into_iter().map(Path::to_owned).collect(),
            made: self.made.iter().copied().map(Path::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::save_facts::{GeneratedFile, PathFact};
    use super::*;
    use crate::fs::Timestamp;

    fn run(package: usize) -> UnitFact {
        UnitFact {
            package: Some(package),
            is_build_script_run: true,
            ..UnitFact::default()
        }
    }

    fn library(package: usize, input: &str) -> UnitFact {
        UnitFact {
            package: Some(package),
            inputs: vec![input.into()],
            ..UnitFact::default()
        }
    }

    /// Facts about paths that git did not check out, surely or perhaps.
    fn generated(paths: &[(&str, PathPlace)], is_certain: bool) -> SaveFacts {
        let paths = paths.iter().map(|(path, place)| {
            let fact = PathFact {
                changed: Some(Timestamp::MIN),
                mtime: Timestamp::MIN,
                place: *place,
                generated: Some(GeneratedFile {
                    name: path.into(),
                    place: *place,
                    is_certain,
                }),
                state: Err("not read".to_owned()),
            };
            (path.into(), fact)
        });
        SaveFacts {
            paths: paths.collect(),
            ..SaveFacts::default()
        }
    }

    fn outputs(units: &[UnitFact], facts: &SaveFacts) -> Vec<PossibleOutputs> {
        let units: Vec<_> = units.iter().collect();
        possible_outputs(&units, facts)
    }

    /// What the units may have written, without what they may have made.
    fn found(units: &[UnitFact], facts: &SaveFacts) -> Vec<Vec<String>> {
        let names = |found: PossibleOutputs| {
            let paths = found.written.iter();
            paths.map(|path| path.display().to_string()).collect()
        };
        outputs(units, facts).into_iter().map(names).collect()
    }

    #[test]
    fn other_runs_of_a_package_may_have_written_what_one_of_them_wrote() {
        let mut release = run(0);
        release.written = vec!["/w/a/generated.rs".into()];
        let mut restored = run(0);
        restored.may_have_written = vec!["/w/a/earlier.rs".into()];
        let of_a = ["/w/a/earlier.rs", "/w/a/generated.rs"].map(str::to_owned);
        assert_eq!(
            found(&[run(0), release, run(1), restored], &SaveFacts::default()),
            [&of_a[..], &of_a[..1], &[], &of_a]
        );
    }

    #[test]
    fn what_git_did_not_check_out_was_perhaps_written_by_a_script_of_its_package() {
        let paths = [
            ("/w/a/generated.rs", PathPlace::Package(0)),
            ("/w/made.txt", PathPlace::OutsideOfPackages),
            ("/w/no-script/generated.rs", PathPlace::Package(2)),
        ];
        let facts = generated(&paths, true);
        let read = [
            "/w/a/generated.rs",
            "/w/made.txt",
            "/w/no-script/generated.rs",
            "/w/a/lib.rs",
        ];
        let mut units: Vec<_> = read.map(|path| library(1, path)).into();
        units.extend([run(0), run(1)]);
        let found = found(&units, &facts);
        assert!(found[..4].iter().all(Vec::is_empty));
        let of_all = ["/w/made.txt", "/w/no-script/generated.rs"].map(str::to_owned);
        assert_eq!(
            found[4],
            [&["/w/a/generated.rs".to_owned()], &of_all[..]].concat()
        );
        assert_eq!(found[5], of_all);

        // Without git, the scripts of other packages write only what is missing.
        let outputs = outputs(&units, &generated(&paths, false));
        assert_eq!(outputs[4].written, ["/w/a/generated.rs"].map(PathBuf::from));
        assert_eq!(outputs[5].written, [""; 0].map(PathBuf::from));
        assert_eq!(outputs[4].made, of_all.map(PathBuf::from));
        assert_eq!(outputs[5].made, outputs[4].made);
        // That stays so when the units that read it are gone.
        units[4].may_have_made = outputs[4].made.clone();
        let later = possible_outputs(&[&units[4]], &SaveFacts::default());
        assert_eq!(later[0].made, outputs[4].made);
    }

    #[test]
    fn a_file_with_a_known_writer_concerns_no_other_package() {
        let facts = generated(&[("/w/made.txt", PathPlace::OutsideOfPackages)], true);
        let mut writer = run(0);
        writer.written = vec!["/w/made.txt".into()];
        let found = found(&[library(1, "/w/made.txt"), writer, run(1), run(0)], &facts);
        assert_eq!(found[2], [""; 0]);
        assert_eq!(found[3], ["/w/made.txt"]);
    }
}
