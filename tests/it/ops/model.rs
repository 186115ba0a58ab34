//! Random sequences of edits, saves, restores and prunings, compared with plain copies of the tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::{Sandbox, trees};

/// One operation.
#[derive(Clone, Debug)]
enum Step {
    Write {
        name: Index,
        size: usize,
        seed: u64,
    },
    SameSize {
        name: Index,
        seed: u64,
    },
    Touch {
        name: Index,
        seconds: i64,
    },
    Mode {
        name: Index,
        mode: u32,
    },
    Remove {
        name: Index,
    },
    Directory {
        name: Index,
    },
    Symlink {
        name: Index,
        target: Index,
    },
    HardLink {
        from: Index,
        to: Index,
    },
    Save,
    Restore {
        key: Index,
        place: usize,
        mirror: bool,
    },
    SpoilPlace {
        place: usize,
        name: Index,
        seed: u64,
    },
    Prune {
        keep: usize,
    },
}

const NAMES: [&str; 10] = [
    "a", "b", "d/a", "d/b", "d/e/a", "d/e/b", "f", "f/x", "g/h/i", "b/y",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = any::<Index>;
    let seed = any::<u64>;
    let sizes = prop_oneof![
        Just(0),
        1..2000_usize,
        Just(262_144),
        Just(262_145),
        Just(300_000)
    ];
    let step = prop_oneof![
        6 => (at(), sizes, seed()).prop_map(|(name, size, seed)| Step::Write { name, size, seed }),
        2 => (at(), seed()).prop_map(|(name, seed)| Step::SameSize { name, seed }),
        1 => (at(), -5..2_000_000_000_i64).prop_map(|(name, seconds)| Step::Touch { name, seconds }),
        1 => (at(), 0..8_u32).prop_map(|(name, mode)| Step::Mode { name, mode: 0o640 + mode }),
        2 => at().prop_map(|name| Step::Remove { name }),
        1 => at().prop_map(|name| Step::Directory { name }),
        1 => (at(), at()).prop_map(|(name, target)| Step::Symlink { name, target }),
        2 => (at(), at()).prop_map(|(from, to)| Step::HardLink { from, to }),
        4 => Just(Step::Save),
        5 => (at(), 0..2_usize, any::<bool>())
            .prop_map(|(key, place, mirror)| Step::Restore { key, place, mirror }),
        3 => (0..2_usize, at(), seed()).prop_map(|(place, name, seed)| Step::SpoilPlace { place, name, seed }),
        1 => (1..4_usize).prop_map(|keep| Step::Prune { keep }),
    ];
    proptest::collection::vec(step, 10..40)
}

/// The edited tree, two destinations, and the expected contents of the store.
struct Model {
    sandbox: Sandbox,
    job: PathBuf,
    places: [PathBuf; 2],
    saved: BTreeMap<String, Snapshot>,
    next_key: u32,
}

impl Model {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let job = sandbox.job("job");
        fs::create_dir(job.join("tree")).unwrap();
        let places = [sandbox.job("one"), sandbox.job("two")];
        Self {
            sandbox,
            job,
            places,
            saved: BTreeMap::new(),
            next_key: 0,
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Save => self.save(),
            Step::Restore { key, place, mirror } => self.restore(*key, *place, *mirror),
            Step::Prune { keep } => self.prune(*keep),
            Step::SpoilPlace { place, name, seed } => {
                let tree = self.places[*place].join("tree");
                if tree.exists() {
                    match seed % 4 {
                        0 => edit(
                            &tree,
                            &Step::Write {
                                name: *name,
                                size: 100,
                                seed: *seed,
                            },
                        ),
                        1 => edit(
                            &tree,
                            &Step::SameSize {
                                name: *name,
                                seed: *seed,
                            },
                        ),
                        2 => edit(&tree, &Step::Remove { name: *name }),
                        _ => edit(
                            &tree,
                            &Step::Symlink {
                                name: *name,
                                target: *name,
                            },
                        ),
                    }
                }
            }
            other => edit(&self.job.join("tree"), other),
        }
    }

    fn save(&mut self) {
        self.next_key += 1;
        let key = format!("k{}", self.next_key);
        assert!(self.sandbox.save(&self.job, &key).succeeded().is_saved());
        self.saved.insert(key, snapshot(&self.job.join("tree")));
    }

    fn restore(&self, key: Index, place: usize, mirror: bool) {
        if self.saved.is_empty() {
            return;
        }
        let (key, wanted) = self.saved.iter().nth(key.index(self.saved.len())).unwrap();
        let place = &self.places[place];
        if mirror {
            assert!(self.sandbox.mirror(place, key).succeeded().is_hit());
            assert_same(wanted, &snapshot(&place.join("tree")));
            return;
        }
        let before = if place.join("tree").exists() {
            snapshot(&place.join("tree"))
        } else {
            Snapshot::new()
        };
        let ran = self.sandbox.restore(place, key);
        let after = snapshot(&place.join("tree"));
        if ran.code == Some(1) && has_blocked_name(wanted, &before) {
            assert!(ran.stderr.contains("that is not empty"), "{}", ran.stderr);
            assert_same(&before, &after);
            return;
        }
        assert!(ran.succeeded().is_hit());
        for path in wanted.keys() {
            // A directory that keeps an extraneous name keeps its own time, so only its presence is
            // compared.
            let is_directory = format!("{:?}", wanted[path]).starts_with("directory");
            assert!(
                is_directory || without_links(wanted, path) == without_links(&after, path),
                "{}",
                path.display()
            );
        }
        for path in after.keys() {
            assert!(
                wanted.contains_key(path) || before.contains_key(path),
                "{} came from nowhere",
                path.display()
            );
        }
    }

    fn prune(&mut self, keep: usize) {
        self.sandbox.prune(keep).succeeded();
        let listed = self
            .sandbox
            .run(&self.job, &["list", "--json"])
            .succeeded()
            .json();
        let keys: Vec<&str> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["key"].as_str().unwrap())
            .collect();
        assert_eq!(keys.len(), keep.min(self.saved.len()));
        self.saved.retain(|key, _| keys.contains(&&**key));
    }
}

/// Whether a directory that is not empty has the name of a file or symlink of the entry. Without
/// `--mirror`, a restore does not replace it.
fn has_blocked_name(wanted: &Snapshot, before: &Snapshot) -> bool {
    let is_above = |path: &Path| {
        let mut others = before.keys();
        others.any(|other| other != path && other.starts_with(path))
    };
    let mut wanted = wanted.iter();
    wanted.any(|(path, node)| !node.is_directory() && is_above(path))
}

/// A node as text, without the other names of its file: an extraneous name may be the first of
/// them.
fn without_links(picture: &Snapshot, path: &Path) -> Option<String> {
    let text = format!("{:?}", picture.get(path)?);
    Some(
        text.split(", the same file")
            .next()
            .unwrap_or_default()
            .to_owned(),
    )
}

fn edit(tree: &Path, step: &Step) {
    let path = |name: &Index| tree.join(name.get(&NAMES));
    match step {
        Step::Write { name, size, seed } => {
            if make_room(tree, &path(name)) {
                fs::write(path(name), trees::random_bytes(*seed, *size)).unwrap();
            }
        }
        Step::SameSize { name, seed } => {
            if let Ok(metadata) = path(name).symlink_metadata()
                && metadata.is_file()
            {
                let size = usize::try_from(metadata.len()).unwrap();
                fs::write(path(name), trees::random_bytes(*seed, size)).unwrap();
            }
        }
        Step::Touch { name, seconds } => {
            if path(name).symlink_metadata().is_ok() {
                trees::set_modified(&path(name), *seconds, 5);
            }
        }
        Step::Mode { name, mode } => {
            if path(name)
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_file())
            {
                trees::set_mode(&path(name), *mode);
            }
        }
        Step::Remove { name } => remove(&path(name)),
        Step::Directory { name } => {
            if make_room(tree, &path(name)) {
                fs::create_dir(path(name)).unwrap();
            }
        }
        Step::Symlink { name, target } => {
            if make_room(tree, &path(name)) {
                symlink(target.get(&NAMES), path(name)).unwrap();
            }
        }
        Step::HardLink { from, to } => {
            let is_file = path(from)
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_file());
            if is_file
                && path(from) != path(to)
                && make_room(tree, &path(to))
                && path(from).exists()
            {
                fs::hard_link(path(from), path(to)).unwrap();
            }
        }
        Step::Save | Step::Restore { .. } | Step::SpoilPlace { .. } | Step::Prune { .. } => {}
    }
}

/// Makes the directories above a path and removes the path itself; false if a file is in the way.
fn make_room(tree: &Path, path: &Path) -> bool {
    let is_free = path
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(tree))
        .all(|above| {
            above
                .symlink_metadata()
                .map_or(true, |metadata| metadata.is_dir())
        });
    if is_free {
        remove(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    is_free
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn after_any_sequence_of_operations_a_restore_equals_what_was_saved(steps in steps()) {
        run(&steps);
    }
}

fn run(steps: &[Step]) {
    let mut model = Model::new();
    for step in steps {
        model.apply(step);
    }
    model.save();
    for (key, wanted) in &model.saved {
        model.sandbox.mirror(&model.places[1], key).succeeded();
        assert_same(wanted, &snapshot(&model.places[1].join("tree")));
    }
    model.sandbox.verify().succeeded();
}
