//! Makes keys of what was found. Touches nothing.
//!
//! The shapes, and what stands in each piece, are in docs/keys.md:
//!
//! ```text
//! <prefix>-registry-<os>-<arch>-<contents>
//! <prefix>-git-<os>-<arch>-<contents>
//! <prefix>-target-<words>-<os>-<arch>-<environment>-<contents>
//! ```

use std::path::PathBuf;

use super::facts::{Facts, WorkspaceFacts};
use super::part::{Origin, Part, Piece, digest};
use super::reduced::{Reduced, reduce};

/// A computed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// What the key of an entry begins with that may stand in on a miss; of several, the newest is right.
    pub restore: Vec<String>,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// The key of a target directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetKey {
    /// The workspace as asked.
    pub workspace: PathBuf,
    /// The target directory, absolute.
    pub directory: PathBuf,
    /// Its key.
    pub key: Key,
}

/// The keys of a project's caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The registry: index, archives and sources.
    pub registry: Key,
    /// Git dependencies: clones and checkouts.
    pub git: Key,
    /// One a workspace in which there is a Cargo project, in their order.
    pub target: Vec<TargetKey>,
    /// What is wrong with the files that the keys are made of, one line each.
    pub warnings: Vec<String>,
}

/// Makes the keys.
pub fn keys(facts: &Facts) -> Keys {
    let mut warnings = facts.warnings.clone();
    let reduced: Vec<(&WorkspaceFacts, Reduced)> = facts
        .workspaces
        .iter()
        .filter_map(|workspace| Some((workspace, reduce(workspace.project.as_ref()?, &mut warnings))))
        .collect();
    let of_all = |parts: fn(&Reduced) -> &[Part]| -> Vec<Part> {
        reduced.iter().flat_map(|(_, reduced)| parts(reduced)).cloned().collect()
    };
    Keys {
        registry: shared(facts, "registry", of_all(|reduced| &reduced.registry)),
        git: shared(facts, "git", of_all(|reduced| &reduced.git)),
        target: reduced.iter().map(|(workspace, reduced)| target(facts, workspace, reduced)).collect(),
        warnings,
    }
}

/// Registry and git: what jobs download is the same whatever they do with it, so neither job nor toolchain counts.
fn shared(facts: &Facts, kind: &str, mut contents: Vec<Part>) -> Key {
    if contents.is_empty() {
        contents.push(Part::not_found("Cargo.lock", Piece::Contents));
    }
    let mut parts = vec![prefix(facts)];
    parts.extend(machine(facts));
    let before = words(kind, &parts);
    parts.extend(contents);
    let text = format!("{before}-{}", digest(&parts));
    Key { text, restore: vec![before + "-"], parts }
}

fn target(facts: &Facts, workspace: &WorkspaceFacts, reduced: &Reduced) -> TargetKey {
    let mut parts = vec![prefix(facts)];
    parts.extend(names(facts));
    parts.extend(machine(facts));
    let before = words("target", &parts);
    let key = if facts.add_environment {
        parts.push(reduced.toolchain.clone());
        parts.extend(variables(facts));
        let environment = digest(&parts);
        let contents = digest(&reduced.target);
        parts.extend(reduced.target.iter().cloned());
        let nearest = format!("{before}-{environment}-");
        Key { text: format!("{nearest}{contents}"), restore: vec![nearest], parts }
    } else {
        let left_out = Part::new("environment", "left out", ENVIRONMENT, Piece::Environment)
            .note("any toolchain, any Cargo.lock");
        parts.push(left_out);
        // A digest all the same: without, the key would be the beginning of others, and so find those of any toolchain.
        Key { text: format!("{before}-{}", digest(&parts)), restore: Vec::new(), parts }
    };
    TargetKey { workspace: workspace.root.clone(), directory: workspace.target.clone(), key }
}

const ENVIRONMENT: Origin = Origin::Input("add-rust-environment-hash-key");

fn prefix(facts: &Facts) -> Part {
    Part::new("prefix", &facts.prefix_key, Origin::Input("prefix-key"), Piece::Words)
}

fn machine(facts: &Facts) -> [Part; 2] {
    [("operating system", &facts.os), ("architecture", &facts.arch)]
        .map(|(name, value)| Part::new(name, value, Origin::Machine, Piece::Words))
}

/// Who shares a target directory: those with the same `shared-key`, or else with the same `key` and job.
fn names(facts: &Facts) -> Vec<Part> {
    if !facts.shared_key.is_empty() {
        return vec![Part::new("shared key", &facts.shared_key, Origin::Input("shared-key"), Piece::Words)];
    }
    let mut names = Vec::new();
    if !facts.key.is_empty() {
        names.push(Part::new("key", &facts.key, Origin::Input("key"), Piece::Words));
    }
    if facts.add_job_id && !facts.job.is_empty() {
        names.push(Part::new("job", &facts.job, Origin::Variable("GITHUB_JOB".to_owned()), Piece::Words));
    }
    names
}

fn variables(facts: &Facts) -> Vec<Part> {
    if facts.variables.is_empty() {
        return vec![Part::new("variables", "none set", Origin::NotFound, Piece::Environment)];
    }
    let part = |(name, value): (&String, &String)| {
        Part::new(name, value, Origin::Variable(name.clone()), Piece::Environment)
    };
    facts.variables.iter().map(part).collect()
}

/// The readable beginning of a key: the prefix, the kind of cache, and the rest.
fn words(kind: &str, parts: &[Part]) -> String {
    let mut words: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    words.insert(words.len().min(1), kind);
    words.join("-")
}
