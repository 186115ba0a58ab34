//! `local-cache show`: the properties of an entry and its tree.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::list::entry_json;
use super::text::{age_of, files_and_bytes, one_line, tree_path};
use crate::fmt::human::bytes;
use crate::ops::entries::{self, ListedEntry};
use crate::ops::path_list::printable;
use crate::store::key_match::is_same;
use crate::tree::{LeafId, LeafKind, Tree};

/// Show an entry and its files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache show linux-1")]
pub(super) struct ShowArgs {
    /// ID of the entry, the first characters of its ID, or its key
    entry: String,
}

pub(super) fn show(context: &mut CommandContext<'_>, args: &ShowArgs) -> Result<Exit> {
    let unknown = || {
        anyhow!(
            "no entry {}; `local-cache list` shows all entries",
            args.entry
        )
    };
    let store = context.open_store()?.ok_or_else(unknown)?;
    let entries = entries::list(&store, context.monitor)?;
    match find(&entries, &args.entry).as_slice() {
        [] => Err(unknown()),
        [listed] => {
            let tree = &store.read_manifest(&listed.entry)?.tree;
            let mut json = entry_json(listed);
            json["tree"] = tree_json(tree);
            context.print(&text(listed, tree), &json)?;
            Ok(Exit::Done)
        }
        several => Err(ambiguous(several, &args.entry)),
    }
}

fn ambiguous(matches: &[&ListedEntry], name: &str) -> anyhow::Error {
    let ids: Vec<String> = matches.iter().map(|listed| listed.id.to_string()).collect();
    anyhow!(
        "{} entries match {name}; give more characters of one of these IDs: {}",
        matches.len(),
        ids.join(", ")
    )
}

/// The entries whose ID begins with `name`, or else those whose key it is.
fn find<'e>(entries: &'e [ListedEntry], name: &str) -> Vec<&'e ListedEntry> {
    let by_id: Vec<&ListedEntry> = entries
        .iter()
        .filter(|listed| listed.id.to_string().starts_with(name))
        .collect();
    if !by_id.is_empty() {
        return by_id;
    }
    entries
        .iter()
        .filter(|listed| is_same(&listed.entry.key, name))
        .collect()
}

fn text(listed: &ListedEntry, tree: &Tree) -> String {
    let mut text = String::new();
    for (name, value) in properties(listed) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:10} {value}");
    }
    text.push('\n');
    for dir in std::iter::once(Tree::TOP).chain(tree.dir_ids()) {
        if dir != Tree::TOP {
            let _ = writeln!(text, "{:>12}  {}/", "", tree_path(&tree.dir_path(dir)));
        }
        for (id, leaf) in tree.leaves_in(dir) {
            let path = tree_path(&tree.leaf_path(id));
            text.push_str(&leaf_line(tree, &leaf.kind, &path));
        }
    }
    text
}

fn leaf_line(tree: &Tree, kind: &LeafKind, path: &str) -> String {
    match kind {
        LeafKind::File(file) => format!("{:>12}  {path}\n", file.size),
        LeafKind::Symlink(target) => format!("{:>12}  {path} -> {}\n", "", printable(target)),
        LeafKind::HardLink(first) => {
            let first = tree_path(&tree.leaf_path(*first));
            format!("{:>12}  {path} = {first}\n", "")
        }
    }
}

fn properties(listed: &ListedEntry) -> Vec<(&'static str, String)> {
    let entry = &listed.entry;
    let group = &entry.group;
    let mut properties = vec![
        ("entry", listed.id.to_string()),
        ("key", one_line(&entry.key)),
        ("kind", group.kind.to_string()),
    ];
    if !group.scope.is_empty() {
        properties.push(("scope", group.scope.clone()));
        properties.push(("ref", group.git_ref.clone()));
    }
    properties.extend([
        ("paths", group.paths.join(", ")),
        ("saved", format!("{} ago", age_of(entry.created))),
        ("used", format!("{} ago", age_of(listed.last_used))),
        (
            "size",
            format!(
                "{}, {} added",
                files_and_bytes(entry.files, entry.bytes),
                bytes(entry.added_bytes)
            ),
        ),
    ]);
    properties
}

fn tree_json(tree: &Tree) -> Value {
    let directories = tree.dir_ids().map(|id| {
        let dir = &tree[id];
        json!({
            "path": tree_path(&tree.dir_path(id)), "kind": "directory", "mode": format!("{:04o}", dir.mode),
            "modified": [dir.mtime.seconds, i64::from(dir.mtime.nanoseconds)],
        })
    });
    let leaves = tree.leaf_ids().map(|id| leaf_json(tree, id));
    Value::Array(directories.chain(leaves).collect())
}

fn leaf_json(tree: &Tree, id: LeafId) -> Value {
    let leaf = &tree[id];
    let path = tree_path(&tree.leaf_path(id));
    match &leaf.kind {
        LeafKind::File(file) => json!({
            "path": path, "kind": "file", "mode": format!("{:04o}", leaf.mode), "size": file.size,
            "modified": [leaf.mtime.seconds, i64::from(leaf.mtime.nanoseconds)],
            "digest": file.content.map(|content| content.digest),
        }),
        LeafKind::Symlink(target) => {
            json!({ "path": path, "kind": "symlink", "target": printable(target) })
        }
        LeafKind::HardLink(first) => {
            json!({ "path": path, "kind": "hard-link", "target": tree_path(&tree.leaf_path(*first)) })
        }
    }
}
