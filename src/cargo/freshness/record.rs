//! What an entry knows of a project's own units: a file of its own in the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contents::FileState;
use crate::error::{Error, Result};
use crate::fs::Timestamp;

const MAGIC: &[u8] = b"lc-fresh\n";
/// Raised when a field changes. A record of another version vouches for nothing.
const VERSION: u8 = 1;

/// The number of a file in [`FreshnessRecord::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FileNumber(u32);

/// The own units of a target directory, and the state of everything that decides whether they are
/// fresh. Paths are as the steps of the job name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreshnessRecord {
    pub(crate) files: Vec<RecordedFile>,
    pub(crate) packages: Vec<RecordedPackage>,
    /// Files of the checkout outside of all packages.
    pub(crate) outside: Vec<FileNumber>,
    /// What the input `sources` names.
    pub(crate) named: Vec<FileNumber>,
    /// Untracked files that a job wrote during or after its builds. They are no sources.
    pub(crate) products: Vec<PathBuf>,
    /// The commit that was checked out, if the output of a build script contains it.
    pub(crate) commit: Option<String>,
    pub(crate) units: Vec<RecordedUnit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedFile {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) state: FileState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedPackage {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// The files that count as its sources.
    pub(crate) files: Vec<FileNumber>,
    /// The files whose newest time cargo compares as text, with their times. Empty if it compares
    /// those of single files.
    pub(crate) times: Vec<(FileNumber, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedUnit {
    /// For people.
    pub(crate) label: String,
    /// The name of the entry's root that it lies in.
    pub(crate) root: String,
    /// The directory of cargo's records, relative to the root.
    pub(crate) directory: PathBuf,
    pub(crate) package: Option<u32>,
    /// The directory of the profile, relative to the root.
    pub(crate) profile: PathBuf,
    /// The name of the crate and the source that it begins with; `None` for the run of a build
    /// script.
    pub(crate) crate_root: Option<(String, FileNumber)>,
    /// Whether it is the run of a build script.
    pub(crate) is_build_script_run: bool,
    /// What it read.
    pub(crate) inputs: Vec<FileNumber>,
    /// What a build script wrote outside of the target directory.
    pub(crate) written: Vec<FileNumber>,
    /// Whether cargo compares the newest time in its package.
    pub(crate) compares_newest: bool,
    /// Whether its output contains the id of the commit.
    pub(crate) contains_commit: bool,
    /// The files that get the common time, relative to the root.
    pub(crate) artifacts: Vec<PathBuf>,
    /// Cargo's records: names and contents. Empty if the unit is not vouched for.
    pub(crate) records: Vec<(String, Vec<u8>)>,
    /// Why the unit is not vouched for.
    pub(crate) reason: Option<String>,
    /// Why it is not vouched for where cargo's list of inputs may be incomplete.
    pub(crate) safe_reason: Option<String>,
}

impl FileNumber {
    pub(crate) fn of(index: usize) -> Self {
        // A record with more files cannot be encoded in the memory of a machine.
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl FreshnessRecord {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = [MAGIC, &[VERSION]].concat();
        bytes.append(&mut postcard::to_stdvec(self).map_err(Error::defect)?);
        Ok(bytes)
    }

    /// `None` for a record of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
        let record: Self = postcard::from_bytes(bytes).ok()?;
        record.is_consistent().then_some(record)
    }

    /// Whether all numbers refer to something.
    fn is_consistent(&self) -> bool {
        let packages = self.packages.iter();
        let of_packages = packages.flat_map(|package| {
            let times = package.times.iter().map(|(number, _)| number);
            package.files.iter().chain(times)
        });
        let units = self.units.iter();
        let of_units = units.flat_map(|unit| unit.inputs.iter().chain(&unit.written));
        let mut files = of_packages
            .chain(of_units)
            .chain(&self.outside)
            .chain(&self.named);
        files.all(|number| self.files.len() > number.index())
            && self.units.iter().all(|unit| {
                let package = unit.package.map_or(0, |package| package as usize + 1);
                package <= self.packages.len()
            })
    }

    pub(crate) fn file(&self, number: FileNumber) -> &RecordedFile {
        &self.files[number.index()]
    }
}

/// Numbers the files of a record.
#[derive(Default)]
pub(crate) struct FileTable {
    files: Vec<RecordedFile>,
    numbers: HashMap<PathBuf, FileNumber>,
}

impl FileTable {
    pub(crate) fn number(&mut self, path: &Path, state: FileState) -> FileNumber {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        let number = FileNumber::of(self.files.len());
        self.numbers.insert(path.to_owned(), number);
        self.files.push(RecordedFile {
            path: path.to_owned(),
            state,
        });
        number
    }

    pub(crate) fn into_files(self) -> Vec<RecordedFile> {
        self.files
    }
}
