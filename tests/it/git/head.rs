//! The commit that is checked out, compared with `git rev-parse`.

use std::fs;
use std::path::{Path, PathBuf};

use local_cache::Local;
use local_cache::git::{Head, Repository};

use super::{Checkout, git};

fn head(dir: &Path) -> Head {
    let repository = Repository::find(&Local::default(), dir).unwrap().unwrap();
    repository.head().unwrap()
}

#[track_caller]
fn same_as_git(dir: &Path) -> Vec<PathBuf> {
    let head = head(dir);
    let commit = String::from_utf8(git(dir, &["rev-parse", "HEAD"])).unwrap();
    assert_eq!(head.commit.as_deref(), Some(commit.trim_end()));
    let common = git(
        dir,
        &["rev-parse", "--path-format=absolute", "--git-common-dir"],
    );
    let common = PathBuf::from(String::from_utf8(common).unwrap().trim_end());
    let files = head.files.iter().map(|file| {
        assert!(file.is_file(), "{}", file.display());
        let file = fs::canonicalize(file).unwrap();
        file.strip_prefix(&common).unwrap().to_owned()
    });
    files.collect()
}

#[test]
fn head_is_the_commit_of_git_in_all_forms() {
    for arguments in [&[][..], &["--object-format=sha256"]] {
        let Some(checkout) = Checkout::with(arguments) else {
            return;
        };
        checkout.write("sub/a", "1");
        let unborn = head(checkout.path());
        assert_eq!(unborn.commit, None);
        assert_eq!(unborn.files.len(), 1);
        checkout.commit();
        let loose = ["HEAD", "refs/heads/main"].map(PathBuf::from);
        assert_eq!(same_as_git(&checkout.path().join("sub")), loose);
        checkout.git(&["switch", "--quiet", "--create", "feature/x"]);
        checkout.git(&["pack-refs", "--all"]);
        let packed = ["HEAD", "packed-refs"].map(PathBuf::from);
        assert_eq!(same_as_git(checkout.path()), packed);
        checkout.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/feature/x"]);
        checkout.git(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
        let chain = ["HEAD", "refs/heads/alias", "packed-refs"].map(PathBuf::from);
        assert_eq!(same_as_git(checkout.path()), chain);
        checkout.git(&["checkout", "--quiet", "--detach"]);
        assert_eq!(same_as_git(checkout.path()), [PathBuf::from("HEAD")]);
    }
}

#[test]
fn a_linked_checkout_has_its_own_head() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    checkout.write("a", "1");
    checkout.commit();
    let linked = tempfile::tempdir().unwrap();
    let linked = linked.path().join("linked");
    checkout.git(&[
        "worktree",
        "add",
        "--quiet",
        "-b",
        "other",
        linked.to_str().unwrap(),
    ]);
    checkout.write("a", "2");
    checkout.commit();
    assert_eq!(
        same_as_git(&linked),
        ["worktrees/linked/HEAD", "refs/heads/other"].map(PathBuf::from)
    );
    assert_ne!(head(&linked).commit, head(checkout.path()).commit);
}

#[test]
fn refs_in_a_circle_and_other_damage_are_errors() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    let repository = Repository::find(&Local::default(), checkout.path());
    let repository = repository.unwrap().unwrap();
    for text in [
        "ref: refs/heads/circle\n",
        "ref: ../../outside\n",
        "0123\n",
        "",
        "\u{fffd}",
    ] {
        for name in [".git/HEAD", ".git/refs/heads/circle"] {
            checkout.write(name, text);
        }
        let error = repository.head().unwrap_err().to_string();
        assert!(
            error.ends_with("does not lead to a commit; the commit is not known"),
            "{error}"
        );
    }
}

#[test]
fn refs_that_are_not_files_are_an_error() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    let config = checkout.path().join(".git/config");
    let text = fs::read_to_string(&config).unwrap() + "[extensions]\n\trefStorage = reftable\n";
    fs::write(config, text).unwrap();
    let repository = Repository::find(&Local::default(), checkout.path());
    let error = repository.unwrap().unwrap().head().unwrap_err().to_string();
    assert!(error.contains("refs"), "{error}");
}
