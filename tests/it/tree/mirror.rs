//! Restoring with `--mirror` into a directory that matched its entry earlier: names that were added
//! since are removed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::compare::{Snapshot, assert_same, snapshot};
use crate::support::mounts::Mount;
use crate::support::tools::{is_root, skip};
use crate::support::{Sandbox, trees};

struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    wanted: Snapshot,
}

impl Case {
    /// A saved tree that matched its entry at the last restore with `--mirror`; `prepare` changes
    /// it before that.
    fn with(prepare: impl FnOnce(&Path)) -> Self {
        let sandbox = Sandbox::new();
        let job = sandbox.job("one");
        let tree = job.join("tree");
        fs::create_dir_all(tree.join("sub/deep")).unwrap();
        for name in ["top", "sub/file", "sub/deep/file"] {
            fs::write(tree.join(name), name).unwrap();
        }
        for dir in ["sub/deep", "sub", ""] {
            trees::set_modified(&tree.join(dir), 1_700_000_000, 1);
        }
        sandbox.save(&job, "k").succeeded();
        let wanted = snapshot(&tree);
        prepare(&job);
        sandbox.mirror(&job, "k").succeeded();
        Self {
            sandbox,
            job,
            wanted,
        }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn at(&self, name: &str) -> PathBuf {
        self.job.join("tree").join(name)
    }

    /// Changes a directory and then resets its modification time.
    fn under_the_old_time(&self, dir: &str, act: impl FnOnce(&Path)) {
        act(&self.at(dir));
        trees::set_modified(&self.at(dir), 1_700_000_000, 1);
    }

    /// Mirrors again and demands that the tree equals the saved one.
    #[track_caller]
    fn is_mended(&self, removed: u64) {
        let report = self.sandbox.mirror(&self.job, "k").succeeded().json();
        assert_same(&self.wanted, &snapshot(&self.job.join("tree")));
        assert_eq!(report["removed-files"], removed);
    }
}

#[test]
fn without_added_names_nothing_is_removed() {
    Case::new().is_mended(0);
}

#[test]
fn a_name_added_under_the_old_time_is_removed() {
    let case = Case::new();
    case.under_the_old_time("sub/deep", |dir| fs::write(dir.join("added"), "").unwrap());
    case.is_mended(1);
    case.is_mended(0);
}

#[test]
fn a_name_that_a_restore_without_mirror_left_is_removed() {
    let case = Case::new();
    case.under_the_old_time("sub", |dir| fs::write(dir.join("added"), "").unwrap());
    case.sandbox.restore(&case.job, "k").succeeded();
    assert!(case.at("sub/added").exists());
    case.is_mended(1);
}

#[test]
fn a_name_in_a_directory_that_was_moved_in_is_removed() {
    // Everything in the other directory is older than the last match of tree and entry.
    let case = Case::with(|job| {
        let other = job.join("other");
        fs::create_dir_all(other.join("deep")).unwrap();
        for name in ["file", "deep/file"] {
            fs::write(other.join(name), format!("sub/{name}")).unwrap();
        }
        fs::write(other.join("deep/added"), "").unwrap();
        for dir in ["deep", ""] {
            trees::set_modified(&other.join(dir), 1_700_000_000, 1);
        }
    });
    case.under_the_old_time("", |tree| {
        fs::rename(tree.join("sub"), case.job.join("old")).unwrap();
        fs::rename(case.job.join("other"), tree.join("sub")).unwrap();
    });
    let report = case.sandbox.mirror(&case.job, "k").succeeded().json();
    assert_eq!(report["removed-files"], 1);
    assert!(!case.at("sub/deep/added").exists());
}

#[test]
fn a_name_that_replaced_another_is_removed_and_the_other_is_restored() {
    let case = Case::new();
    case.under_the_old_time("sub", |dir| {
        fs::rename(dir.join("file"), dir.join("renamed")).unwrap();
    });
    case.is_mended(1);
}

#[test]
fn what_is_mounted_below_a_mirrored_directory_stays() {
    let case = Case::new();
    let precious = case.sandbox.path("precious");
    trees::write(&precious.join("deep/file"), b"precious");
    let mount_point = case.at("extra/below/mount");
    fs::create_dir_all(&mount_point).unwrap();
    trees::write(&case.at("extra/file"), b"x");
    trees::write(&case.at("extra/other/file"), b"x");
    let Some(mount) = Mount::bind(
        &precious,
        &mount_point,
        "a mount below a mirrored directory",
    ) else {
        return;
    };
    let mirrored = case.sandbox.mirror(&case.job, "k").exited(0);
    let warnings = mirrored.warnings();
    assert!(
        warnings.len() == 1
            && warnings[0].contains("tree/extra is not in the entry and stays there: ")
            && warnings[0].contains("mounted"),
        "{mirrored:#?}"
    );
    assert_eq!(fs::read(precious.join("deep/file")).unwrap(), b"precious");
    assert!(mount_point.join("deep/file").exists());
    // What is beside it goes.
    assert!(!case.at("extra/file").exists() && !case.at("extra/other").exists());
    drop(mount);
    case.sandbox.mirror(&case.job, "k").succeeded();
    assert_same(&case.wanted, &snapshot(&case.job.join("tree")));
}

#[test]
fn mirror_is_refused_where_lines_exclude_something() {
    let case = Case::new();
    trees::write(&case.at("extra"), b"mine");
    let arguments = ["restore", "--mirror", "--key", "k", "tree", "!tree/sub"];
    let line = case.sandbox.run(&case.job, &arguments).failed(2);
    assert!(line.contains("use only one of the two"), "{line}");
    assert!(case.at("extra").exists());
}

#[test]
fn a_closed_directory_of_another_user_breaks_neither_mirror_nor_move() {
    let what = "a directory of another user";
    if !is_root() {
        return skip("root", what);
    }
    let sandbox = Sandbox::without_rights();
    let job = sandbox.job("job");
    let tree = job.join("tree");
    trees::small(&tree, 1);
    sandbox.chown_all();
    let wanted = snapshot(&tree);
    trees::write(&tree.join("closed/file"), b"of root");
    trees::set_mode(&tree.join("closed"), 0o700);
    for round in 0..3 {
        let arguments = [
            "save",
            "--json",
            "--refresh",
            "--move",
            "--key",
            "k",
            "tree",
        ];
        let saved = sandbox.run(&job, &arguments).exited(0);
        assert_eq!(saved.warnings().len(), 2, "{saved:#?}");
        assert!(
            saved.stderr.contains("not moved into the store"),
            "{saved:#?}"
        );
        let mirrored = sandbox.mirror(&job, "k").exited(0);
        assert!(mirrored.is_hit(), "round {round}: {mirrored:#?}");
        let warnings = mirrored.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("tree/closed is not in the entry"),
            "{mirrored:#?}"
        );
        let mut found = snapshot(&tree);
        found.retain(|path, _| !path.starts_with("closed"));
        let names = |tree: &Snapshot| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&wanted));
    }
    fs::remove_dir_all(tree.join("closed")).unwrap();
    let arguments = [
        "save",
        "--json",
        "--refresh",
        "--move",
        "--key",
        "k",
        "tree",
    ];
    sandbox.run(&job, &arguments).succeeded();
    assert!(!tree.exists());
}
