//! Jobs that are cancelled between two caches.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use local_cache::fs::Local;
use local_cache::job::{
    CargoTarget, Housekeeping, Job, JobReply, JobTarget, SaveTask, Task, run_job,
};
use local_cache::monitor::{Monitor, Stage};

/// Cancels the job when it begins to scan its last cache.
struct CancelAt {
    scan: usize,
    scans: AtomicUsize,
}

impl Monitor for CancelAt {
    fn begin(&self, stage: Stage, _: u64) {
        if stage == Stage::Scanning {
            self.scans.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_interrupted(&self) -> bool {
        self.scans.load(Ordering::Relaxed) >= self.scan
    }
}

fn save(root: &Path, scan: usize) -> JobReply {
    for (file, text) in [
        (
            "repo/Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
        ),
        ("repo/Cargo.lock", "version = 4\n"),
        ("repo/target/CACHEDIR.TAG", "Signature"),
        ("home/.cargo/registry/cache/i/a-1.0.0.crate", "archive"),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let job = Job {
        cache_root: root.join("cache"),
        workspace: root.join("repo"),
        target: JobTarget::Cargo(Box::new(CargoTarget {
            all_crates: true,
            ..CargoTarget::default()
        })),
        task: Task::Save(SaveTask::default()),
        housekeeping: Housekeeping::default(),
    };
    let monitor = CancelAt {
        scan,
        scans: AtomicUsize::new(0),
    };
    run_job(&job, &Local::new(Some(root.join("home"))), &monitor)
}

#[test]
fn a_cancelled_save_reports_the_caches_that_it_saved_before() {
    let directory = tempfile::tempdir().unwrap();
    let saved = |reply: &JobReply| -> Vec<String> {
        let caches = reply.caches.iter();
        let saved = caches.filter(|cache| cache.saved.is_some());
        saved.map(|cache| cache.name.clone()).collect()
    };
    let all = save(&directory.path().join("whole"), usize::MAX);
    assert_eq!(saved(&all), ["registry", "git", "target"], "{all:?}");
    // The target is saved first, the registry last.
    let cancelled = save(&directory.path().join("cancelled"), 3);
    assert_eq!(saved(&cancelled), ["git", "target"], "{cancelled:?}");
    assert!(cancelled.error.is_some());
}
