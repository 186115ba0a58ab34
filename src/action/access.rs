//! Decides which entries a run may read and write (pure).
//!
//! Entries belong to a scope, and within it to a git ref. A run reads entries of its own ref, then
//! of the base branch of its pull request, then of the default branch, and writes to its own ref:
//! the rules of GitHub's cache (docs.github.com, "Restrictions for accessing a cache"). The user
//! chooses whether branches and repositories are isolated. But a run of code from a fork, or of
//! code of unknown origin, writes only where no run of a branch reads, whatever the inputs say. Its
//! ref alone does not ensure that: two repositories that share a scope both have a
//! `refs/pull/7/merge`, so such a run writes to the scope of its own repository.

use std::fmt;

use super::context::WorkflowContext;
use super::event::EventPayload;
use super::inputs::{Inputs, Scope};
use crate::store::CacheScope;
use crate::store::scope::UNTRUSTED_REFS;

/// What a run may read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where the run looks for entries, in order.
    pub read: Vec<CacheScope>,
    pub write: CacheScope,
}

/// Why a run may neither read nor write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRefusal {
    NoRepository,
    /// The run has no ref; with the name of its event.
    NoRef(String),
    /// The run is not trusted, and nothing identifies it.
    Untraced,
}

impl fmt::Display for AccessRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRepository => f.write_str(
                "GITHUB_REPOSITORY is not set, so the owner of the entries is unknown; \
                 set `scope: runner` to share with everything on this runner",
            ),
            Self::Untraced => f.write_str(
                "this run may be a fork's, and neither the event nor GITHUB_RUN_ID identifies it; \
                 nothing is restored or saved",
            ),
            // The first sentence is that of actions/cache, restoreImpl.ts.
            Self::NoRef(event) => write!(
                f,
                "Event Validation Error: The event type {event} is not supported because it's not tied to a branch or \
                 tag ref. Nothing is restored or saved; set `branch-isolation: false` to share between branches"
            ),
        }
    }
}

/// Decides what a run may read and write.
pub fn decide(
    inputs: &Inputs,
    context: &WorkflowContext,
    event: Option<&EventPayload>,
) -> Result<Access, AccessRefusal> {
    let scope = scope_of(inputs.scope, context)?;
    let write = if context.origin(event).is_trusted() {
        CacheScope::new(&scope, own_ref(inputs, context)?)
    } else {
        CacheScope::new(
            scope_of(Scope::Repository, context)?,
            untrusted_ref(context, event).ok_or(AccessRefusal::Untraced)?,
        )
    };
    let mut read = vec![write.clone()];
    for shared in shared_scopes(&scope, inputs, context, event) {
        if !read.contains(&shared) {
            read.push(shared);
        }
    }
    Ok(Access { read, write })
}

fn own_ref(inputs: &Inputs, context: &WorkflowContext) -> Result<String, AccessRefusal> {
    if !inputs.branch_isolation {
        return Ok(String::new());
    }
    let no_ref = || AccessRefusal::NoRef(context.event_name.clone().unwrap_or_default());
    context.git_ref.clone().ok_or_else(no_ref)
}

/// What every run may read besides its own: the base branch, then the default branch.
fn shared_scopes(
    scope: &str,
    inputs: &Inputs,
    context: &WorkflowContext,
    event: Option<&EventPayload>,
) -> Vec<CacheScope> {
    if !inputs.branch_isolation {
        return vec![CacheScope::new(scope, "")];
    }
    let default_branch = event.and_then(|event| event.default_branch.as_deref());
    [context.base_branch(event), default_branch]
        .into_iter()
        .flatten()
        .map(|branch| CacheScope::branch(scope, branch))
        .collect()
}

/// The scope of a trusted run.
pub(super) fn scope_of(scope: Scope, context: &WorkflowContext) -> Result<String, AccessRefusal> {
    let named = match scope {
        Scope::Repository => context
            .repository
            .as_deref()
            .ok_or(AccessRefusal::NoRepository)?,
        Scope::Owner => context
            .owner
            .as_deref()
            .ok_or(AccessRefusal::NoRepository)?,
        Scope::Runner => "",
    };
    // GitHub's names ignore case, and events differ in how they spell them.
    Ok(named.to_ascii_lowercase())
}

/// The ref that an untrusted run writes to. A run that has the ref of a branch anyway
/// (`pull_request_target`, `workflow_run`, a comment) gets one that no branch or tag can have.
fn untrusted_ref(context: &WorkflowContext, event: Option<&EventPayload>) -> Option<String> {
    if let Some(git_ref) = context
        .git_ref
        .as_ref()
        .filter(|git_ref| git_ref.starts_with("refs/pull/"))
    {
        return Some(git_ref.clone());
    }
    let source = event.and_then(|event| event.source.as_ref());
    let number = source.and_then(|source| source.pull_request);
    let head = source.and_then(|source| source.head_repository.clone());
    Some(match (number, head) {
        (Some(number), _) => format!("{UNTRUSTED_REFS}pull/{number}"),
        (None, Some(head)) => format!("{UNTRUSTED_REFS}repository/{}", head.to_ascii_lowercase()),
        (None, None) => format!("{UNTRUSTED_REFS}run/{}", context.run_id?),
    })
}
