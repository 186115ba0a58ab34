//! `local-cache show`: the properties of an entry and its tree.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use super::list::entry_json;
use super::selection::SelectionArgs;
use super::text::{age_of, files_and_bytes, one_line, tree_path};
use crate::fmt::human::bytes;
use crate::ops::entries::{self, ListedEntry};
use crate::ops::path_list::printable;
use crate::tree::{LeafId, LeafKind, Tree};

/// Show an entry and its files
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache show 3f2a-91bc07\n  local-cache show linux-1 --repository acme/app --ref main"
)]
pub(super) struct ShowArgs {
    /// ID of the entry as `list` shows it, or its key
    entry: String,
    #[command(flatten)]
    selection: SelectionArgs,
}

pub(super) fn show(context: &mut CommandContext<'_>, args: &ShowArgs) -> Result<Exit> {
    let store = context.open_store()?;
    let entries = match &store {
        Some(store) => entries::list(store, context.monitor)?,
        None => Vec::new(),
    };
    let listed = args.selection.only(&entries, &args.entry)?;
    let Some(store) = store else {
        bail!("there is no store in {}", context.cache_root.display());
    };
    let tree = &store.read_manifest(&listed.entry.manifest)?.tree;
    let mut json = entry_json(listed);
    json["tree"] = tree_json(tree);
    context.print(&text(listed, tree), &json)?;
    Ok(Exit::Done)
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
        LeafKind::Symlink(target) => {
            format!("{:>12}  {path} -> {}\n", "", one_line(&printable(target)))
        }
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
    if !entry.parts.is_empty() {
        let parts = entry.parts.iter();
        let parts: Vec<String> = parts
            .map(|(name, digest)| format!("{name} {digest}"))
            .collect();
        properties.push(("key parts", one_line(&parts.join(", "))));
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
