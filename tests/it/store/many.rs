//! Groups with many entries and stores with many packs: what is read does not grow with them, and
//! what is kept to read less is never wrong.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use local_cache::{Entry, EntryId, Timestamp};

use crate::support::mounts::{Mount, later_boot};
use crate::support::tools::{is_installed, run_tool, skip};
use crate::support::{RunResult, Sandbox, forge, strace, trees};

/// More entries or packs than are read each time.
const MANY: u32 = 100;
const LOOKUP: [&str; 7] = [
    "restore",
    "--json",
    "--key",
    "none",
    "--restore-key",
    "k-",
    "tree",
];

/// The system calls by which names in a directory are looked at.
const LOOKS: &str = "getdents64,newfstatat,statx";

/// A store with one entry, whose key is `first`.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    entry: Entry,
}

impl Case {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.threads = 1;
        let job = sandbox.job("job");
        fs::create_dir(job.join("tree")).unwrap();
        fs::write(job.join("tree/file"), "first").unwrap();
        sandbox.save(&job, "first").succeeded();
        let entries = fs::read_dir(sandbox.store().join("entries")).unwrap();
        let path = entries.map(|entry| entry.unwrap().path()).next().unwrap();
        let entry = decode(&path);
        Self {
            sandbox,
            job,
            entry,
        }
    }

    /// Publishes an entry of the same tree, as a save does.
    fn publish(&self, key: &str, created: u32) -> PathBuf {
        let entry = Entry {
            key: key.to_owned(),
            created: at(created),
            ..self.entry.clone()
        };
        let store = self.sandbox.store();
        let unfinished = store.join("tmp/unfinished");
        fs::write(&unfinished, entry.encode().unwrap()).unwrap();
        let path = store.join(format!("entries/{}.json", entry.id()));
        fs::rename(unfinished, &path).unwrap();
        path
    }

    fn publish_all(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.publish(&format!("k-{number}"), number);
            self.add_pack(&[format!("content {number}").as_bytes()]);
        }
    }

    fn add_pack(&self, contents: &[&[u8]]) -> PathBuf {
        let (bytes, id) = forge::pack(contents);
        let path = self.sandbox.store().join(format!("packs/{id}.pack"));
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Whether the times of the store's directories come from the kernel, not from a layer of an
    /// image. Reports that `what` is skipped if not.
    #[track_caller]
    fn has_own_ctimes(&self, what: &str) -> bool {
        let store = self.sandbox.store();
        let kind = ["-f", "-c", "%T"].map(OsStr::new);
        let kind = run_tool("stat", &[&kind[..], &[store.as_os_str()]].concat());
        let is_overlay = kind.trim() == "overlayfs";
        if is_overlay {
            skip("a filesystem that is no overlay", what);
        }
        !is_overlay
    }

    /// The key that is found for the prefix `k-`.
    fn lookup(&self) -> String {
        let ran = self.sandbox.run(&self.job, &LOOKUP).succeeded();
        ran.json()["cache-matched-key"].as_str().unwrap().to_owned()
    }

    /// How many files the program opens.
    fn opened(&self, arguments: &[&str]) -> usize {
        self.counted("openat", arguments)
    }

    /// How many of some system calls the program makes.
    fn counted(&self, calls: &str, arguments: &[&str]) -> usize {
        let log = self.sandbox.path("counted");
        let strace = strace::log(calls, log.to_str().unwrap());
        let mut command = self.sandbox.command_behind(&strace, &self.job, arguments);
        RunResult::of(&mut command).succeeded();
        fs::read_to_string(&log).unwrap().lines().count()
    }

    fn opened_by_save(&self, key: &str) -> usize {
        fs::write(self.job.join("tree/file"), key).unwrap();
        self.opened(&["save", "--json", "--key", key, "tree"])
    }
}

/// The keys of a large group are kept for the next lookup when no entry changed for half a second.
fn wait_until_kept() {
    std::thread::sleep(std::time::Duration::from_millis(600));
}

fn decode(path: &Path) -> Entry {
    let id = EntryId::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
    Entry::decode(&fs::read(path).unwrap(), &id, path).unwrap()
}

/// Seconds after a time in the past, so that entries which the program saves are the newest.
fn at(seconds: u32) -> Timestamp {
    Timestamp {
        seconds: 1_700_000_000 + i64::from(seconds),
        nanoseconds: 0,
    }
}

#[test]
fn a_lookup_and_a_save_open_as_many_files_among_many_entries_as_among_more() {
    if !is_installed("strace", "counting opened files") {
        return;
    }
    let case = Case::new();
    let mut counts = Vec::new();
    for (number, entries) in [0..2 * MANY, 2 * MANY..8 * MANY].into_iter().enumerate() {
        case.publish_all(entries);
        // What is new is read once.
        case.lookup();
        case.opened_by_save(&format!("warm-{number}"));
        let found = case.opened(&LOOKUP);
        let missed = case.opened(&["restore", "--json", "--key", "none", "tree"]);
        let saved = case.opened_by_save(&format!("more-{number}"));
        counts.push([found, missed, saved]);
    }
    for (few, many) in counts[0].into_iter().zip(counts[1]) {
        assert!(many <= few + 10, "{counts:?}");
    }
}

#[test]
fn a_lookup_looks_at_no_entry_besides_the_one_it_finds_while_none_changed() {
    let what = "counting files that are looked at";
    let case = Case::new();
    if !is_installed("strace", what) || !case.has_own_ctimes(what) {
        return;
    }
    let mut counts = Vec::new();
    for entries in [0..2 * MANY, 2 * MANY..8 * MANY] {
        case.publish_all(entries);
        wait_until_kept();
        case.lookup();
        let unchanged = case.counted(LOOKS, &LOOKUP);
        case.publish("k-0", 0);
        counts.push([unchanged, case.counted(LOOKS, &LOOKUP)]);
    }
    let ([few, _], [many, changed]) = (counts[0], counts[1]);
    assert!(many <= few + 10, "{counts:?}");
    // What is counted are the looks at entries: after a change, each of them is looked at.
    assert!(changed > many + 8 * MANY as usize, "{counts:?}");
}

#[test]
fn a_lookup_in_a_later_boot_looks_at_all_entries_again() {
    let what = "a later boot of the machine";
    let case = Case::new();
    let boot = later_boot(&case.sandbox.path("boot"), what);
    let Some(boot) = boot.filter(|_| is_installed("strace", what)) else {
        return;
    };
    if !case.has_own_ctimes(what) {
        return;
    }
    case.publish_all(0..MANY);
    wait_until_kept();
    case.lookup();
    let looks = case.counted(LOOKS, &LOOKUP);
    let log = case.sandbox.path("counted");
    let strace = strace::log(LOOKS, log.to_str().unwrap());
    let words = [boot, strace].concat();
    let mut command = case.sandbox.command_behind(&words, &case.job, &LOOKUP);
    RunResult::of(&mut command).succeeded();
    let later = fs::read_to_string(&log).unwrap().lines().count();
    assert!(later > looks + MANY as usize, "{looks} and {later}");
}

#[test]
fn an_older_entry_in_the_file_of_a_newer_one_is_not_taken_for_the_newest() {
    let case = Case::new();
    case.publish_all(0..MANY);
    let newest = case.publish("k-new", MANY);
    wait_until_kept();
    assert_eq!(case.lookup(), "k-new");
    let older = Entry {
        created: at(0),
        ..decode(&newest)
    };
    // Into the same file: neither its name nor the directory changes.
    fs::write(&newest, older.encode().unwrap()).unwrap();
    assert_eq!(case.lookup(), format!("k-{}", MANY - 1));
}

#[test]
fn a_list_opens_as_many_files_for_entries_with_many_packs() {
    if !is_installed("strace", "counting opened files") {
        return;
    }
    let case = Case::new();
    let mut opened = Vec::new();
    for number in 0..9 {
        fs::write(case.job.join(format!("tree/{number}")), [number]).unwrap();
        // It adds a pack to those that the entry needs.
        let arguments = ["save", "--refresh", "--key", "k", "tree"];
        case.sandbox.run(&case.job, &arguments).succeeded();
        opened.push(case.opened(&["list"]));
    }
    assert_eq!(opened[0], opened[8], "{opened:?}");
}

#[test]
fn the_newest_of_many_entries_is_found_whatever_was_known_of_them() {
    let case = Case::new();
    case.publish_all(0..MANY);
    let newest = format!("k-{}", MANY - 1);
    assert_eq!(case.lookup(), newest);
    assert!(
        fs::read_dir(case.sandbox.store().join("keys"))
            .unwrap()
            .count()
            == 1
    );

    case.publish("k-new", MANY);
    assert_eq!(case.lookup(), "k-new");
    case.publish("k-7", MANY + 1);
    assert_eq!(case.lookup(), "k-7", "a replaced entry");
    let removed = case.publish("k-8", MANY + 2);
    assert_eq!(case.lookup(), "k-8");
    fs::remove_file(removed).unwrap();
    assert_eq!(case.lookup(), "k-7", "a removed entry");
    // Many have changed, so that all keys are written again.
    case.publish_all(0..MANY);
    assert_eq!(case.lookup(), "k-new");
}

#[test]
fn a_damaged_entry_of_many_is_a_miss_and_a_damaged_list_of_keys_is_none() {
    let case = Case::new();
    case.publish_all(0..MANY);
    let newest = case.publish("k-new", MANY);
    assert_eq!(case.lookup(), "k-new");
    fs::write(&newest, "damaged").unwrap();
    let ran = case.sandbox.run(&case.job, &LOOKUP).exited(0);
    assert_eq!(ran.warnings().len(), 1, "{ran:#?}");
    assert_eq!(ran.json()["cache-matched-key"], format!("k-{}", MANY - 1));

    let keys = fs::read_dir(case.sandbox.store().join("keys")).unwrap();
    for path in keys.map(|entry| entry.unwrap().path()) {
        let whole = fs::read(&path).unwrap();
        for length in [0, 10, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(case.lookup(), format!("k-{}", MANY - 1), "{length} bytes");
        }
        let mut changed = whole;
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(case.lookup(), format!("k-{}", MANY - 1), "a changed byte");
    }
}

#[test]
fn a_save_does_not_refer_to_a_damaged_pack_whose_contents_are_known() {
    let case = Case::new();
    let pack = case.add_pack(&[b"wanted", b"other"]);
    case.publish_all(0..MANY);
    fs::write(case.job.join("tree/file"), "anything").unwrap();
    case.sandbox.save(&case.job, "before").succeeded();
    assert!(case.sandbox.store().join("contents").exists());
    let bytes = fs::read(&pack).unwrap();
    fs::write(&pack, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(case.job.join("tree/file"), "wanted").unwrap();
    case.sandbox.save(&case.job, "after").succeeded();
    let other = case.sandbox.job("other");
    assert!(case.sandbox.restore(&other, "after").succeeded().is_hit());
    assert_eq!(fs::read(other.join("tree/file")).unwrap(), b"wanted");
}

#[test]
fn a_damaged_list_of_contents_is_none() {
    let case = Case::new();
    case.add_pack(&[b"known"]);
    case.publish_all(0..MANY);
    let contents = case.sandbox.store().join("contents");
    let packs = || {
        let packs = fs::read_dir(case.sandbox.store().join("packs")).unwrap();
        packs.count()
    };
    let mut number = 0;
    let mut save = |content: &str| {
        number += 1;
        let key = format!("save-{number}");
        fs::write(case.job.join("tree/file"), content).unwrap();
        case.sandbox.save(&case.job, &key).succeeded();
        let other = case.sandbox.job(&key);
        assert!(case.sandbox.restore(&other, &key).succeeded().is_hit());
        assert_eq!(
            fs::read_to_string(other.join("tree/file")).unwrap(),
            content
        );
    };
    save("known");
    let whole = fs::read(&contents).unwrap();
    let before = packs();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&contents, &whole[..length]).unwrap();
        save("known");
        assert_eq!(packs(), before, "{length} bytes");
        assert!(fs::read(&contents).unwrap() == whole, "{length} bytes");
    }
    // It now says that a pack holds what no pack holds.
    let [known, unknown] = [b"known".as_slice(), b"unknown"].map(|it| *blake3::hash(it).as_bytes());
    let mut changed = whole;
    let at = changed.windows(32).position(|digest| digest == known);
    changed[at.unwrap()..][..32].copy_from_slice(&unknown);
    fs::write(&contents, changed).unwrap();
    save("unknown");
}

#[test]
fn a_leftover_that_cannot_be_removed_is_no_reason_to_collect_again() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    fs::create_dir_all(job.join("tree")).unwrap();
    sandbox.save(&job, "k").succeeded();
    let mounted = sandbox.store().join("tmp/left/mounted");
    fs::create_dir_all(&mounted).unwrap();
    let Some(_bound) = Mount::bind(&job, &mounted, "a directory that stays") else {
        return;
    };
    let collected = sandbox.store().join("collected");
    drop(fs::remove_file(&collected));
    let pruned = sandbox.prune(5).exited(0);
    assert_eq!(pruned.warnings().len(), 1, "{pruned:#?}");
    assert!(mounted.exists() && collected.exists());
}

#[test]
fn a_prune_removes_what_was_kept_to_read_less() {
    let case = Case::new();
    case.publish_all(0..MANY);
    case.lookup();
    case.sandbox.save(&case.job, "other").succeeded();
    fs::write(case.job.join("tree/file"), "more").unwrap();
    case.sandbox.save(&case.job, "more").succeeded();
    let derived = || {
        let store = case.sandbox.store();
        let keys = fs::read_dir(store.join("keys")).unwrap().count();
        (keys, store.join("contents").exists())
    };
    assert_eq!(derived(), (1, true));
    case.sandbox.prune(1).succeeded();
    assert_eq!(derived(), (0, false));
}

#[test]
fn a_collection_says_that_there_is_no_garbage_until_an_entry_is_replaced() {
    let case = Case::new();
    let collected = case.sandbox.store().join("collected");
    let save = |arguments: &[&str]| {
        fs::write(case.job.join("tree/file"), arguments.concat()).unwrap();
        let arguments = [&["save", "--json"], arguments, &["tree"]].concat();
        case.sandbox.run(&case.job, &arguments).succeeded();
    };
    assert!(!collected.exists());
    case.sandbox.prune(5).succeeded();
    assert!(collected.exists());
    save(&["--key", "second"]);
    assert!(collected.exists());
    save(&["--refresh", "--key", "third"]);
    assert!(collected.exists(), "there is nothing to replace");
    save(&["--refresh", "--key", "second"]);
    assert!(!collected.exists());
}

/// An entry whose only file is in a pack that a collection has rewritten.
fn save_rewritten(case: &Case, number: usize) {
    let tree = case.job.join("tree");
    let kept = tree.join("file");
    fs::write(&kept, trees::random_bytes(number as u64, 1_000)).unwrap();
    for dead in 0..20 {
        let seed = (1_000 * number + dead) as u64;
        let path = tree.join(format!("dead-{dead}"));
        fs::write(path, trees::random_bytes(seed, 100_000)).unwrap();
    }
    case.sandbox.save(&case.job, "large").succeeded();
    for dead in 0..20 {
        fs::remove_file(tree.join(format!("dead-{dead}"))).unwrap();
    }
    let key = format!("kept-{number}");
    case.sandbox.save(&case.job, &key).succeeded();
    let arguments = ["rm", "--yes", "large"];
    case.sandbox.run(&case.job, &arguments).succeeded();
    let packs = fs::read_dir(case.sandbox.store().join("packs")).unwrap();
    let names = packs.map(|entry| entry.unwrap().path());
    let rewritten = names.filter(|path| path.extension() == Some(OsStr::new("moved")));
    assert_eq!(rewritten.count(), number + 1);
}

#[test]
fn what_a_collection_opens_grows_with_the_rewritten_packs_and_not_with_their_square() {
    if !is_installed("strace", "counting opened files") {
        return;
    }
    let case = Case::new();
    let mut opened = Vec::new();
    for numbers in [0..2, 2..4, 4..8] {
        numbers.for_each(|number| save_rewritten(&case, number));
        opened.push(case.opened(&["prune", "--keep", "100"]));
    }
    let growth = [opened[1] - opened[0], opened[2] - opened[1]];
    assert!(growth[1] <= 2 * growth[0] + 2, "{opened:?}");
}
