use std::time::Duration;

use super::*;
use crate::fs::proves_unchanged;
use crate::store::CacheKind;
use crate::store::entries_state::wait_until_quiet;

struct LargeGroup {
    _dir: tempfile::TempDir,
    store: Store,
    group: EntryGroup,
}

impl LargeGroup {
    /// A group with the entries 0 to `MANY`.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("cache")).unwrap();
        let group = EntryGroup {
            scope: String::new(),
            git_ref: String::new(),
            kind: CacheKind::Path,
            paths: vec!["tree".to_owned()],
        };
        let case = Self {
            _dir: dir,
            store,
            group,
        };
        for number in 0..=MANY {
            case.put(number, 0);
        }
        case
    }

    fn id(&self, number: usize) -> EntryId {
        self.group.entry_id(&number.to_string())
    }

    fn put(&self, number: usize, created: i64) {
        let entry = Entry {
            created: Timestamp {
                seconds: created,
                nanoseconds: 0,
            },
            ..Entry::empty(self.group.clone(), &number.to_string())
        };
        let path = self.store.layout.entry(&entry.id());
        let bytes = entry.encode().unwrap();
        self.store.write_atomically(&path, &bytes).unwrap();
    }

    fn lock(&self) -> SharedLock {
        self.store.lock_shared(Duration::ZERO).unwrap()
    }

    /// The keys, and how many entries were read.
    fn keys(&self) -> (Vec<EntryKey>, usize) {
        let lock = self.lock();
        let mut reads = 0;
        let read = |id: &EntryId| {
            reads += 1;
            self.store.read_entry(id)
        };
        let keep = KeepKeys::IfAny(&lock);
        let keys = self.store.entry_keys(&self.group, keep, read).unwrap();
        (keys, reads)
    }

    /// Lets the next reader find the keys of the state in which `entries` is now.
    fn keep(&self) {
        wait_until_quiet();
        self.keys();
        let is_complete = self.kept(|kept| kept.complete_in.is_some());
        assert_eq!(is_complete, self.proves_unchanged());
    }

    fn proves_unchanged(&self) -> bool {
        proves_unchanged(&self.store.layout.entries()).unwrap()
    }

    fn kept<T>(&self, get: impl FnOnce(&KeyRecords<'_>) -> T) -> T {
        let path = self.store.layout.keys(&self.group.id());
        get(&self.store.open_derived(&path).unwrap().decode().unwrap())
    }

    /// The time of an entry's save, as the keys have it.
    fn created(&self, number: usize) -> Option<i64> {
        let (keys, _) = self.keys();
        let of_key = |key: &&EntryKey| key.key == number.to_string();
        keys.iter().find(of_key).map(|key| key.created.seconds)
    }
}

#[test]
fn what_was_kept_is_as_what_was_read() {
    let case = LargeGroup::new();
    let (read, reads) = case.keys();
    assert_eq!((read.len(), reads), (MANY + 1, MANY + 1));
    case.keep();
    assert_eq!(case.keys(), (read, 0));
}

#[test]
fn an_added_a_removed_and_a_replaced_entry_are_seen_after_any_state() {
    let case = LargeGroup::new();
    case.keep();
    case.put(MANY + 1, 1);
    assert_eq!(case.created(MANY + 1), Some(1));
    case.keep();
    case.put(MANY + 1, 2);
    assert_eq!(case.created(MANY + 1), Some(2));
    // With the same tick of the clock, and with inodes that are used again.
    for created in 3..50 {
        case.put(MANY + 1, created);
        assert_eq!(case.created(MANY + 1), Some(created));
    }
    case.keep();
    let removed = case.store.layout.entry(&case.id(MANY + 1));
    case.store.dir.remove(&removed).unwrap();
    assert_eq!(case.created(MANY + 1), None);
    assert_eq!(case.created(MANY), Some(0));
}

#[test]
fn a_changed_entry_is_the_only_one_that_is_read() {
    let case = LargeGroup::new();
    case.keep();
    for (number, expected) in [(0, MANY + 1), (MANY / 2, MANY + 1), (MANY + 1, MANY + 2)] {
        case.put(number, 5);
        let (keys, reads) = case.keys();
        assert_eq!((keys.len(), reads), (expected, 1), "{number}");
        case.keep();
    }
    let removed = case.store.layout.entry(&case.id(7));
    case.store.dir.remove(&removed).unwrap();
    let (keys, reads) = case.keys();
    assert_eq!((keys.len(), reads), (MANY + 1, 0));
}

#[test]
fn keys_without_an_entry_that_cannot_be_read_now_are_not_all() {
    let case = LargeGroup::new();
    let lock = case.lock();
    wait_until_quiet();
    let unreadable = case.id(3);
    let read = |id: &EntryId| match case.store.read_entry(id) {
        _ if *id == unreadable => Ok(None),
        read => read,
    };
    let keep = KeepKeys::IfAny(&lock);
    let keys = case.store.entry_keys(&case.group, keep, read).unwrap();
    assert_eq!(keys.len(), MANY);
    assert!(case.kept(|kept| kept.complete_in.is_none()));
    let (keys, reads) = case.keys();
    assert_eq!((keys.len(), reads), (MANY + 1, 1));
}

#[test]
fn who_changes_an_entry_next_keeps_only_what_takes_long_to_read() {
    let case = LargeGroup::new();
    let lock = case.lock();
    let path = case.store.layout.keys(&case.group.id());
    let file = || case.store.dir.stat(&path).unwrap();
    let keys = |keep| {
        wait_until_quiet();
        let read = |id: &EntryId| case.store.read_entry(id);
        case.store.entry_keys(&case.group, keep, read).unwrap();
        file().map(|stat| stat.inode)
    };
    assert_eq!(keys(KeepKeys::Never), None);
    let first = keys(KeepKeys::IfMany(&lock));
    assert!(first.is_some());
    case.put(0, 1);
    assert_eq!(keys(KeepKeys::Never), first);
    assert_eq!(keys(KeepKeys::IfMany(&lock)), first);
    let is_kept = keys(KeepKeys::IfAny(&lock)) != first;
    assert_eq!(is_kept, case.proves_unchanged());
}

#[test]
fn a_list_of_version_1_is_ignored() {
    let case = LargeGroup::new();
    let lock = case.lock();
    let (id, time) = (case.id(0).to_string(), Timestamp::default());
    let record = (id, (0_u64, time), "0".to_owned(), time);
    let path = case.store.layout.keys(&case.group.id());
    case.keys();
    let list = vec![record; MANY + 1];
    case.store.write_derived(&lock, &path, &list).unwrap();
    assert_eq!(case.keys().0.len(), MANY + 1);
    case.keep();
}
