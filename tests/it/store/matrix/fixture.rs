//! A store with one of every kind of file and directory, and copies of it to damage.

use std::fs;
use std::path::{Path, PathBuf};

use local_cache::Store;
use local_cache::store::layout::Layout;
use serde_json::Value;

use crate::support::compare::{Snapshot, snapshot};
use crate::support::tools::copy_tree;
use crate::support::{RunResult, Sandbox, trees};

/// The key of the entry whose files are damaged.
pub(super) const DAMAGED: &str = "a-2";
/// The key of an entry that needs none of these files.
pub(super) const OTHER: &str = "b";

/// The directories of a store that are created when they are needed.
const LATER_DIRECTORIES: [&str; 6] = ["events", "keys", "lent", "memories", "ready", "seen"];

/// What is damaged.
pub(super) struct Target {
    pub(super) name: String,
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
        copy_tree(&self.template, cache);
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
    trees::write(&job.join("tree/large"), &large_file(seed));
    trees::make_old(&job.join("tree"));
}

/// The file of a tree that becomes a blob.
fn large_file(seed: u64) -> Vec<u8> {
    trees::random_bytes(seed * 10 + 9, 300 << 10)
}

/// Files that only the action or a killed process leaves.
fn add_rare_files(sandbox: &Sandbox) {
    let store = Store::create(sandbox.cache()).unwrap();
    store.put_job_state("state", b"[]").unwrap();
    let at = sandbox.store();
    trees::write(&at.join("size"), b"{}");
    trees::write(&at.join("collected"), b"");
    trees::write(&at.join("contents"), b"of packs");
    trees::write(&at.join("keys/0123456789abcdef"), b"of entries");
    let note = format!("lent/{}-0-1-1", "0".repeat(64));
    trees::write(&at.join(note), b"");
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

impl Target {
    /// Where it is in a store.
    pub(super) fn within(&self, store: &Path) -> PathBuf {
        if self.path == Path::new("") {
            return store.to_owned();
        }
        store.join(&self.path)
    }

    fn file(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            is_directory: false,
            twin: None,
        }
    }

    fn directory(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            is_directory: true,
            ..Self::file(name, path)
        }
    }

    fn with_twin(self, twin: impl Into<PathBuf>) -> Self {
        Self {
            twin: Some(twin.into()),
            ..self
        }
    }
}

/// One of every kind, of the entry [`DAMAGED`] if it is part of an entry.
fn targets(store: &Path) -> Vec<Target> {
    let mut targets = files_of_entry(store);
    targets.extend(other_files(store));
    targets.extend(directories(store));
    for Target {
        name,
        path,
        is_directory,
        ..
    } in &targets
    {
        let found = fs::symlink_metadata(store.join(path));
        let is_right = found.is_ok_and(|found| found.is_dir() == *is_directory);
        assert!(is_right, "{name}: {}", path.display());
    }
    targets
}

fn files_of_entry(store: &Path) -> Vec<Target> {
    let (entry, json) = find_entry(store, DAMAGED);
    let (twin, twin_json) = find_entry(store, OTHER);
    let manifest = |json: &Value| Path::new("manifests").join(json["manifest"].as_str().unwrap());
    let used = |entry: &Path| Path::new("used").join(entry.file_stem().unwrap());
    let blob = |seed| {
        let digest = blake3::hash(&large_file(seed)).to_hex();
        Path::new("blobs").join(&digest[..2]).join(digest.as_str())
    };
    let (is_moved, packs): (Vec<PathBuf>, Vec<PathBuf>) = in_dir(store, "packs")
        .into_iter()
        .partition(|path| path.extension().unwrap() == "moved");
    let moved = fs::read(store.join(&is_moved[0])).unwrap();
    let moved: Vec<String> = serde_json::from_slice(&moved).unwrap();
    let (own, others): (Vec<PathBuf>, Vec<PathBuf>) = packs
        .into_iter()
        .partition(|path| path.file_stem().unwrap() == moved[0].as_str());
    let stamps = in_dir(store, "seen");
    let shelf = blob(1).parent().unwrap().to_owned();
    vec![
        Target::file("used", used(&entry)).with_twin(used(&twin)),
        Target::file("manifest", manifest(&json)).with_twin(manifest(&twin_json)),
        Target::file(
            "entry-lock",
            Path::new("locks").join(entry.file_stem().unwrap()),
        ),
        Target::file("entry", entry).with_twin(twin),
        Target::file("pack", &own[0]).with_twin(&others[0]),
        Target::file("moved", &is_moved[0]),
        Target::file("blob", blob(1)).with_twin(blob(100)),
        Target::file("stamp", &stamps[0]).with_twin(&stamps[1]),
        Target::directory("shelf", shelf),
        Target::directory("ready-copy", &in_dir(store, "ready")[0]),
    ]
}

/// The path of an entry, and what is in it.
fn find_entry(store: &Path, key: &str) -> (PathBuf, Value) {
    let read = |path: PathBuf| {
        let json: Value = serde_json::from_slice(&fs::read(store.join(&path)).unwrap()).unwrap();
        (json["key"] == key).then_some((path, json))
    };
    in_dir(store, "entries").into_iter().find_map(read).unwrap()
}

fn other_files(store: &Path) -> Vec<Target> {
    let quarantine = in_dir(store, "quarantine");
    vec![
        Target::file("store-lock", "locks/store"),
        Target::file("turn-lock", "locks/turn"),
        Target::file("format", "format.json"),
        Target::file("tag", "CACHEDIR.TAG"),
        Target::file("size", "size"),
        Target::file("collected", "collected"),
        Target::file("contents", "contents"),
        Target::file("keys-of-group", "keys/0123456789abcdef"),
        Target::file("note", &in_dir(store, "lent")[0]),
        Target::file("state", "memories/state"),
        Target::file("journal", "events/events.jsonl"),
        Target::file("quarantined", &quarantine[0]),
        Target::file("suspect", &quarantine[1]),
        Target::directory("unfinished", "tmp/left"),
    ]
}

/// The store, and every directory in it.
fn directories(store: &Path) -> Vec<Target> {
    let mut wanted = directories_of_new_store();
    wanted.extend(LATER_DIRECTORIES.map(str::to_owned));
    wanted.sort();
    let found = names(store).into_iter();
    let found: Vec<String> = found.filter(|name| store.join(name).is_dir()).collect();
    assert_eq!(found, wanted, "the matrix knows every directory");
    let mut targets = vec![Target::directory("store", "")];
    targets.extend(found.iter().map(|name| Target::directory(name, name)));
    targets
}

/// The names of the directories that are created with a store. Every command needs them.
pub(super) fn directories_of_new_store() -> Vec<String> {
    let directories = Layout::new(Path::new("")).subdirectories();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    directories.iter().map(name).collect()
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
