//! Makes the record of an entry from what was collected at the save.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::at_save::Collected;
use super::contents::FileState;
use super::note::LastRestore;
use super::record::{FileNumber, FileTable, FreshnessRecord, RecordedPackage, RecordedUnit};
use super::save_facts::PathFact;
use super::unit_fact::CollectedUnit;
use super::vouch::{Verdict, vouch};
use crate::cargo::freshness::packages::PathPackage;
use crate::error::Result;
use crate::fs::{FileKind, files};

/// A larger output of a build script counts as one that contains the commit, in bytes.
const SEARCH_LIMIT: u64 = 16 << 20;
/// How many digits identify a commit. Git's own short ids have at least as many.
const SHORT_ID: usize = 7;

/// Judges the collected units, and records them with the state of what they read.
pub(crate) fn new_record(
    collected: &Collected<'_>,
    packages: &[PathPackage],
    restored: &LastRestore,
) -> FreshnessRecord {
    let units: Vec<_> = collected.units.iter().map(|unit| &unit.fact).collect();
    let verdicts = vouch(&units, &collected.facts);
    let mut writer = RecordWriter {
        collected,
        table: FileTable::default(),
        record: FreshnessRecord {
            products: collected.products.iter().cloned().collect(),
            ..FreshnessRecord::default()
        },
    };
    for (number, package) in packages.iter().enumerate() {
        writer.add_package(number, package);
    }
    writer.record.outside = writer.listed(collected.counted(collected.files.outside.iter()));
    writer.record.named = writer.numbers(collected.named.iter());
    let mut contains_commit = false;
    for (unit, verdict) in collected.units.iter().zip(verdicts) {
        let unit = writer.unit(unit, verdict, restored);
        contains_commit |= unit.contains_commit;
        writer.record.units.push(unit);
    }
    let mut record = writer.record;
    record.commit = collected.commit.clone().filter(|_| contains_commit);
    record.files = writer.table.into_files();
    record
}

fn known_state(fact: Option<&PathFact>) -> Option<FileState> {
    fact?.state.as_ref().ok().copied()
}

struct RecordWriter<'c, 't> {
    collected: &'c Collected<'t>,
    table: FileTable,
    record: FreshnessRecord,
}

impl RecordWriter<'_, '_> {
    /// The numbers of what paths lead to, if that is known.
    fn numbers<'n>(&mut self, names: impl Iterator<Item = &'n PathBuf>) -> Vec<FileNumber> {
        let facts = &self.collected.facts;
        let number =
            |name: &'n PathBuf| Some(self.table.number(name, known_state(facts.paths.get(name))?));
        names.filter_map(number).collect()
    }

    /// The numbers of files of the checkout, if their states are known.
    fn listed<'n>(&mut self, names: impl Iterator<Item = &'n PathBuf>) -> Vec<FileNumber> {
        let facts = &self.collected.facts;
        let number =
            |name: &'n PathBuf| Some(self.table.number(name, known_state(facts.listed(name))?));
        names.filter_map(number).collect()
    }

    fn add_package(&mut self, number: usize, package: &PathPackage) {
        let names = &self.collected.files.of_packages[number];
        let compares_newest = self
            .collected
            .units
            .iter()
            .any(|unit| unit.fact.package == Some(number) && unit.fact.newest.is_some());
        let mut times = Vec::new();
        // Cargo follows symlinks, so their own times do not count.
        let is_timed = |name: &&PathBuf| compares_newest && !self.collected.files.is_link(name);
        for name in names.iter().filter(is_timed) {
            let mtime = self.collected.files.files[name].stat.mtime;
            let numbers = self.listed(std::iter::once(name));
            times.extend(numbers.into_iter().map(|number| (number, mtime)));
        }
        let package = RecordedPackage {
            name: package.name.clone(),
            directory: package.directory.clone(),
            files: self.listed(self.collected.counted(self.collected.files.seen_by(number))),
            times,
        };
        self.record.packages.push(package);
    }

    fn unit(
        &mut self,
        unit: &CollectedUnit<'_>,
        verdict: Verdict,
        restored: &LastRestore,
    ) -> RecordedUnit {
        let fact = &unit.fact;
        let artifacts = unit.unit.units.iter().flat_map(|unit| &unit.artifacts);
        let mut artifacts: Vec<PathBuf> = artifacts.map(|path| unit.relative(path)).collect();
        artifacts.extend(documentation(unit));
        artifacts.sort_unstable();
        artifacts.dedup();
        let directory = unit.directory();
        let records = match verdict.reason {
            None => read_records(&unit.unit.profile.join(unit.unit.record_dir())),
            Some(_) => Ok(Vec::new()),
        };
        // The other units stay fresh.
        let unreadable = records.as_ref().err().map(|error| error.to_string());
        let contains_commit = fact.is_build_script_run
            && match earlier(restored, unit) {
                Some(earlier) if fact.is_restored => earlier.contains_commit,
                // What cannot be read may contain it.
                _ => self.contains_commit(unit).unwrap_or(true),
            };
        RecordedUnit {
            label: unit.unit.label(),
            root: unit.place.root_name.clone(),
            directory,
            package: fact.package.and_then(|number| u32::try_from(number).ok()),
            profile: unit.relative(Path::new("")).components().collect(),
            crate_root: self.crate_root(unit),
            is_build_script_run: fact.is_build_script_run,
            inputs: self.numbers(fact.inputs.iter()),
            written: self.listed(fact.written.iter()),
            may_have_written: self.listed(fact.may_have_written.iter()),
            may_have_made: self.listed(fact.may_have_made.iter()),
            compares_newest: fact.newest.is_some(),
            contains_commit,
            artifacts,
            records: records.unwrap_or_default(),
            reason: verdict.reason.or(unreadable),
            safe_reason: verdict.safe_reason,
        }
    }

    fn crate_root(&mut self, unit: &CollectedUnit<'_>) -> Option<(String, FileNumber)> {
        let name = unit.unit.units.first()?.crate_name()?;
        let numbers = self.numbers(unit.fact.crate_root.iter());
        Some((name, *numbers.first()?))
    }

    /// Whether what a build script printed, or a file in its `OUT_DIR`, contains the commit's id.
    fn contains_commit(&self, unit: &CollectedUnit<'_>) -> Result<bool> {
        let Some(id) = self
            .collected
            .commit
            .as_ref()
            .and_then(|id| id.get(..SHORT_ID))
        else {
            return Ok(false);
        };
        let finder = memchr::memmem::Finder::new(id);
        let artifacts = unit.unit.units.iter().flat_map(|unit| &unit.artifacts);
        let mut waiting: Vec<PathBuf> =
            artifacts.map(|path| unit.unit.profile.join(path)).collect();
        waiting.extend(out_dir(&waiting));
        while let Some(path) = waiting.pop() {
            let Some(stat) = files::stat_link(&path)? else {
                continue;
            };
            match stat.kind {
                FileKind::Directory => {
                    waiting.extend(files::list(&path)?.into_iter().map(|name| path.join(name)));
                }
                FileKind::File if stat.size > SEARCH_LIMIT => return Ok(true),
                FileKind::File if finder.find(&files::read(&path)?).is_some() => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// The `OUT_DIR` of a build script, by the files that cargo keeps of its run: beside them, or
/// beside their directory.
fn out_dir(files: &[PathBuf]) -> Option<PathBuf> {
    let directory = files.first()?.parent()?;
    let is_run = directory.file_name().is_some_and(|name| name == "run");
    let parent = if is_run {
        directory.parent()?
    } else {
        directory
    };
    Some(parent.join("out"))
}

/// The page that cargo takes for the output of `rustdoc`.
fn documentation(unit: &CollectedUnit<'_>) -> Option<PathBuf> {
    let profile = unit.relative(Path::new(""));
    let mut names = unit
        .unit
        .units
        .iter()
        .filter_map(|unit| unit.name.strip_prefix("doc-"));
    let name = names.next_back()?.split_once('-')?.1.replace('-', "_");
    Some(profile.parent()?.join("doc").join(name).join("index.html"))
}

fn earlier<'r>(restored: &'r LastRestore, unit: &CollectedUnit<'_>) -> Option<&'r RecordedUnit> {
    let record = restored.record.as_ref()?;
    record.unit(&unit.place.root_name, &unit.directory())
}

fn read_records(directory: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut records = Vec::new();
    for name in files::list(directory)? {
        if let Ok(name) = name.into_string() {
            let bytes = files::read(&directory.join(&name))?;
            records.push((name, bytes));
        }
    }
    Ok(records)
}

/// A unit that this job may have used although its source was another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaleInput {
    pub(crate) unit: String,
    pub(crate) input: PathBuf,
}

/// Finds restored units whose inputs changed since with times that cargo could not notice.
pub(crate) fn find_stale(
    collected: &Collected<'_>,
    restored: &LastRestore,
    is_still: &dyn Fn(&super::record::RecordedFile) -> bool,
) -> Vec<StaleInput> {
    let (Some(note), Some(record)) = (&restored.note, &restored.record) else {
        return Vec::new();
    };
    let mut stale = Vec::new();
    let mut seen = HashSet::new();
    for unit in collected.units.iter().filter(|unit| unit.fact.is_restored) {
        let Some(earlier) = earlier(restored, unit) else {
            continue;
        };
        for number in &earlier.inputs {
            let file = record.file(*number);
            let Some(fact) = collected.facts.paths.get(&file.path) else {
                continue;
            };
            let is_changed = fact.changed.is_some_and(|changed| changed >= note.time);
            if is_changed
                && fact.mtime <= note.time
                && seen.insert((&earlier.label, &file.path))
                && !is_still(file)
            {
                stale.push(StaleInput {
                    unit: earlier.label.clone(),
                    input: file.path.clone(),
                });
            }
        }
    }
    stale
}
