//! The directories that cargo builds into, and which of them may be touched.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{FileKind, files};
use crate::job::context::JobContext;

/// Files that cargo writes into every target directory, the second one only where it builds.
const CARGO_MARKERS: [&str; 2] = ["CACHEDIR.TAG", RUSTC_INFO];
const RUSTC_INFO: &str = ".rustc_info.json";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildDirs {
    /// The target directory first, then the directories of intermediate artifacts
    /// (`build.build-dir`) that are elsewhere.
    dirs: Vec<PathBuf>,
}

impl BuildDirs {
    pub(crate) fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs }
    }

    /// The target directory.
    pub(crate) fn target(&self) -> Result<&PathBuf> {
        let first = self.dirs.first();
        first.ok_or_else(|| Error::defect("a project without a target directory"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PathBuf> {
        self.dirs.iter()
    }

    /// The directories that lie in no other one, each with its name in an entry.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (String, &PathBuf)> {
        let name = |number| match number {
            0 => "target".to_owned(),
            1 => "build".to_owned(),
            _ => format!("build-{number}"),
        };
        let named = (0..).map(name).zip(&self.dirs);
        named.filter(|(_, dir)| {
            let lies_in = |other: &&PathBuf| other != dir && dir.starts_with(other);
            !self.dirs.iter().any(|other| lies_in(&other))
        })
    }

    /// All directories, each with the name of the root that it lies in.
    pub(crate) fn in_roots(&self) -> Vec<(String, &PathBuf)> {
        let roots: Vec<(String, &PathBuf)> = self.roots().collect();
        let mut found = Vec::new();
        for dir in &self.dirs {
            let mut around = roots.iter().filter(|(_, root)| dir.starts_with(root));
            if let Some((name, _)) = around.next() {
                found.push((name.clone(), dir));
            }
        }
        found
    }

    /// The first root that something other than cargo has filled.
    pub(crate) fn not_made_by_cargo(&self, context: &JobContext<'_>) -> Result<Option<&Path>> {
        for (_, dir) in self.roots() {
            let names = files::list(&context.namespace.locate_parent(dir)?)?;
            let has_marker = names
                .iter()
                .any(|name| CARGO_MARKERS.iter().any(|marker| name == marker));
            if !names.is_empty() && !has_marker {
                return Ok(Some(dir));
            }
        }
        Ok(None)
    }

    /// Whether cargo made the target directory, but nothing shows that it has ever built in it or in
    /// another of these directories.
    pub(crate) fn are_without_builds(&self, context: &JobContext<'_>) -> Result<bool> {
        let target = context.namespace.locate_parent(self.target()?)?;
        if files::list(&target)?.is_empty() || self.not_made_by_cargo(context)?.is_some() {
            return Ok(false);
        }
        for dir in &self.dirs {
            let info = context.namespace.locate_parent(dir)?.join(RUSTC_INFO);
            if files::stat(&info)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses a directory that can't be a build directory: a symlink, a file, or one that holds a
    /// path of `protected`.
    pub(crate) fn check(&self, context: &JobContext<'_>, protected: &[&Path]) -> Result<()> {
        let target = Setting {
            name: "workspaces",
            prefix: ". -> ",
        };
        let build_dir = Setting {
            name: "build.build-dir",
            prefix: "",
        };
        let settings = std::iter::once(target).chain(std::iter::repeat(build_dir));
        for (dir, setting) in self.dirs.iter().zip(settings) {
            check_dir(context, dir, &setting, protected)?;
        }
        Ok(())
    }
}

/// Where the user chooses a directory, for messages.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    /// What stands before the directory in the setting's value.
    prefix: &'static str,
}

fn check_dir(
    context: &JobContext<'_>,
    dir: &Path,
    setting: &Setting,
    protected: &[&Path],
) -> Result<()> {
    let Setting { name, prefix } = setting;
    let namespace = context.namespace;
    let path = namespace.locate_parent(dir)?;
    if files::is_symlink(&path)? {
        let linked = namespace.locate(dir);
        let linked = linked.map(|path| namespace.original_name(&path));
        return Err(Error::invalid(format!(
            "{} is a symlink; name the directory that it leads to in `{name}`, as `{prefix}{}`",
            dir.display(),
            linked.unwrap_or_default().display()
        )));
    }
    let stat = files::stat(&path)?;
    if stat.is_some_and(|stat| stat.kind != FileKind::Directory) {
        return Err(Error::invalid(format!(
            "{} is a file; remove it, or name a directory in `{name}`",
            dir.display()
        )));
    }
    let real = files::real_path(&path);
    for protected in protected {
        let holds = |path: PathBuf| files::real_path(&path).starts_with(&real);
        if !protected.as_os_str().is_empty() && namespace.locate(protected).is_ok_and(holds) {
            return Err(Error::invalid(format!(
                "{} cannot be a build directory, because it contains {}; name another one in `{name}`",
                dir.display(),
                protected.display()
            )));
        }
    }
    Ok(())
}
