//! What a lookup was about, for those who ask why it found nothing.

use super::context::StepContext;
use crate::action::access::Access;
use crate::fmt::human;
use crate::job::JobReply;
use crate::store::CacheScope;

/// Logs what the lookup was about, folded.
pub(super) fn show(step: &StepContext<'_, '_>, access: &Access, reply: &JobReply) {
    let mut lines = vec![
        format!("cache root: {}", step.inputs.cache_root),
        format!("scope: {}", scope(&access.write)),
    ];
    let read: Vec<&str> = access.read.iter().map(git_ref).collect();
    lines.push(format!("reads the entries of: {}", read.join(", ")));
    lines.push(format!("writes the entries of: {}", git_ref(&access.write)));
    if !step.is_cargo() {
        lines.push(format!("paths: {}", step.inputs.paths.join(", ")));
    }
    for cache in &reply.caches {
        lines.push(format!("{} key: {}", cache.name, cache.key));
        let parts = cache.notes.parts.iter();
        let parts: Vec<String> = parts
            .map(|(name, digest)| format!("{name} {digest}"))
            .collect();
        if !parts.is_empty() {
            lines.push(format!("  of {}", parts.join(", ")));
        }
    }
    step.console.group("what was looked for", lines);
}

/// Who shares entries, in words.
fn scope(scope: &CacheScope) -> &str {
    if scope.scope.is_empty() {
        "everything on this machine"
    } else {
        &scope.scope
    }
}

/// Whose branch, in words.
fn git_ref(scope: &CacheScope) -> &str {
    match human::git_ref(&scope.git_ref) {
        "" => "all branches",
        name => name,
    }
}
