//! Copies of the directory in which jobs run, without target directories.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::files::{Node, set_time};

/// Whether a directory holds outputs of cargo.
fn is_target(path: &Path) -> bool {
    let is_marked = |name: &str| path.join(name).exists();
    path.file_name().is_some_and(|name| name == "target")
        || is_marked("CACHEDIR.TAG")
        || is_marked(".rustc_info.json")
}

/// Copies a tree with modification times. `with_targets` says whether target directories come
/// along; otherwise those with other names than `target` are empty, because a link may lead to
/// them.
pub(crate) fn copy(from: &Path, to: &Path, with_targets: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(&from).unwrap(), &to).unwrap();
        } else if kind.is_dir() {
            if with_targets || !is_target(&from) {
                copy(&from, &to, with_targets);
            } else if entry.file_name() != "target" {
                fs::create_dir(&to).unwrap();
                drop(fs::copy(from.join("CACHEDIR.TAG"), to.join("CACHEDIR.TAG")));
            }
            continue;
        } else {
            fs::copy(&from, &to).unwrap();
        }
        let time = from.symlink_metadata().unwrap().modified().unwrap();
        set_time(&to, time);
    }
    let time = from.metadata().unwrap().modified().unwrap();
    set_time(to, time);
}

/// The files of a tree, without target directories and `.git`.
pub(crate) fn sources(directory: &Path) -> BTreeMap<String, Node> {
    let mut found = BTreeMap::new();
    collect(directory, "", &mut found);
    found
}

fn collect(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Node>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().display());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(name, Node::Link(target.display().to_string()));
        } else if kind.is_dir() {
            if entry.file_name() != ".git" && !is_target(&path) {
                collect(&path, &format!("{name}/"), found);
            }
        } else {
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8(bytes)
                .unwrap_or_else(|error| blake3::hash(error.as_bytes()).to_string());
            found.insert(name, Node::Text(text));
        }
    }
}
