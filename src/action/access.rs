//! Who may read and write which entries (pure).
//!
//! Entries belong to a scope, and within it to a git ref. A run reads those of its own ref, then of the branch it goes
//! to, then of the default branch, and writes those of its own ref: the rules of GitHub's cache (docs.github.com,
//! "Restrictions for accessing a cache"). Whether branches are kept apart is the user's choice, but a run of code from
//! a fork, or of code whose origin can't be told, writes only where no other run reads, whatever the inputs say.

use std::fmt;

use super::context::Context;
use super::event::{Event, Origin};
use super::inputs::{Inputs, Scope};

/// A scope and a ref in it: where entries are looked for, or written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Area {
    /// `owner/repository`, `owner`, or empty for everything on the machine.
    pub scope: String,
    /// A full ref; empty where branches are not kept apart.
    pub git_ref: String,
}

/// What a run may read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where it looks for entries, in order.
    pub read: Vec<Area>,
    /// Where it writes.
    pub write: Area,
}

/// Why a run may do neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say which repository it is of.
    NoRepository,
    /// It is not tied to a branch or tag.
    NoRef,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRepository => {
                "GITHUB_REPOSITORY is not set, so it can't be told whose entries these are; \
                 set `scope: runner` to share with everything on this runner"
            }
            Self::NoRef => {
                "this run is not tied to a branch or tag, so nothing is restored or saved; \
                 set `branch-isolation: false` to share between branches"
            }
        })
    }
}

/// Decides what a run may read and write.
pub fn decide(inputs: &Inputs, context: &Context, event: Option<&Event>) -> Result<Access, Refusal> {
    let scope = scope(inputs.scope, context)?;
    let area = |git_ref: &str| Area { scope: scope.clone(), git_ref: git_ref.to_owned() };
    let origin = context.origin(event);
    let own = own_ref(context, event, origin);
    if !inputs.branch_isolation {
        let shared = area("");
        if origin.is_trusted() {
            return Ok(Access { read: vec![shared.clone()], write: shared });
        }
        let own = area(&own.ok_or(Refusal::NoRef)?);
        return Ok(Access { read: vec![own.clone(), shared], write: own });
    }
    let own = own.ok_or(Refusal::NoRef)?;
    let branches = [context.base_branch(event), event.and_then(|event| event.default_branch.as_deref())];
    let mut read = vec![area(&own)];
    for branch in branches.into_iter().flatten() {
        let branch = area(&format!("refs/heads/{branch}"));
        if !read.contains(&branch) {
            read.push(branch);
        }
    }
    Ok(Access { read, write: area(&own) })
}

fn scope(scope: Scope, context: &Context) -> Result<String, Refusal> {
    let named = match scope {
        Scope::Repository => context.repository.as_deref().ok_or(Refusal::NoRepository)?,
        Scope::Owner => context.owner.as_deref().ok_or(Refusal::NoRepository)?,
        Scope::Runner => "",
    };
    // GitHub's names ignore case, and events differ in how they spell them.
    Ok(named.to_ascii_lowercase())
}

/// The ref whose entries a run writes. Where its code can't be trusted and yet it runs with the ref of a branch
/// (`pull_request_target`, `workflow_run`, a comment), that is a ref which no branch or tag can have.
fn own_ref(context: &Context, event: Option<&Event>, origin: Origin) -> Option<String> {
    let git_ref = context.git_ref.clone();
    let is_of_pull_request = git_ref.as_deref().is_some_and(|git_ref| git_ref.starts_with("refs/pull/"));
    if origin.is_trusted() || is_of_pull_request {
        return git_ref;
    }
    let source = event.and_then(|event| event.source.as_ref());
    let number = source.and_then(|source| source.pull_request);
    let head = source.and_then(|source| source.head_repository.clone());
    Some(match (number, head) {
        (Some(number), _) => format!("untrusted/pull/{number}"),
        (None, Some(head)) => format!("untrusted/repository/{}", head.to_ascii_lowercase()),
        (None, None) => format!("untrusted/run/{}", context.run_id?),
    })
}
