//! `local-cache key`: the computed keys of a Cargo project's caches, and why they are what they
//! are.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::commands::CommandContext;
use super::{Exit, Failure, args};
use crate::action::Env;
use crate::cargo::key::component::{ComponentOrigin, KeyComponent, KeySection};
use crate::cargo::key::{CargoKeys, ComputedKey, keys};
use crate::cargo::project::facts::{KeyRequest, WorkspaceRequest};
use crate::cargo::project::gather::gather;
use crate::fmt::table::Table;
use crate::fs::Local;
use crate::glob::Base;

pub(super) fn key(
    context: &mut CommandContext<'_>,
    args: &args::KeyArgs,
    env: &Env,
) -> Result<Exit, Failure> {
    let directory = &context.base.working_directory;
    // In a job, the directory that the action would see as the checkout.
    let checkout = env
        .path("GITHUB_WORKSPACE")
        .filter(|checkout| directory.starts_with(checkout));
    let variables = env
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut asked = KeyRequest::new(variables, &context.base.home, checkout.unwrap_or(directory));
    let here = [std::path::PathBuf::from(".")];
    let roots = if args.workspaces.is_empty() {
        &here[..]
    } else {
        &args.workspaces
    };
    asked.workspaces = roots
        .iter()
        .map(|root| WorkspaceRequest {
            root: directory.join(root).components().collect(),
            target: None,
        })
        .collect();
    let found = keys(&gather(&asked, &Local::default()));
    if found.target.is_empty() {
        let roots: Vec<String> = asked
            .workspaces
            .iter()
            .map(|asked| asked.root.display().to_string())
            .collect();
        return Err(Failure::Other(format!(
            "there is neither a Cargo.toml nor a Cargo.lock in {}; name a Cargo project with --workspace",
            roots.join(" or ")
        )));
    }
    let text = text(&found, context.base);
    context.print(&text, &document(&found))?;
    Ok(Exit::Done)
}

fn text(keys: &CargoKeys, base: &Base) -> String {
    let mut text = String::new();
    for warning in &keys.warnings {
        let _ = writeln!(text, "⚠️ {warning}");
    }
    explain(&mut text, "registry", &keys.registry, base);
    explain(&mut text, "git", &keys.git, base);
    for target in &keys.target {
        let directories = std::iter::once(&target.directory).chain(&target.builds);
        let directories: Vec<String> = directories
            .map(|directory| shown(directory, base))
            .collect();
        explain(&mut text, &directories.join(" and "), &target.key, base);
    }
    text
}

fn explain(text: &mut String, of: &str, key: &ComputedKey, base: &Base) {
    let mut table = Table::new(["part", "value", "in", "from"]);
    for part in &key.parts {
        table.add_row([
            part.name.clone(),
            short(&part.value),
            piece(part.piece).to_owned(),
            from(part, base),
        ]);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "🔑 {of}: {}", key.text);
    for prefix in &key.restore {
        let _ = writeln!(text, "   on a miss the newest of {prefix}*");
    }
    for line in table.to_string().lines() {
        let _ = writeln!(text, "   {line}");
    }
}

fn piece(piece: KeySection) -> &'static str {
    match piece {
        KeySection::Words => "words",
        KeySection::Environment => "environment",
        KeySection::Contents => "contents",
    }
}

/// The most letters of a value that are shown.
const SHOWN: usize = 40;

/// A value as people need it: the beginning of a digest, or of a long text.
fn short(value: &str) -> String {
    let is_digest = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return value[..16].to_owned();
    }
    let mut letters: String = value
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(SHOWN).is_some() {
        letters.push('…');
    }
    letters
}

fn from(part: &KeyComponent, base: &Base) -> String {
    let origin = match &part.origin {
        ComponentOrigin::File(path) => shown(path, base),
        ComponentOrigin::Variable(name) => format!("variable {name}"),
        ComponentOrigin::Input(name) => format!("input {name}"),
        ComponentOrigin::Machine => "this machine".to_owned(),
        ComponentOrigin::NotFound => String::new(),
    };
    match &part.note {
        Some(note) if origin.is_empty() => format!("({note})"),
        Some(note) => format!("{origin} ({note})"),
        None => origin,
    }
}

/// A path from the current directory or from home, where it is below them.
fn shown(path: &Path, base: &Base) -> String {
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
    let targets: Vec<Value> = keys
        .target
        .iter()
        .map(|target| {
            let mut value = key_document(&target.key);
            let workspaces = target
                .workspaces
                .iter()
                .map(|asked| asked.root.display().to_string());
            value["workspaces"] = workspaces.collect();
            value["directory"] = json!(target.directory.display().to_string());
            let builds = target
                .builds
                .iter()
                .map(|build| build.display().to_string());
            value["build-directories"] = builds.collect();
            value
        })
        .collect();
    json!({
        "registry": key_document(&keys.registry),
        "git": key_document(&keys.git),
        "target": targets,
        "warnings": keys.warnings,
    })
}

fn key_document(key: &ComputedKey) -> Value {
    let part = |part: &KeyComponent| {
        let from = match &part.origin {
            ComponentOrigin::File(path) => json!({ "file": path.display().to_string() }),
            ComponentOrigin::Variable(name) => json!({ "variable": name }),
            ComponentOrigin::Input(name) => json!({ "input": name }),
            ComponentOrigin::Machine => json!("machine"),
            ComponentOrigin::NotFound => Value::Null,
        };
        json!({
            "name": part.name, "value": part.value, "in": piece(part.piece), "from": from, "note": part.note,
        })
    };
    let parts: Vec<Value> = key.parts.iter().map(part).collect();
    json!({ "key": key.text, "restore-keys": key.restore, "parts": parts })
}
