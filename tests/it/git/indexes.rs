//! An index that cannot be used makes all files count, and none of them has a blob.

use std::fs;

use super::{Checkout, names};

/// A checkout with a tracked file that is ignored, and an ignored one.
fn checkout() -> Option<Checkout> {
    let checkout = Checkout::new()?;
    checkout.write(".gitignore", "*.o\n");
    checkout.write("a", "1");
    checkout.write("dir/b", "1");
    checkout.write("tracked.o", "1");
    checkout.commit();
    checkout.git(&["add", "--force", "tracked.o"]);
    checkout.write("other.o", "1");
    checkout.commit_and_settle();
    Some(checkout)
}

#[track_caller]
fn nothing_is_known(checkout: &Checkout, reason: &str) {
    let listing = checkout.list();
    let all = [".gitignore", "a", "dir/b", "other.o", "tracked.o"];
    assert_eq!(names(&listing), all);
    assert!(
        listing
            .files
            .iter()
            .all(|file| file.blob.is_none() && !file.tracked)
    );
    let [error] = &listing.unusable[..] else {
        panic!("{:?}", listing.unusable);
    };
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn a_split_index_is_not_used() {
    let Some(checkout) = checkout() else {
        return;
    };
    assert_eq!(checkout.list().files.len(), 4);
    checkout.git(&["update-index", "--split-index"]);
    nothing_is_known(&checkout, "a split index");
    checkout.git(&["update-index", "--no-split-index"]);
    checkout.settle();
    assert_eq!(checkout.blobs(), checkout.blobs_of_git());
}

#[test]
fn a_sparse_index_is_not_used() {
    let Some(checkout) = checkout() else {
        return;
    };
    checkout.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "none"]);
    // The sparse checkout has removed it.
    checkout.write("dir/b", "1");
    nothing_is_known(&checkout, "a sparse index");
}

#[test]
fn a_damaged_index_is_not_used() {
    let Some(checkout) = checkout() else {
        return;
    };
    let path = checkout.path().join(".git/index");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 3, 40, 150, bytes.len() / 2] {
        fs::write(&path, &bytes[..length]).unwrap();
        nothing_is_known(&checkout, "is damaged");
    }
    fs::write(&path, [b"DIRC\0\0\0\x05", &bytes[8..]].concat()).unwrap();
    nothing_is_known(&checkout, "version 5");
}

#[test]
fn extensions_of_git_are_skipped() {
    let Some(checkout) = checkout() else {
        return;
    };
    // A cache of trees, of untracked files, and of the ends of blocks of entries.
    checkout.git(&["config", "index.threads", "2"]);
    checkout.git(&["update-index", "--untracked-cache"]);
    checkout.git(&["status"]);
    checkout.settle();
    let bytes = fs::read(checkout.path().join(".git/index")).unwrap();
    for name in ["TREE", "UNTR"] {
        let found = bytes.windows(4).any(|window| window == name.as_bytes());
        assert!(found, "{name}");
    }
    assert_eq!(checkout.blobs(), checkout.blobs_of_git());
}

#[test]
fn a_repository_that_is_not_supported_makes_all_files_count() {
    let Some(checkout) = checkout() else {
        return;
    };
    let config = checkout.path().join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    for (more, reason) in [
        ("[extensions]\n\tobjectFormat = md5\n", "`md5`"),
        ("[core]\n\tworktree = ../..\n", "has its checkout in ../.."),
    ] {
        fs::write(&config, format!("{text}{more}")).unwrap();
        nothing_is_known(&checkout, reason);
    }
    let here = format!("{text}[core]\n\tworktree = {}\n", checkout.path().display());
    fs::write(&config, here).unwrap();
    assert_eq!(checkout.blobs(), checkout.blobs_of_git());
    // The file of a linked checkout whose repository is elsewhere, such as outside a container.
    fs::rename(
        checkout.path().join(".git"),
        checkout.path().join("dir/.git"),
    )
    .unwrap();
    fs::rename(checkout.path().join("dir"), checkout.path().join("moved")).unwrap();
    fs::remove_dir_all(checkout.path().join("moved")).unwrap();
    checkout.write("dir/b", "1");
    fs::write(checkout.path().join(".git"), "gitdir: /nonexistent/x\n").unwrap();
    nothing_is_known(&checkout, "names no repository");
}
