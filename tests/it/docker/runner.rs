//! A simulated runner that containers can't tell from a real one.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::image::Image;
use super::machine::User;
use super::stage::Stage;
use super::support::{docker, unique};

/// A runner. Dropping it removes its containers and files.
pub(crate) struct Runner {
    pub(crate) user: User,
    pub(crate) image: Arc<Image>,
    pub(crate) label: String,
    pub(crate) work: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) temp: PathBuf,
    /// The cache root of the action, which does not exist at first.
    pub(crate) cache_root: PathBuf,
    /// The user who must own all files at the end.
    pub(crate) owner: Option<u32>,
    /// The owner of the files that the runner makes for a stage, if it is not the user.
    pub(crate) stage_owner: Option<u32>,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self::with_repository("repo")
    }

    pub(crate) fn with_repository(repository: &str) -> Self {
        let user = User::new();
        let settings = format!(
            "\u{feff}{{\n  \"agentName\": \"{}\",\n  \"workFolder\": \"_work\"\n}}",
            user.name
        );
        user.file(&user.home.join(".runner"), &settings);
        let label = local_cache::site::worker::identity::runner_label(&settings);
        let work = user.directory("_work");
        let workspace = user.directory(&format!("_work/{repository}/{repository}"));
        let temp = user.directory("_work/_temp");
        for name in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            user.directory(&format!("_work/_temp/{name}"));
        }
        user.file(&temp.join("_github_workflow/event.json"), "{}");
        let cache_root = std::env::temp_dir().join(unique("cache"));
        Self {
            user,
            image: Image::probe(),
            label,
            work,
            workspace,
            temp,
            cache_root,
            owner: None,
            stage_owner: None,
        }
    }

    /// A runner whose user must own everything at the end, and whose containers must be removed.
    pub(crate) fn strict() -> Self {
        let mut runner = Self::new();
        runner.owner = Some(runner.user.uid);
        runner
    }

    /// A stage in which the probe runs these operations, a list as JSON.
    pub(crate) fn stage(&self, work: &Value) -> Stage<'_> {
        Stage::new(self, Arc::clone(&self.image)).input("WORK", &work.to_string())
    }

    /// All containers with the runner's label, running or not.
    pub(crate) fn containers(&self) -> Vec<String> {
        let filter = format!("label={}", self.label);
        let listed = docker(&[
            "ps",
            "--all",
            "--format",
            "{{.Names}} {{.Status}}",
            "--filter",
            &filter,
        ]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Waits until no container of the runner exists; returns the elapsed time.
    pub(crate) fn wait_until_clear(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let left = self.containers();
            if left.is_empty() {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < limit,
                "still there after {limit:?}: {left:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Files of the runner and the store that belong to another user.
    pub(crate) fn foreign_files(&self, owner: u32) -> Vec<PathBuf> {
        let mut found = foreign_below(&self.user.home, owner);
        if self.cache_root.exists() {
            found.extend(foreign_below(&self.cache_root, owner));
        }
        found
    }

    /// Demands that no file of another user, no container and no temporary file remains.
    fn check(&self, owner: u32) {
        self.wait_until_clear(Duration::from_secs(2));
        assert_eq!(
            self.foreign_files(owner),
            Vec::<PathBuf>::new(),
            "not of uid {owner}"
        );
        let names = fs::read_dir(&self.temp)
            .expect("lists")
            .filter_map(|entry| Some(entry.ok()?.file_name()));
        let left: Vec<_> = names
            .filter(|name| name.to_string_lossy().starts_with("local-cache-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A directory and all paths below it.
pub(crate) fn all_below(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next) {
        if fs::symlink_metadata(path).is_ok_and(|about| about.is_dir()) {
            let entries: Vec<PathBuf> = fs::read_dir(path)
                .expect("lists")
                .map(|entry| entry.expect("lists").path())
                .collect();
            found.extend(entries);
        }
        next += 1;
    }
    found
}

/// The paths of them with another owner.
pub(crate) fn foreign_below(top: &Path, owner: u32) -> Vec<PathBuf> {
    let is_foreign =
        |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|about| about.uid() != owner);
    all_below(top).into_iter().filter(is_foreign).collect()
}

impl Drop for Runner {
    fn drop(&mut self) {
        let checked = match self.owner {
            Some(owner) if !thread::panicking() => {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.check(owner)))
            }
            _ => Ok(()),
        };
        let filter = format!("label={}", self.label);
        let listed = Command::new("docker")
            .args(["ps", "--all", "--quiet", "--filter", &filter])
            .output();
        let listed = listed
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for id in listed.split_whitespace() {
            drop(
                Command::new("docker")
                    .args(["rm", "--force", "--volumes", id])
                    .output(),
            );
        }
        // Most runners have none.
        drop(fs::remove_dir_all(&self.cache_root));
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    }
}
