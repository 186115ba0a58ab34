//! Decides at restore which units are fresh (pure).

use std::path::{Path, PathBuf};

use crate::cargo::freshness::mode::FreshnessMode;
use crate::fs::Timestamp;

use super::record::{FileNumber, FreshnessRecord, RecordedFile, RecordedUnit};

/// How a recorded path is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileNow {
    Same {
        /// When it, or the way to it, last changed.
        changed: Timestamp,
        mtime: Timestamp,
    },
    Different,
    Missing,
    /// Why it cannot be compared.
    Unreadable(String),
}

/// What the decision about each unit needs to know.
#[derive(Debug)]
pub(crate) struct RestoreFacts {
    /// In the order of the record.
    pub(crate) files: Vec<FileNow>,
    /// For each package, a file that the record does not have.
    pub(crate) new_in_packages: Vec<Option<PathBuf>>,
    pub(crate) new_outside: Option<PathBuf>,
    /// A path below those of the input `sources` that the record does not have.
    pub(crate) new_named: Option<PathBuf>,
    /// Whether some directories could not be read.
    pub(crate) is_incomplete: bool,
    pub(crate) commit: Option<String>,
    /// The time that fresh units will have.
    pub(crate) time: Timestamp,
}

impl RestoreFacts {
    pub(crate) fn is_missing(&self, number: FileNumber) -> bool {
        self.files[number.index()] == FileNow::Missing
    }

    /// Whether the sources are on a filesystem that stores times as whole seconds.
    pub(crate) fn has_whole_seconds(&self) -> bool {
        let mut times = self.files.iter().filter_map(|file| match file {
            FileNow::Same { changed, .. } => Some(changed),
            _ => None,
        });
        times.all(|changed| changed.nanoseconds == 0)
    }

    /// The files that are not as the record has them.
    pub(crate) fn different(&self) -> impl Iterator<Item = FileNumber> {
        let files = self.files.iter().enumerate();
        files
            .filter(|(_, file)| !matches!(file, FileNow::Same { .. }))
            .map(|(index, _)| FileNumber::of(index))
    }
}

/// Returns why each unit is not fresh; `None` for those that are.
pub(crate) fn decide(
    record: &FreshnessRecord,
    facts: &RestoreFacts,
    mode: FreshnessMode,
) -> Vec<Option<String>> {
    let judge = Judge { record, facts };
    let for_all = judge.reason_for_all(mode).err();
    let decide = |unit: &RecordedUnit| {
        let own = || judge.reason(unit, mode).err();
        for_all.clone().or_else(own)
    };
    record.units.iter().map(decide).collect()
}

struct Judge<'a> {
    record: &'a FreshnessRecord,
    facts: &'a RestoreFacts,
}

impl Judge<'_> {
    /// What makes all units stale.
    fn reason_for_all(&self, mode: FreshnessMode) -> Result<(), String> {
        if mode == FreshnessMode::Off {
            return Err("freshness is off".to_owned());
        }
        self.all_same(&self.record.named)?;
        is_new(self.facts.new_named.as_deref())?;
        if mode == FreshnessMode::Safe {
            if self.facts.is_incomplete {
                return Err("a directory of the checkout cannot be read".to_owned());
            }
            self.all_same(&self.record.outside)?;
            is_new(self.facts.new_outside.as_deref())?;
        }
        Ok(())
    }

    fn reason(&self, unit: &RecordedUnit, mode: FreshnessMode) -> Result<(), String> {
        if let Some(reason) = &unit.reason {
            return Err(reason.clone());
        }
        if unit.contains_commit && self.facts.commit != self.record.commit {
            return Err("its output contains the id of another commit".to_owned());
        }
        self.all_same(&unit.inputs)?;
        self.all_same(&unit.written)?;
        self.all_same(&unit.may_have_written)?;
        self.all_exist(&unit.may_have_made)?;
        let package = unit.package.map(|number| number as usize);
        if mode == FreshnessMode::Safe {
            if let Some(reason) = &unit.safe_reason {
                return Err(reason.clone());
            }
            if let Some(package) = package {
                self.all_same(&self.record.packages[package].files)?;
                is_new(self.facts.new_in_packages[package].as_deref())?;
            }
        }
        match package.filter(|_| unit.compares_newest) {
            Some(package) => self.can_give_times(package),
            None => Ok(()),
        }
    }

    fn all_same(&self, files: &[FileNumber]) -> Result<(), String> {
        files.iter().try_for_each(|number| {
            let name = self.record.file(*number).path.display();
            match &self.facts.files[number.index()] {
                FileNow::Same { changed, .. } if *changed >= self.facts.time => {
                    Err(format!("{name} has a time in the future"))
                }
                FileNow::Same { .. } => Ok(()),
                FileNow::Different => Err(format!("{name} changed")),
                FileNow::Missing => Err(format!("{name} does not exist")),
                FileNow::Unreadable(reason) => Err(reason.clone()),
            }
        })
    }

    fn all_exist(&self, files: &[FileNumber]) -> Result<(), String> {
        files.iter().try_for_each(|number| {
            let name = self.record.file(*number).path.display();
            match &self.facts.files[number.index()] {
                FileNow::Same { .. } | FileNow::Different => Ok(()),
                FileNow::Missing => Err(format!("{name} does not exist")),
                FileNow::Unreadable(reason) => Err(reason.clone()),
            }
        })
    }

    /// Whether the files of a package can be given their old times: all of them, or none, still
    /// have these. In a checkout where only some have, another target directory may have been built
    /// from other contents meanwhile, and would look fresh with the old times.
    fn can_give_times(&self, package: usize) -> Result<(), String> {
        let times = &self.record.packages[package].times;
        let numbers: Vec<FileNumber> = times.iter().map(|(number, _)| *number).collect();
        self.all_same(&numbers)?;
        let has_its_time = |(number, time): &&(FileNumber, Timestamp)| matches!(&self.facts.files[number.index()], FileNow::Same { mtime, .. } if mtime == time);
        let unchanged = times.iter().filter(has_its_time).count();
        if unchanged == 0 || unchanged == times.len() {
            Ok(())
        } else {
            Err("some files of its package have new times".to_owned())
        }
    }
}

fn is_new(name: Option<&Path>) -> Result<(), String> {
    match name {
        None => Ok(()),
        Some(name) => Err(format!("{} is new", name.display())),
    }
}

/// The files whose times have to be restored for the fresh units, with the times.
pub(crate) fn times_to_give<'r>(
    record: &'r FreshnessRecord,
    facts: &'r RestoreFacts,
    decisions: &[Option<String>],
) -> Vec<(&'r RecordedFile, Timestamp)> {
    let units = record.units.iter().zip(decisions);
    let fresh = units.filter(|(unit, reason)| reason.is_none() && unit.compares_newest);
    let mut packages: Vec<usize> = fresh
        .filter_map(|(unit, _)| Some(unit.package? as usize))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let times = packages
        .into_iter()
        .flat_map(|package| &record.packages[package].times);
    let differs = |(number, time): &&(FileNumber, Timestamp)| !matches!(&facts.files[number.index()], FileNow::Same { mtime, .. } if mtime == time);
    times
        .filter(differs)
        .map(|(number, time)| (record.file(*number), *time))
        .collect()
}
