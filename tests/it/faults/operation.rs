//! The operations, the state of the disk before each, and what must hold after it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::fault::Fault;
use crate::docker::programs::programs;
use crate::support::compare::{Snapshot, difference, snapshot};
use crate::support::{RunResult, Sandbox, trees};

/// An operation that is run with faults.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [&'static str],
    /// How many generations are in the store before.
    generations: usize,
    /// What is done to the job's tree before, if anything.
    prepare: Prepare,
    expect: Expect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prepare {
    /// The tree is of a generation that is not saved yet.
    NewTree,
    NoTree,
    /// The tree was restored as the first or second generation.
    Restored(usize),
    /// The second generation has a ready copy, and there is no tree.
    ReadyCopy,
    /// A byte of the store changed.
    Damage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Saved(&'static str),
    Restored(usize),
    /// One generation is removed.
    Pruned,
    /// Whatever cannot be restored is quarantined.
    Repaired,
}

const KEYS: [&str; 3] = ["1", "2", "3"];

pub(super) const FIRST_SAVE: Operation = Operation {
    name: "a first save",
    arguments: &["save", "--json", "--key", "3", "tree"],
    generations: 0,
    prepare: Prepare::NewTree,
    expect: Expect::Saved("3"),
};
pub(super) const SAVE: Operation = Operation {
    name: "a save",
    generations: 2,
    ..FIRST_SAVE
};
pub(super) const REFRESH: Operation = Operation {
    name: "a save that replaces",
    arguments: &["save", "--json", "--refresh", "--key", "2", "tree"],
    generations: 2,
    prepare: Prepare::NewTree,
    expect: Expect::Saved("2"),
};
pub(super) const MOVE: Operation = Operation {
    name: "a save that moves",
    arguments: &["save", "--json", "--move", "--key", "3", "tree"],
    ..SAVE
};
pub(super) const RESTORE_NEW: Operation = Operation {
    name: "a restore into nothing",
    arguments: &["restore", "--json", "--mirror", "--key", "2", "tree"],
    generations: 2,
    prepare: Prepare::NoTree,
    expect: Expect::Restored(2),
};
pub(super) const RESTORE_OVER: Operation = Operation {
    name: "a restore over another version",
    prepare: Prepare::Restored(1),
    ..RESTORE_NEW
};
pub(super) const RESTORE_SAME: Operation = Operation {
    name: "a restore of existing files",
    prepare: Prepare::Restored(2),
    ..RESTORE_NEW
};
pub(super) const RESTORE_READY: Operation = Operation {
    name: "a restore of a ready copy",
    prepare: Prepare::ReadyCopy,
    ..RESTORE_NEW
};
pub(super) const PRUNE: Operation = Operation {
    name: "a prune",
    arguments: &["prune", "--json", "--any-key", "--keep", "1"],
    generations: 2,
    prepare: Prepare::NoTree,
    expect: Expect::Pruned,
};
pub(super) const REPAIR: Operation = Operation {
    name: "a repair",
    arguments: &["verify", "--json", "--repair"],
    generations: 2,
    prepare: Prepare::Damage,
    expect: Expect::Repaired,
};

/// The tree of a generation: small and large files, links, directories, and attributes.
fn write_generation(tree: &Path, number: usize) {
    trees::small(tree, 1);
    trees::write(
        &tree.join("src/3.rs"),
        &trees::random_bytes(number as u64, 40 + number),
    );
    trees::write(
        &tree.join(format!("only-{number}/large")),
        &trees::random_bytes(70 + number as u64, 300 << 10),
    );
    // Not every filesystem has attributes.
    drop(xattr::set(tree.join("same"), "user.test", b"value"));
    trees::make_old(tree);
}

/// A sandbox in the state before an operation.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) job: PathBuf,
    /// The trees of the generations 1, 2 and 3.
    trees: Vec<Snapshot>,
    /// The keys of the generations that are saved.
    saved: &'static [&'static str],
    before: Snapshot,
    outside: Snapshot,
}

impl World {
    pub(super) fn new(operation: &Operation) -> Self {
        let sandbox = Sandbox::new().with_program(programs().local_cache.clone());
        let job = sandbox.job("job");
        let tree = job.join("tree");
        let mut trees = Vec::new();
        for number in 1..=3 {
            write_generation(&tree, number);
            trees.push(snapshot(&tree));
            if number <= operation.generations {
                sandbox.save(&job, KEYS[number - 1]).succeeded();
            }
            if number < 3 {
                fs::remove_dir_all(&tree).unwrap();
            }
        }
        if operation.prepare != Prepare::NewTree {
            fs::remove_dir_all(&tree).unwrap();
        }
        match operation.prepare {
            Prepare::NewTree | Prepare::NoTree => {}
            Prepare::Restored(number) => {
                let key = KEYS[number - 1];
                sandbox.restore(&job, key).succeeded();
            }
            Prepare::ReadyCopy => {
                sandbox.restore(&job, "2").succeeded();
                let arguments = ["save", "--refresh", "--move", "--key", "2", "tree"];
                sandbox.run(&job, &arguments).succeeded();
            }
            Prepare::Damage => damage(&sandbox),
        }
        let outside = sandbox.job("outside");
        trees::write(&outside.join("file"), b"outside of all trees");
        let before = snapshot(&tree);
        let outside = snapshot(&outside);
        Self {
            sandbox,
            job,
            trees,
            saved: &KEYS[..operation.generations],
            before,
            outside,
        }
    }

    /// Demands everything that must hold after a run with a fault.
    pub(super) fn check(
        &self,
        operation: &Operation,
        fault: Fault,
        ran: &RunResult,
    ) -> Result<(), String> {
        if ran.stderr.contains("panicked") {
            return Err("it panicked".to_owned());
        }
        if !matches!(ran.code, Some(0 | 1)) {
            return Err(format!("it ended with {:?}", ran.code));
        }
        // A message that cannot be written is lost.
        let is_silent = ran.stderr.is_empty() && ran.stdout.is_empty();
        if ran.code == Some(1) && is_silent && !fault.call.starts_with("write") {
            return Err("it failed without a message".to_owned());
        }
        if snapshot(&self.sandbox.path("outside")) != self.outside {
            return Err("something outside changed".to_owned());
        }
        let succeeded = ran.code == Some(0);
        match operation.expect {
            Expect::Saved(key) => self.check_save(key, fault, ran)?,
            Expect::Restored(number) => self.check_restore(number, ran)?,
            Expect::Pruned | Expect::Repaired => {}
        }
        self.check_others(operation, succeeded)?;
        self.repeat(operation)
    }

    fn tree(&self, number: usize) -> &Snapshot {
        &self.trees[number - 1]
    }

    fn check_save(&self, key: &str, fault: Fault, ran: &RunResult) -> Result<(), String> {
        let third = self.tree(3);
        let kept = snapshot(&self.job.join("tree"));
        let found = self.restored(key)?;
        if ran.code == Some(0) && ran.json()["saved"] == true {
            let found = found.as_ref().ok_or("reported as saved, and not found")?;
            self.check_saved(found, fault, ran)?;
        } else {
            // The entry was made before its line could not be printed.
            let is_made = ran.stderr.contains("cannot write the output")
                || fault.call.starts_with("write") && ran.stderr.is_empty();
            let before = self.saved.iter().position(|saved| *saved == key);
            let before = before.map(|index| &self.trees[index]);
            if found.as_ref() != before && !(is_made && found.as_ref() == Some(third)) {
                return Err("not reported as saved, and the entry changed".to_owned());
            }
        }
        // A save that moves takes the tree away if it is complete. Otherwise it stays as it is.
        let is_moved = kept.is_empty() && found.as_ref() == Some(third);
        if kept != *third && !is_moved {
            return Err("the saved tree changed".to_owned());
        }
        Ok(())
    }

    /// A save is complete. It may only skip what may not be read, and names that.
    fn check_saved(&self, found: &Snapshot, fault: Fault, ran: &RunResult) -> Result<(), String> {
        let third = self.tree(3);
        let skipped = ran.json()["left-out-files"].as_u64().unwrap();
        if skipped == 0 || fault.error != "EACCES" {
            if found != third {
                return Err(format!("saved: {}", difference(third, found)));
            }
            return Ok(());
        }
        let named = ran.stderr.matches(" is not cached: it may not be read");
        if named.count() as u64 != skipped {
            return Err(format!(
                "{skipped} names are skipped, and not all are named"
            ));
        }
        for (path, node) in third {
            // The skipped file may be the other name of this one.
            let is_right = found
                .get(path)
                .is_some_and(|found| found.same_contents(node));
            let mut names = path.ancestors().filter(|name| *name != Path::new(""));
            if !is_right && !names.any(|name| ran.stderr.contains(&*name.to_string_lossy())) {
                return Err(format!("{} is skipped, and not named", path.display()));
            }
        }
        Ok(())
    }

    fn check_restore(&self, number: usize, ran: &RunResult) -> Result<(), String> {
        let wanted = self.tree(number);
        let found = snapshot(&self.job.join("tree"));
        if ran.code == Some(0) && ran.is_hit() {
            // Links that the filesystem refuses become copies, which is reported. So is what stays
            // because it cannot be removed.
            let stays = |path: &Path| {
                let mut names = path.ancestors().filter(|name| *name != Path::new(""));
                names.any(|name| {
                    let warning = format!("/{} is not in the entry and stays", name.display());
                    ran.stderr.contains(&warning)
                })
            };
            let is_same = |path: &PathBuf| match (wanted.get(path), found.get(path)) {
                (Some(wanted), Some(found)) => {
                    wanted == found || (ran.stderr.contains("link") && wanted.same_contents(found))
                }
                (None, Some(_)) => stays(path),
                _ => false,
            };
            if !wanted.keys().chain(found.keys()).all(is_same) {
                return Err(format!(
                    "reported as restored: {}",
                    difference(wanted, &found)
                ));
            }
        } else if ran.code == Some(0) && ran.stderr.is_empty() && found != self.before {
            // With a warning, a part may have been restored before the entry became unusable.
            return Err(format!(
                "reported as a miss without a warning: {}",
                difference(&self.before, &found)
            ));
        }
        // Whatever a failed restore leaves is a whole file of either version.
        for (path, node) in &found {
            let is_temporary = path.to_string_lossy().contains(".local-cache-");
            let known = [wanted, &self.before];
            let is_known = known.iter().any(|tree| {
                tree.get(path)
                    .is_some_and(|known| known.same_contents(node))
            });
            if !is_known && !is_temporary && !node.is_directory() {
                return Err(format!("{} has other contents: {node:?}", path.display()));
            }
        }
        Ok(())
    }

    /// The entries that the operation does not touch can be restored.
    fn check_others(&self, operation: &Operation, succeeded: bool) -> Result<(), String> {
        for number in 1..=operation.generations {
            let key = KEYS[number - 1];
            let found = self.restored(key)?;
            let may_be_gone = match operation.expect {
                Expect::Pruned => number == 1,
                Expect::Repaired => number == 2,
                Expect::Saved(_) | Expect::Restored(_) => false,
            };
            let is_replaced = operation.expect == Expect::Saved(key);
            match found {
                Some(found) if found == *self.tree(number) => {
                    if operation.expect == Expect::Repaired && number == 2 {
                        return Err("damaged contents were restored as right ones".to_owned());
                    }
                }
                // Looked at by `check_save`.
                Some(_) if is_replaced => {}
                Some(_) => return Err(format!("entry {key} restores another tree")),
                None if may_be_gone => {}
                None => return Err(format!("entry {key} is lost (success: {succeeded})")),
            }
        }
        Ok(())
    }

    /// The tree of an entry; `None` on a miss.
    fn restored(&self, key: &str) -> Result<Option<Snapshot>, String> {
        let fresh = self.sandbox.job("fresh");
        let ran = self.sandbox.restore(&fresh, key);
        if ran.code != Some(0) {
            return Err(format!("a restore of {key} afterwards: {}", ran.stderr));
        }
        let found = ran.is_hit().then(|| snapshot(&fresh.join("tree")));
        fs::remove_dir_all(&fresh).unwrap();
        Ok(found)
    }

    /// The same operation without a fault completes.
    fn repeat(&self, operation: &Operation) -> Result<(), String> {
        let again = self.sandbox.run(&self.job, operation.arguments);
        let is_moved = operation.expect == Expect::Saved("3") && !self.job.join("tree").exists();
        if again.code != Some(0) && !is_moved {
            return Err(format!("the next run fails: {}", again.stderr));
        }
        if let Expect::Restored(number) = operation.expect {
            let (wanted, found) = (self.tree(number), snapshot(&self.job.join("tree")));
            if found != *wanted {
                let difference = difference(wanted, &found);
                return Err(format!("the next run restores {difference}"));
            }
        }
        Ok(())
    }
}

/// Changes a byte of contents that only the second generation has.
fn damage(sandbox: &Sandbox) {
    let wanted = trees::random_bytes(72, 300 << 10);
    let mut done = false;
    trees::walk(&sandbox.store(), &mut |path| {
        if path.is_file()
            && let bytes = fs::read(path).unwrap()
            && let Some(at) = find(&bytes, &wanted[..64])
        {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[!bytes[at + 5]], at as u64 + 5).unwrap();
            done = true;
        }
    });
    assert!(done, "the contents are in the store");
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut places = bytes.windows(wanted.len());
    places.position(|window| window == wanted)
}
