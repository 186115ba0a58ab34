//! A store with one of every kind of file and directory, and copies of it to damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_cache::Store;
use serde_json::Value;

use crate::support::compare::{Snapshot, snapshot};
use crate::support::{RunResult, Sandbox, trees};

/// The key of the entry whose files are damaged.
pub(super) const DAMAGED: &str = "a-2";
/// The key of an entry that needs none of these files.
pub(super) const OTHER: &str = "b";

/// What is damaged.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Below the store.
    pub(super) path: PathBuf,
    pub(super) is_directory: bool,
    /// A file of the same kind, to be put in its place.
    pub(super) twin: Option<PathBuf>,
}

pub(super) struct Fixture {
    pub(super) sandbox: Sandbox,
    /// The undamaged store.
    template: PathBuf,
    pub(super) targets: Vec<Target>,
    /// The trees of both entries.
    pub(super) wanted: Snapshot,
    pub(super) wanted_other: Snapshot,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let mut sandbox = Sandbox::without_rights();
        // Each save writes one pack.
        sandbox.threads = 1;
        let (job, other) = (sandbox.job("a"), sandbox.job("b"));
        save_rewritten(&sandbox, &job);
        write_tree(&other, 100);
        sandbox.chown_all();
        sandbox.save(&other, OTHER).succeeded();
        let wanted_other = snapshot(&other.join("tree"));
        let use_again = sandbox.job("used");
        for key in [DAMAGED, OTHER] {
            sandbox.mirror(&use_again, key).succeeded();
        }
        let move_it = ["save", "--move", "--refresh", "--key", OTHER, "tree"];
        sandbox.run(&other, &move_it).succeeded();
        add_rare_files(&sandbox);
        let outside = sandbox.job("outside");
        trees::write(&outside.join("kept"), b"kept");
        sandbox.chown_all();
        let template = sandbox.path("template");
        fs::rename(sandbox.cache(), &template).unwrap();
        Self {
            targets: targets(&template.join("local-cache-v1")),
            wanted: snapshot(&job.join("tree")),
            wanted_other,
            template,
            sandbox,
        }
    }

    /// Puts an undamaged copy of the store in its place.
    pub(super) fn reset(&self) {
        let cache = self.sandbox.cache();
        if cache.exists() {
            make_removable(cache);
            fs::remove_dir_all(cache).unwrap();
        }
        let copied = Command::new("cp")
            .args(["-a", "--sparse=always"])
            .args([self.template.as_os_str(), cache.as_os_str()])
            .status();
        assert!(copied.unwrap().success());
    }

    /// Runs a command in an empty job directory with a limit of memory.
    pub(super) fn run(&self, job: &Path, arguments: &[&str]) -> RunResult {
        let prlimit = ["prlimit", "--as=600000000"];
        RunResult::of(&mut self.sandbox.command_behind(&prlimit, job, arguments))
    }

    /// An empty job directory.
    pub(super) fn empty_job(&self) -> PathBuf {
        let job = self.sandbox.path("job");
        drop(fs::remove_dir_all(&job));
        self.sandbox.job("job")
    }
}

fn make_removable(root: &Path) {
    trees::walk(root, &mut |path| {
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            trees::set_mode(path, 0o755);
        }
    });
}

/// Saves two generations, of which the first is removed and its pack rewritten.
fn save_rewritten(sandbox: &Sandbox, job: &Path) {
    let dead = |number: u64| job.join(format!("tree/dies-{number}"));
    for number in 0..10 {
        trees::write(&dead(number), &trees::random_bytes(70 + number, 250 << 10));
    }
    write_tree(job, 1);
    sandbox.chown_all();
    sandbox.save(job, "a-1").succeeded();
    for number in 0..10 {
        fs::remove_file(dead(number)).unwrap();
    }
    write_tree(job, 1);
    sandbox.chown_all();
    sandbox.save(job, DAMAGED).succeeded();
    let pruned = sandbox.prune(1).succeeded().json();
    assert_eq!(pruned["rewritten-packs"], 1, "{pruned}");
}

fn write_tree(job: &Path, seed: u64) {
    for number in 0..6 {
        let bytes = trees::random_bytes(seed * 10 + number, 2000);
        trees::write(&job.join(format!("tree/small/{number}")), &bytes);
    }
    let large = trees::random_bytes(seed * 10 + 9, 300 << 10);
    trees::write(&job.join("tree/large"), &large);
    trees::make_old(&job.join("tree"));
}

/// Files that only the action or a killed process leaves.
fn add_rare_files(sandbox: &Sandbox) {
    let store = Store::create(sandbox.cache()).unwrap();
    store.put_job_state("state", b"[]").unwrap();
    let at = sandbox.store();
    trees::write(&at.join("size"), b"{}");
    trees::write(
        &at.join("events/events.jsonl"),
        b"{\"time\":1,\"phase\":\"pre\"}\n",
    );
    trees::write(&at.join("tmp/left/file"), b"x");
    // Pruning removed the locks of entries.
    for entry in names(&at.join("entries")) {
        let id = entry.trim_end_matches(".json");
        trees::write(&at.join("locks").join(id), b"");
    }
    let id = "0123456789abcdef-0123456789abcdef0123456789abcdef";
    trees::write(&at.join(format!("quarantine/{id}.json")), b"{}");
    let digest = "0".repeat(64);
    trees::write(&at.join(format!("quarantine/{digest}.suspect")), b"");
}

/// One of every kind, of the entry [`DAMAGED`] if it is part of an entry.
fn targets(store: &Path) -> Vec<Target> {
    let entry = |key: &str| -> (PathBuf, Value) {
        let found = names(&store.join("entries")).into_iter().find_map(|name| {
            let path = Path::new("entries").join(name);
            let json: Value =
                serde_json::from_slice(&fs::read(store.join(&path)).unwrap()).unwrap();
            (json["key"] == key).then_some((path, json))
        });
        found.unwrap()
    };
    let ((damaged, json), (twin, twin_json)) = (entry(DAMAGED), entry(OTHER));
    let manifest = |json: &Value| Path::new("manifests").join(json["manifest"].as_str().unwrap());
    let used = |entry: &Path| Path::new("used").join(entry.file_stem().unwrap());
    let mut packs: Vec<PathBuf> = in_dir(store, "packs");
    let moved = packs
        .iter()
        .position(|path| path.extension().unwrap() == "moved");
    let moved = packs.remove(moved.unwrap());
    let list = fs::read(store.join(&moved)).unwrap();
    let list: Vec<String> = serde_json::from_slice(&list).unwrap();
    let (own, others): (Vec<PathBuf>, Vec<PathBuf>) = packs
        .into_iter()
        .partition(|path| path.file_stem().unwrap() == list[0].as_str());
    let large = blake3::hash(&trees::random_bytes(19, 300 << 10)).to_hex();
    let blob = Path::new("blobs").join(&large[..2]).join(large.as_str());
    let large = blake3::hash(&trees::random_bytes(1009, 300 << 10)).to_hex();
    let other_blob = Path::new("blobs").join(&large[..2]).join(large.as_str());
    let shelf = blob.parent().unwrap().to_owned();
    let lock = Path::new("locks").join(damaged.file_stem().unwrap());
    let stamps = in_dir(store, "seen");
    let quarantine = in_dir(store, "quarantine");
    let file = |name, path: PathBuf, twin: Option<PathBuf>| Target {
        name,
        path,
        is_directory: false,
        twin,
    };
    let mut targets = vec![
        file("used", used(&damaged), Some(used(&twin))),
        file("manifest", manifest(&json), Some(manifest(&twin_json))),
        file("entry", damaged, Some(twin)),
        file("pack", own[0].clone(), Some(others[0].clone())),
        file("moved", moved, None),
        file("blob", blob, Some(other_blob)),
        file("stamp", stamps[0].clone(), stamps.get(1).cloned()),
        file("entry-lock", lock, None),
        file("store-lock", "locks/store".into(), None),
        file("turn-lock", "locks/turn".into(), None),
        file("format", "format.json".into(), None),
        file("tag", "CACHEDIR.TAG".into(), None),
        file("size", "size".into(), None),
        file("state", "memories/state".into(), None),
        file("journal", "events/events.jsonl".into(), None),
        file("quarantined", quarantine[0].clone(), None),
        file("suspect", quarantine[1].clone(), None),
        file("unfinished", "tmp/left".into(), None),
    ];
    targets[17].is_directory = true;
    let ready = in_dir(store, "ready").remove(0);
    let directories = [
        ("entries", "entries".into()),
        ("manifests", "manifests".into()),
        ("packs", "packs".into()),
        ("blobs", "blobs".into()),
        ("shelf", shelf),
        ("used-times", "used".into()),
        ("stamps", "seen".into()),
        ("locks", "locks".into()),
        ("states", "memories".into()),
        ("events", "events".into()),
        ("tmp", "tmp".into()),
        ("quarantine", "quarantine".into()),
        ("ready", "ready".into()),
        ("ready-copy", ready),
        ("store", PathBuf::new()),
    ];
    targets.extend(directories.map(|(name, path)| Target {
        name,
        path,
        is_directory: true,
        twin: None,
    }));
    for target in &targets {
        let found = store.join(&target.path);
        assert!(found.exists(), "{}: {found:?}", target.name);
        assert_eq!(
            found.is_dir(),
            target.is_directory,
            "{}: {found:?}",
            target.name
        );
    }
    targets
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The names in a directory of the store, as paths below the store.
fn in_dir(store: &Path, dir: &str) -> Vec<PathBuf> {
    let names = names(&store.join(dir)).into_iter();
    names.map(|name| Path::new(dir).join(name)).collect()
}
