//! `local-cache key`: the computed keys of a Cargo project's caches, and what they are computed
//! from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::CommandContext;
use super::exit::Exit;
use crate::cargo::gather::gather;
use crate::cargo::key::component::{KeyComponent, KeySection};
use crate::cargo::key::{CargoKeys, ComputedKey, TargetKey, compute_keys};
use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::facts::{KeyRequest, WorkspaceRequest};
use crate::fmt::table::Table;
use crate::fs::Local;
use crate::glob::Base;

/// Show the keys of a Cargo project's caches and where each part of a key comes from
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache key\n  local-cache key --workspace app --workspace ../other --json\n  local-cache key --job build"
)]
pub(super) struct KeyArgs {
    /// Directory of a Cargo workspace; can be given several times [default: current directory]
    #[arg(long = "workspace", value_name = "DIR")]
    workspaces: Vec<PathBuf>,
    /// Show the keys of this job, by its ID in the workflow [default in a job: its own]
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
}

pub(super) fn key(context: &mut CommandContext<'_>, args: &KeyArgs) -> Result<Exit> {
    let request = request(context, args);
    let keys = compute_keys(&gather(&request, &Local::default()));
    if keys.target.is_empty() {
        let roots: Vec<String> = request
            .workspaces
            .iter()
            .map(|workspace| workspace.root.display().to_string())
            .collect();
        bail!(
            "there is neither a Cargo.toml nor a Cargo.lock in {}; name a Cargo project with --workspace",
            roots.join(" or ")
        );
    }
    context.print(&text(&keys, context.base), &document(&keys))?;
    Ok(Exit::Done)
}

fn request(context: &CommandContext<'_>, args: &KeyArgs) -> KeyRequest {
    let variables = context
        .env
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let directory = &context.base.working_directory;
    let current = [PathBuf::from(".")];
    let roots = if args.workspaces.is_empty() {
        &current[..]
    } else {
        &args.workspaces
    };
    let mut request = KeyRequest::new(variables, &context.base.home, context.checkout());
    if let Some(job) = &args.job {
        request.job.clone_from(job);
    }
    request.workspaces = roots
        .iter()
        .map(|root| WorkspaceRequest {
            root: directory.join(root).components().collect(),
            target: None,
        })
        .collect();
    request
}

fn text(keys: &CargoKeys, base: &Base) -> String {
    let mut text = String::new();
    for warning in &keys.warnings {
        // Writing to a string does not fail.
        let _ = writeln!(text, "⚠️ {warning}");
    }
    write_key(&mut text, "registry", &keys.registry, base);
    write_key(&mut text, "git", &keys.git, base);
    for target in &keys.target {
        let directories: Vec<String> = std::iter::once(&target.directory)
            .chain(&target.build_dirs)
            .map(|directory| short_path(directory, base))
            .collect();
        write_key(&mut text, &directories.join(" and "), &target.key, base);
    }
    text
}

fn write_key(text: &mut String, cache: &str, key: &ComputedKey, base: &Base) {
    let mut table = Table::new(["part", "value", "in", "from"]);
    for component in &key.components {
        table.add_row([
            component.name.clone(),
            short_value(&component.value),
            section(component.section).to_owned(),
            origin(component, base),
        ]);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "🔑 {cache}: {}", key.text);
    for prefix in &key.restore_keys {
        let _ = writeln!(text, "   prefix match: the newest {prefix}*");
    }
    for line in table.to_string().lines() {
        let _ = writeln!(text, "   {line}");
    }
}

fn section(section: KeySection) -> &'static str {
    match section {
        KeySection::Readable => "words",
        KeySection::Environment => "environment",
        KeySection::Contents => "contents",
    }
}

/// Enough of a value to recognize it: the start of a digest or of a long text.
fn short_value(value: &str) -> String {
    const MAX_CHARS: usize = 40;
    let is_digest = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return value[..16].to_owned();
    }
    let mut short: String = value
        .chars()
        .take(MAX_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

fn origin(component: &KeyComponent, base: &Base) -> String {
    let origin = match &component.origin {
        ComponentOrigin::File(path) => short_path(path, base),
        ComponentOrigin::Variable(name) => format!("variable {name}"),
        ComponentOrigin::Input(name) => format!("input {name}"),
        ComponentOrigin::Machine => "this machine".to_owned(),
        ComponentOrigin::NotFound => String::new(),
    };
    match &component.note {
        Some(note) if origin.is_empty() => format!("({note})"),
        Some(note) => format!("{origin} ({note})"),
        None => origin,
    }
}

/// A path relative to the current directory or to the home directory, if it is below one of them.
fn short_path(path: &Path, base: &Base) -> String {
    if let Ok(below) = path.strip_prefix(&base.working_directory) {
        return if below.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            below.display().to_string()
        };
    }
    match path.strip_prefix(&base.home) {
        Ok(below) if base.home.is_absolute() => format!("~/{}", below.display()),
        _ => path.display().to_string(),
    }
}

fn document(keys: &CargoKeys) -> Value {
    let targets: Vec<Value> = keys.target.iter().map(target_json).collect();
    json!({
        "registry": key_json(&keys.registry),
        "git": key_json(&keys.git),
        "target": targets,
        "warnings": keys.warnings,
    })
}

fn target_json(target: &TargetKey) -> Value {
    let mut value = key_json(&target.key);
    value["workspaces"] = target
        .workspaces
        .iter()
        .map(|workspace| workspace.root.display().to_string())
        .collect();
    value["directory"] = json!(target.directory.display().to_string());
    value["build-directories"] = target
        .build_dirs
        .iter()
        .map(|build| build.display().to_string())
        .collect();
    value
}

fn key_json(key: &ComputedKey) -> Value {
    let components: Vec<Value> = key.components.iter().map(component_json).collect();
    json!({ "key": key.text, "restore-keys": key.restore_keys, "parts": components })
}

fn component_json(component: &KeyComponent) -> Value {
    let from = match &component.origin {
        ComponentOrigin::File(path) => json!({ "file": path.display().to_string() }),
        ComponentOrigin::Variable(name) => json!({ "variable": name }),
        ComponentOrigin::Input(name) => json!({ "input": name }),
        ComponentOrigin::Machine => json!("machine"),
        ComponentOrigin::NotFound => Value::Null,
    };
    json!({
        "name": component.name,
        "value": component.value,
        "in": section(component.section),
        "from": from,
        "note": component.note,
    })
}
