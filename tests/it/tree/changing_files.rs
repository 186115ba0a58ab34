//! Files that change while they are read: one state of the file is saved, or the file is skipped.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use local_cache::tree::scan::{ScanOptions, SkipReason, scan};
use local_cache::tree::{LeafId, ReadOutcome, Roots, Tree, TreeReader};

use crate::support::{Sandbox, tools, trees};

/// The tree at a path, with the number of its file `d/file`.
fn scanned(root: &Path) -> (Tree, Roots, LeafId) {
    let roots = Roots::new([((*b"./tree").into(), root.to_owned())]);
    let tree = scan(&roots, &ScanOptions::default()).unwrap().tree;
    let file = tree
        .leaf_ids()
        .find(|leaf| *tree[*leaf].name == *b"file")
        .unwrap();
    (tree, roots, file)
}

fn tree() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    trees::write(&root.join("d/file"), b"first");
    (dir, root)
}

#[test]
fn a_file_that_changes_once_is_read_again() {
    let (_dir, root) = tree();
    let (tree, roots, file) = scanned(&root);
    let mut reads = 0;
    let read = TreeReader::new(&tree, &roots).read(file, |mut file, _| {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        reads += 1;
        if reads == 1 {
            fs::write(root.join("d/file"), b"second state").unwrap();
        }
        Ok(text)
    });
    match read.unwrap() {
        ReadOutcome::Done(state, text) => assert_eq!((state.size, &*text), (12, "second state")),
        other => panic!("{other:?}"),
    }
    assert_eq!(reads, 2);
}

#[test]
fn a_file_that_keeps_changing_is_skipped() {
    let (_dir, root) = tree();
    let (tree, roots, file) = scanned(&root);
    let read = TreeReader::new(&tree, &roots).read(file, |_, _| {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(root.join("d/file"))
            .unwrap();
        file.write_all(b"more").unwrap();
        Ok(())
    });
    assert!(
        matches!(read, Ok(ReadOutcome::Skipped(SkipReason::Changing))),
        "{read:?}"
    );
}

#[test]
fn a_file_whose_directory_vanished_has_vanished() {
    let ways: [fn(&Path); 5] = [
        |root| fs::remove_file(root.join("d/file")).unwrap(),
        |root| fs::remove_dir_all(root.join("d")).unwrap(),
        |root| {
            fs::remove_dir_all(root.join("d")).unwrap();
            fs::write(root.join("d"), b"a file now").unwrap();
        },
        |root| {
            fs::rename(root.join("d"), root.join("elsewhere")).unwrap();
            symlink("elsewhere", root.join("d")).unwrap();
        },
        |root| {
            fs::remove_file(root.join("d/file")).unwrap();
            fs::create_dir(root.join("d/file")).unwrap();
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let (_dir, root) = tree();
        let (tree, roots, file) = scanned(&root);
        way(&root);
        let read = TreeReader::new(&tree, &roots).read(file, |_, _| Ok(()));
        assert!(
            matches!(read, Ok(ReadOutcome::Vanished)),
            "way {number}: {read:?}"
        );
    }
    // A symlink in place of the file is not followed.
    let (_dir, root) = tree();
    let (tree, roots, file) = scanned(&root);
    fs::rename(root.join("d/file"), root.join("d/other")).unwrap();
    symlink("other", root.join("d/file")).unwrap();
    let read = TreeReader::new(&tree, &roots).read(file, |_, _| Ok(()));
    assert!(
        matches!(read, Ok(ReadOutcome::Vanished | ReadOutcome::Skipped(_))),
        "{read:?}"
    );
}

#[test]
fn a_constantly_changing_tree_is_restored_in_one_of_its_states() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let tree = job.join("tree");
    for number in 0..40_u8 {
        trees::write(
            &tree.join(format!("{}/{number}", number % 4)),
            &[number; 3000],
        );
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u8.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                for number in 0..40_u8 {
                    // Written to a temporary file and renamed, as careful programs do: each state
                    // consists of one byte.
                    let path = tree.join(format!("{}/{number}", number % 4));
                    let beside = tree.join("beside");
                    fs::write(&beside, vec![round; 2000 + usize::from(round)]).unwrap();
                    fs::rename(&beside, &path).unwrap();
                }
                drop(fs::remove_dir_all(tree.join("comes-and-goes")));
                trees::write(&tree.join("comes-and-goes/deep/file"), &[round; 100]);
            }
        });
        for round in 0..8 {
            let ran = sandbox.save(&job, &format!("{round}"));
            assert_eq!(ran.code, Some(0), "{ran:#?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for round in 0..8 {
        sandbox.mirror(&other, &format!("{round}")).succeeded();
        trees::walk(&other.join("tree"), &mut |path| {
            if path.is_file() {
                let bytes = fs::read(path).unwrap();
                assert!(
                    bytes.iter().all(|byte| *byte == bytes[0]),
                    "{}: two states in one",
                    path.display()
                );
            }
        });
    }
    sandbox.verify().succeeded();
}

#[test]
fn without_proc_files_are_saved_too() {
    let what = "saving without /proc";
    if !tools::is_root() || !tools::is_installed("unshare", what) {
        return tools::skip("root", what);
    }
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    trees::small(&job.join("tree"), 1);
    let script = "mount -t tmpfs lc-test-proc /proc && exec \"$0\" \"$@\"";
    for (dir, command) in [(&job, "save"), (&other, "restore")] {
        let arguments = [command, "--json", "--key", "k", "tree"];
        let mut command =
            sandbox.command_behind(&["unshare", "-m", "sh", "-c", script], dir, &arguments);
        crate::support::RunResult::of(&mut command).succeeded();
    }
    let wanted = crate::support::compare::snapshot(&job.join("tree"));
    crate::support::compare::assert_same(
        &wanted,
        &crate::support::compare::snapshot(&other.join("tree")),
    );
}
