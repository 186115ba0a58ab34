//! Submodules, repositories in repositories, and linked checkouts.

use std::fs;

use local_cache::git::{Repository, list_files};
use local_cache::{Local, Rooted};

use super::{Checkout, git, list_all, names};

/// A checkout with a submodule `sub`, and the submodule's repository.
fn with_submodule() -> Option<(Checkout, Checkout)> {
    let (outer, inner) = (Checkout::new()?, Checkout::new()?);
    inner.write("lib.rs", "1");
    inner.write("tracked.o", "1");
    inner.commit();
    outer.write("main.rs", "1");
    let source = inner.path().to_str().unwrap();
    outer.git(&["submodule", "--quiet", "add", source, "sub"]);
    outer.commit_and_settle();
    git(
        &outer.path().join("sub"),
        &["update-index", "--force-write-index"],
    );
    Some((outer, inner))
}

#[test]
fn a_submodule_is_listed_with_its_own_index() {
    let Some((outer, _inner)) = with_submodule() else {
        return;
    };
    // Patterns of the outer repository do not apply in the submodule, and do not hide it.
    outer.write(".gitignore", "*.o\nsub\n*.new\n");
    outer.write("sub/a.new", "1");
    outer.write("sub/b", "1");
    outer.write("sub/.gitignore", "b\n");
    let listing = outer.list();
    let all = [
        ".gitignore",
        ".gitmodules",
        "main.rs",
        "sub/.gitignore",
        "sub/a.new",
        "sub/lib.rs",
        "sub/tracked.o",
    ];
    assert_eq!(names(&listing), all);
    let clean: Vec<String> = listing
        .files
        .iter()
        .filter(|file| file.blob.is_some())
        .map(|file| super::text(&file.path))
        .collect();
    assert_eq!(
        clean,
        [".gitmodules", "main.rs", "sub/lib.rs", "sub/tracked.o"]
    );
    let below = list_all(&outer.path().join("sub"));
    assert_eq!(names(&below).len(), 4);
}

#[test]
fn a_repository_in_a_repository_is_listed_unless_it_is_ignored() {
    let Some(outer) = Checkout::new() else {
        return;
    };
    for name in ["a/nested", "deps/nested"] {
        outer.write(&format!("{name}/x"), "1");
        outer.write(&format!("{name}/y.o"), "1");
        outer.write(&format!("{name}/.gitignore"), "*.o");
        git(&outer.path().join(name), &["init", "--quiet"]);
        git(&outer.path().join(name), &["add", "x"]);
    }
    outer.write(".gitignore", "/deps\n");
    let listing = outer.list();
    let all = [".gitignore", "a/nested/.gitignore", "a/nested/x"];
    assert_eq!(names(&listing), all);
    assert!(listing.files[2].tracked && !listing.files[1].tracked);
}

#[test]
fn a_submodule_whose_repository_is_missing_counts_as_a_whole() {
    let Some((outer, _inner)) = with_submodule() else {
        return;
    };
    outer.write("sub/.gitignore", "*\n");
    outer.write("sub/b", "1");
    fs::remove_dir_all(outer.path().join(".git/modules/sub")).unwrap();
    let listing = outer.list();
    assert_eq!(listing.unusable.len(), 1, "{:?}", listing.unusable);
    assert!(names(&listing).contains(&"sub/b".to_owned()));
    let in_sub = listing
        .files
        .iter()
        .filter(|file| file.path.starts_with("sub"));
    assert!(in_sub.clone().count() == 4);
    assert!(in_sub.into_iter().all(|file| file.blob.is_none()));
}

#[test]
fn a_linked_checkout_has_its_own_index_and_the_exclusions_of_all() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("a", "1");
    checkout.commit();
    checkout.write(".git/info/exclude", "ignored\n");
    let linked = Checkout {
        dir: tempfile::tempdir().unwrap(),
    };
    let path = linked.path().to_str().unwrap();
    checkout.git(&["worktree", "add", "--quiet", "-b", "other", path]);
    linked.write("ignored", "1");
    linked.write("b", "2");
    linked.git(&["add", "b"]);
    linked.settle();
    assert_eq!(names(&linked.list()), ["a", "b"]);
    assert_eq!(linked.blobs(), linked.blobs_of_git());
    assert_eq!(linked.blobs().len(), 2);
    assert_eq!(names(&checkout.list()), ["a"]);
    let found = Repository::find(&Local::default(), linked.path());
    let found = found.unwrap().unwrap();
    assert_eq!(
        found.common_dir().canonicalize().unwrap(),
        checkout.path().join(".git")
    );
    assert_ne!(found.git_dir(), found.common_dir());
}

#[test]
fn absolute_paths_in_files_of_git_are_names_of_the_host() {
    let host = tempfile::tempdir().unwrap();
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("a", "1");
    checkout.commit();
    let linked = checkout.path().join("linked");
    let path = linked.to_str().unwrap();
    checkout.git(&["worktree", "add", "--quiet", "-b", "other", path]);
    git(&linked, &["update-index", "--force-write-index"]);
    let host = host.path().join("host");
    fs::rename(checkout.path(), &host).unwrap();
    let linked = host.join("linked");
    fs::write(linked.join(".git"), "gitdir: /.git/worktrees/linked\n").unwrap();
    fs::write(host.join(".git/worktrees/linked/commondir"), "/.git\n").unwrap();
    let rooted = Rooted::new(host, Vec::new(), "/home".into());
    let listing = list_files(&rooted, &linked, &|_| false).unwrap();
    assert!(listing.unusable.is_empty(), "{:?}", listing.unusable);
    assert_eq!(names(&listing), ["a"]);
    assert!(listing.files[0].tracked);
    let local = list_files(&Local::default(), &linked, &|_| false).unwrap();
    assert_eq!(local.unusable.len(), 1);
    assert!(!local.files[0].tracked);
}
