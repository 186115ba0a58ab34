//! What the decisions at save need to know of paths and units.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::contents::FileState;
use crate::fs::Timestamp;

/// What is known of a path that a unit read or wrote.
#[derive(Clone, Debug)]
pub(crate) struct PathFact {
    /// When the path began to lead to its present contents; `None` if it leads nowhere.
    pub(crate) changed: Option<Timestamp>,
    /// The modification time, which is what cargo compares.
    pub(crate) mtime: Timestamp,
    pub(crate) place: PathPlace,
    /// None if git checked it out, if it is outside of the project, and in target directories.
    pub(crate) generated: Option<GeneratedFile>,
    /// An error is why the state is unknown.
    pub(crate) state: Result<FileState, String>,
}

/// What may have been generated of a path: a symlink on its way, or the file at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneratedFile {
    pub(crate) name: PathBuf,
    pub(crate) place: PathPlace,
    /// Whether git is known not to have checked it out. Without a repository, each file may belong
    /// to the checkout.
    pub(crate) is_certain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathPlace {
    /// The number of the package around it.
    Package(usize),
    OutsideOfPackages,
    /// The output of a build script in the same target directory.
    OutDir,
    /// Any other file of a target directory.
    TargetDir,
}

/// A unit at the time of the save.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitFact {
    pub(crate) package: Option<usize>,
    pub(crate) is_build_script_run: bool,
    pub(crate) is_downloaded: bool,
    /// When its build began: the time that cargo compares with those of its inputs.
    pub(crate) started: Option<Timestamp>,
    /// Whether it was restored as fresh and not built since.
    pub(crate) is_restored: bool,
    /// What it read, by name.
    pub(crate) inputs: Vec<PathBuf>,
    /// The source that its crate begins with.
    pub(crate) crate_root: Option<PathBuf>,
    /// What changed in the project while it ran.
    pub(crate) written: Vec<PathBuf>,
    /// What else it may have written there.
    pub(crate) may_have_written: Vec<PathBuf>,
    /// What it may have made there if the checkout did not bring it.
    pub(crate) may_have_made: Vec<PathBuf>,
    /// The newest time in the package when it was built, if cargo compares that.
    pub(crate) newest: Option<Timestamp>,
    /// The dependency whose build began last, and when. With one time for all restored units,
    /// cargo could not see any more that it was built after this unit.
    pub(crate) newest_dependency: Option<(Timestamp, String)>,
    /// What is wrong with its records or artifacts.
    pub(crate) defect: Option<String>,
}

impl UnitFact {
    /// Whether it is the run of a build script that belongs to the project.
    pub(super) fn may_write_sources(&self) -> bool {
        self.is_build_script_run && !self.is_downloaded
    }
}

/// What the decision about each unit needs to know.
#[derive(Debug, Default)]
pub(crate) struct SaveFacts {
    /// What is known of what paths lead to.
    pub(crate) paths: HashMap<PathBuf, PathFact>,
    /// The symlinks of the checkout, not followed.
    pub(crate) links: HashMap<PathBuf, PathFact>,
    /// When the first unit was built in this job.
    pub(crate) first_build: Option<Timestamp>,
    /// Whether the clock was set during the job.
    pub(crate) clock_changed: bool,
    /// When the commit that is checked out last changed.
    pub(crate) commit_changed: Option<Timestamp>,
    /// For each package, the file of all its files that changed last, and when.
    pub(crate) newest_changes: Vec<Option<(PathBuf, Timestamp)>>,
    /// The same for files outside of all packages.
    pub(crate) newest_outside: Option<(PathBuf, Timestamp)>,
    /// For each package, the newest modification time of its files.
    pub(crate) newest_mtimes: Vec<Option<Timestamp>>,
}

impl SaveFacts {
    /// What is known of a file of the checkout. A symlink is not followed if the checkout has it.
    pub(super) fn listed(&self, name: &Path) -> Option<&PathFact> {
        self.links.get(name).or_else(|| self.paths.get(name))
    }
}
