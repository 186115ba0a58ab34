//! What an entry knows of a project's own units: a file of its own in the store.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contents::FileState;
use crate::error::{Error, Result};
use crate::fs::Timestamp;

const MAGIC: &[u8] = b"lc-fresh\n";
/// Raised when a field changes. A record of another version vouches for nothing.
const VERSION: u8 = 3;

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
    /// What it may have written there besides that.
    pub(crate) may_have_written: Vec<FileNumber>,
    /// What it may have made there if the checkout did not bring it. Only a restore into a checkout
    /// without it makes the unit stale.
    pub(crate) may_have_made: Vec<FileNumber>,
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

    /// A record of this version with any contents.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn forge(contents: &[u8]) -> Vec<u8> {
        [MAGIC, &[VERSION], contents].concat()
    }

    /// The unit whose records are in a directory of a root.
    pub(crate) fn unit(&self, root: &str, directory: &Path) -> Option<&RecordedUnit> {
        let mut units = self.units.iter();
        units.find(|unit| unit.root == root && unit.directory == directory)
    }

    /// Whether all numbers refer to something, and no unit names a path outside of its root.
    fn is_consistent(&self) -> bool {
        let packages = self.packages.iter();
        let of_packages = packages.flat_map(|package| {
            let times = package.times.iter().map(|(number, _)| number);
            package.files.iter().chain(times)
        });
        let units = self.units.iter();
        let of_units = units.flat_map(|unit| {
            let written = unit.written.iter().chain(&unit.may_have_written);
            unit.inputs.iter().chain(written).chain(&unit.may_have_made)
        });
        let mut files = of_packages
            .chain(of_units)
            .chain(&self.outside)
            .chain(&self.named);
        files.all(|number| self.files.len() > number.index())
            && self.units.iter().all(|unit| {
                let package = unit.package.map_or(0, |package| package as usize + 1);
                package <= self.packages.len() && unit.stays_below_root()
            })
    }

    pub(crate) fn file(&self, number: FileNumber) -> &RecordedFile {
        &self.files[number.index()]
    }
}

impl RecordedUnit {
    /// A store can be shared, so a record must not be able to name other files.
    fn stays_below_root(&self) -> bool {
        let is_below = |path: &PathBuf| {
            let mut parts = path.components();
            parts.all(|part| matches!(part, Component::Normal(_)))
        };
        let is_name = |(name, _): &(String, Vec<u8>)| {
            !name.is_empty() && !name.contains('/') && name != "." && name != ".."
        };
        let has_name = !self.directory.as_os_str().is_empty();
        let crate_name = self.crate_root.as_ref().map_or("", |(name, _)| name);
        has_name
            && is_below(&self.directory)
            && is_below(&self.profile)
            && self.artifacts.iter().all(is_below)
            && self.records.iter().all(is_name)
            && !crate_name.contains('/')
    }
}

/// Numbers the files of a record. A symlink and what it leads to have one path and two numbers.
#[derive(Default)]
pub(crate) struct FileTable {
    files: Vec<RecordedFile>,
    paths: HashMap<PathBuf, FileNumber>,
    links: HashMap<PathBuf, FileNumber>,
}

impl FileTable {
    pub(crate) fn number(&mut self, path: &Path, state: FileState) -> FileNumber {
        let numbers = if state.is_link() {
            &mut self.links
        } else {
            &mut self.paths
        };
        if let Some(number) = numbers.get(path) {
            return *number;
        }
        let number = FileNumber::of(self.files.len());
        numbers.insert(path.to_owned(), number);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> RecordedUnit {
        RecordedUnit {
            label: "app (lib-app)".to_owned(),
            root: "target".to_owned(),
            directory: "debug/.fingerprint/app-1".into(),
            package: None,
            profile: "debug".into(),
            crate_root: None,
            is_build_script_run: false,
            inputs: Vec::new(),
            written: Vec::new(),
            may_have_written: Vec::new(),
            may_have_made: Vec::new(),
            compares_newest: false,
            contains_commit: false,
            artifacts: vec!["debug/deps/libapp-1.rlib".into()],
            records: vec![("lib-app".to_owned(), b"1".to_vec())],
            reason: None,
            safe_reason: None,
        }
    }

    fn decoded(unit: RecordedUnit) -> Option<FreshnessRecord> {
        let record = FreshnessRecord {
            units: vec![unit],
            ..FreshnessRecord::default()
        };
        FreshnessRecord::decode(&record.encode().unwrap())
    }

    #[test]
    fn a_record_that_names_files_outside_of_its_roots_vouches_for_nothing() {
        assert!(decoded(unit()).is_some());
        let forge: [fn(&mut RecordedUnit); 7] = [
            |unit| unit.directory = "../.ssh".into(),
            |unit| unit.directory = "/etc".into(),
            |unit| unit.directory = PathBuf::new(),
            |unit| unit.profile = "debug/../..".into(),
            |unit| unit.artifacts.push("/etc/passwd".into()),
            |unit| unit.records.push(("../lib-app".to_owned(), Vec::new())),
            |unit| unit.crate_root = Some(("../app".to_owned(), FileNumber(0))),
        ];
        for (number, forge) in forge.into_iter().enumerate() {
            let mut unit = unit();
            forge(&mut unit);
            assert!(decoded(unit).is_none(), "{number}");
        }
    }

    #[test]
    fn records_of_other_versions_and_numbers_without_a_file_are_refused() {
        let bytes = FreshnessRecord::default().encode().unwrap();
        assert_eq!(
            FreshnessRecord::decode(&bytes),
            Some(FreshnessRecord::default())
        );
        let mut other = bytes;
        other[MAGIC.len()] += 1;
        assert_eq!(FreshnessRecord::decode(&other), None);
        assert_eq!(FreshnessRecord::decode(b"lc-srcs\n"), None);
        let mut unit = unit();
        unit.inputs.push(FileNumber(0));
        assert!(decoded(unit).is_none());
    }
}
