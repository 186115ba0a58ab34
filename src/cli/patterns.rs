//! `local-cache paths` and `local-cache hash-files`: what patterns match.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use super::failure::usage_error;
use crate::glob::Patterns;
use crate::glob::hash_files;
use crate::ops::path_list::printable;

/// List the paths that patterns match, relative to the current directory, one per line
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache paths 'target/*/deps' ~/.cargo/registry")]
pub(super) struct PathsArgs {
    /// Patterns, as in the input `path`
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<String>,
}

/// Print the digest that the expression hashFiles gives; an empty line if nothing matches
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  local-cache hash-files '**/Cargo.lock' rust-toolchain.toml")]
pub(super) struct HashFilesArgs {
    /// Follow symlinks
    #[arg(long)]
    follow_symbolic_links: bool,
    /// Patterns, as in the expression `hashFiles`
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<String>,
}

pub(super) fn paths(context: &mut CommandContext<'_>, args: &PathsArgs) -> Result<Exit> {
    let patterns = Patterns::parse(&args.patterns, context.base)
        .map_err(|error| usage_error(error.to_string()))?;
    let paths: Vec<PathBuf> = patterns
        .resolve(true)?
        .iter()
        .map(|found| context.base.relative(&found.path))
        .collect();
    if context.json {
        let names: Vec<String> = paths
            .iter()
            .map(|path| printable(path.as_os_str().as_bytes()))
            .collect();
        context.print("", &json!(names))?;
        return Ok(Exit::Done);
    }
    for path in paths {
        // As bytes: a path does not have to be UTF-8.
        context.write(path.as_os_str().as_bytes())?;
        context.write(b"\n")?;
    }
    Ok(Exit::Done)
}

pub(super) fn hash_files(context: &mut CommandContext<'_>, args: &HashFilesArgs) -> Result<Exit> {
    let hash = hash_files::hash_files(
        &context.base.workspace,
        &args.patterns,
        args.follow_symbolic_links,
        &context.base.home,
    )?;
    let (digest, files) =
        hash.map_or_else(Default::default, |hash| (hash.to_string(), hash.files()));
    context.print(
        &format!("{digest}\n"),
        &json!({ "digest": digest, "files": files }),
    )?;
    Ok(Exit::Done)
}
