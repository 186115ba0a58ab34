//! Symlinks: in the paths that a step lists, below them, and where they are restored to.

use std::fs;
use std::path::Path;

use crate::support::machine::Machine;

#[test]
fn links_are_restored_as_links() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a/file", "1");
    job.link("a/to-file", "file");
    job.link("a/to-nothing", "nowhere");
    job.link("a/to-root", "/");
    job.saved("a", "k");
    let later = machine.job();
    later.found("a", "k", "");
    let target = |name: &str| fs::read_link(later.locate(name)).unwrap();
    assert_eq!(target("a/to-file"), Path::new("file"));
    assert_eq!(target("a/to-nothing"), Path::new("nowhere"));
    assert_eq!(target("a/to-root"), Path::new("/"));
}

#[test]
fn a_link_to_a_directory_is_saved_as_that_directory_if_the_path_names_it() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("real/file", "1");
    job.link("link", "real");
    job.saved("link", "k");
    job.saved("li*", "wildcard");
    let later = machine.job();
    later.found("link", "k", "");
    assert_eq!(later.read("link/file").as_deref(), Some("1"));
    assert!(!later.locate("link").is_symlink() && !later.locate("real").exists());
    let later = machine.job();
    later.found("li*", "wildcard", "");
    assert_eq!(
        fs::read_link(later.locate("link")).unwrap(),
        Path::new("real")
    );
    assert!(!later.locate("real").exists());
}

#[test]
fn a_link_into_another_path_is_saved_as_a_link() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("real/below/file", "1");
    job.link("link", "real/below");
    job.link("around", "real");
    job.saved("link\nreal/below\naround", "k");
    let later = machine.job();
    later.found("link\nreal/below\naround", "k", "");
    assert_eq!(later.read("real/below/file").as_deref(), Some("1"));
    assert!(later.locate("link").is_symlink() && later.locate("around").is_symlink());
    // The same again, where the links are.
    assert_eq!(
        later.found("link\nreal/below\naround", "k", "").as_deref(),
        Some("k")
    );
}

#[test]
fn a_link_that_leads_nowhere_counts_as_missing() {
    let machine = Machine::new();
    let job = machine.job();
    job.link("link", "nowhere");
    job.file("a", "1");
    let done = job.save().with("path", "link").with("key", "k").main();
    done.passed().logs("Path Validation Error");
    job.saved("link\na", "k");
}

#[test]
fn patterns_look_into_linked_directories() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("$TMP/elsewhere/x", "1");
    job.link("link", job.locate("$TMP/elsewhere"));
    job.saved("link/*", "k");
    fs::remove_file(job.locate("link/x")).unwrap();
    assert_eq!(job.found("link/*", "k", "").as_deref(), Some("k"));
    assert_eq!(job.read("$TMP/elsewhere/x").as_deref(), Some("1"));
}

#[test]
fn a_directory_below_a_link_is_restored_below_the_link() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("$TMP/big-disk/pip/x", "1");
    job.link("~/.cache", job.locate("$TMP/big-disk"));
    job.saved("~/.cache/pip", "k");
    fs::remove_dir_all(job.locate("$TMP/big-disk/pip")).unwrap();
    assert_eq!(job.found("~/.cache/pip", "k", "").as_deref(), Some("k"));
    assert_eq!(job.read("$TMP/big-disk/pip/x").as_deref(), Some("1"));
}

#[test]
fn a_directory_is_restored_through_a_link_in_its_place_and_not_mirrored_there() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a/x", "1");
    job.saved("a", "k");
    let later = machine.job();
    later.file("$TMP/elsewhere/y", "2");
    later.link("a", later.locate("$TMP/elsewhere"));
    let mirrored = later.mirrored("a", "k");
    mirrored
        .logs("::warning title=local-cache::")
        .logs("where nothing may be removed")
        .logs("Cache not found");
    assert!(!later.locate("$TMP/elsewhere/x").exists());
    assert_eq!(later.found("a", "k", "").as_deref(), Some("k"));
    assert_eq!(later.read("$TMP/elsewhere/x").as_deref(), Some("1"));
    assert_eq!(later.read("$TMP/elsewhere/y").as_deref(), Some("2"));
    assert!(later.locate("a").is_symlink());
}
