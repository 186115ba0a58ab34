//! What the fuzz targets in `fuzz` run: each function reads any bytes as one of the formats that
//! local-cache reads. A function panics if something that was read is not what it should be.
//!
//! Digests and checksums protect the formats of the store against damage, but not against a writer
//! who computes them. So these functions compute them too.
//!
//! The unit test reads the inputs in `fuzz/corpus` again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::action::{ActionKind, Inputs};
use crate::cargo::freshness::record::FreshnessRecord;
use crate::cargo::project::lockfile::Lockfile;
use crate::cargo::project::manifest::CargoManifest;
use crate::cargo::project::{canonical_toml, config};
use crate::cargo::target_gc::kept_outputs::KeptOutputs;
use crate::cargo::toolchain::overrides::{RustupSettings, ToolchainFile};
use crate::env::Env;
use crate::glob::{Base, Patterns};
use crate::stats::journal;
use crate::store::Entry;
use crate::store::pack::PackIndex;
use crate::tree::Tree;
use crate::tree::manifest::{Manifest, References};
use crate::{cargo, git, site};

/// The name and the function.
type FuzzTarget = (&'static str, fn(&[u8]));

const TARGETS: &[FuzzTarget] = &[
    ("manifest", manifest),
    ("entry", entry),
    ("pack", pack),
    ("freshness-record", freshness_record),
    ("journal", journal_lines),
    ("inputs", inputs),
    ("patterns", patterns),
    ("git", git::fuzz),
    ("cargo-outputs", cargo::target_dir::fuzz),
    ("cargo-files", cargo_files),
    ("engine", site::fuzz),
    #[cfg(feature = "remote")]
    ("remote", remote),
];

/// Runs a target.
///
/// # Panics
/// If there is no target of this name, and if the target finds a defect.
pub fn run(target: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, function) = found.expect("a target of this name");
    function(bytes);
}

fn manifest(bytes: &[u8]) {
    let (references, body) = halves(bytes);
    let Ok((file, id)) = Manifest::forge(references, body) else {
        return;
    };
    let path = Path::new("manifest");
    drop(References::decode(&file, &id, path));
    let Ok(manifest) = Manifest::decode(&file, &id, path) else {
        return;
    };
    let dirs = manifest.tree.dirs().iter().skip(1);
    let dirs = dirs.map(|dir| (dir.parent, &*dir.name));
    let leaves = manifest.tree.leaves().iter();
    let leaves = leaves.map(|leaf| (leaf.parent, &*leaf.name));
    for (parent, name) in dirs.chain(leaves) {
        assert!(parent == Tree::TOP || is_component(name), "{name:?}");
    }
    let (again, id) = manifest.encode().expect("what was decoded can be encoded");
    let decoded = Manifest::decode(&again, &id, path);
    assert_eq!(decoded.expect("what was encoded can be decoded"), manifest);
}

/// Whether a name stays in its directory.
fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

fn entry(bytes: &[u8]) {
    let path = Path::new("entry");
    let Ok(entry) = serde_json::from_slice::<Entry>(bytes) else {
        return;
    };
    drop(Entry::decode(bytes, &entry.id(), path));
    let encoded = entry.encode().expect("an entry can be encoded");
    if let Ok(decoded) = Entry::decode(&encoded, &entry.id(), path) {
        assert_eq!(decoded, entry);
    }
}

/// The input is the contents and the index of a pack.
fn pack(bytes: &[u8]) {
    let (contents, index) = halves(bytes);
    let (file, id) = PackIndex::forge(contents, index);
    let Ok(memory) = rustix::fs::memfd_create("pack", rustix::fs::MemfdFlags::CLOEXEC) else {
        return;
    };
    let mut memory = File::from(memory);
    memory.write_all(&file).expect("memory can be written");
    if let Ok(index) = PackIndex::read(&memory, &id, Path::new("pack")) {
        let mut end = index.records.first().map_or(0, |record| record.offset);
        for record in &index.records {
            assert_eq!(record.offset, end);
            end += u64::from(record.length);
        }
        assert!(end <= file.len() as u64);
    }
}

fn freshness_record(bytes: &[u8]) {
    if let Some(record) = FreshnessRecord::decode(&FreshnessRecord::forge(bytes)) {
        let encoded = record.encode().expect("what was decoded can be encoded");
        assert_eq!(FreshnessRecord::decode(&encoded), Some(record));
    }
}

fn journal_lines(bytes: &[u8]) {
    let read = journal::parse(bytes);
    let lines = read.events.iter().map(serde_json::to_string);
    let lines: Vec<String> = lines.collect::<Result<_, _>>().expect("events are JSON");
    let again = journal::parse(lines.join("\n").as_bytes());
    assert_eq!((again.events, again.skipped_lines), (read.events, 0));
}

/// The input is lines `NAME=VALUE`, of which each value ends with a zero byte.
fn inputs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let variables = text.split('\0').filter_map(|line| line.split_once('='));
    let env: Env = variables.collect();
    for kind in [ActionKind::Cache, ActionKind::Restore, ActionKind::Save] {
        if let Err(errors) = Inputs::parse(&env, kind) {
            for error in errors.iter() {
                let line = error.to_string();
                assert!(!line.is_empty(), "an error without a text");
            }
        }
    }
}

/// The input is patterns and a path.
fn patterns(bytes: &[u8]) {
    let (lines, path) = halves(bytes);
    let base = Base::new("/home/user/work", "/home/user");
    let lines = String::from_utf8_lossy(lines);
    if let Ok(patterns) = Patterns::parse([&lines], &base) {
        let path = base.workspace.join(&*String::from_utf8_lossy(path));
        std::hint::black_box(patterns.matches(&path));
    }
}

fn cargo_files(bytes: &[u8]) {
    drop(Lockfile::parse(bytes));
    drop(CargoManifest::parse(bytes));
    drop(canonical_toml::parse(bytes));
    drop(config::build(bytes));
    drop(config::sources(bytes));
    drop(config::included(bytes));
    drop(ToolchainFile::parse(bytes, true));
    drop(RustupSettings::parse(bytes));
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    drop(KeptOutputs::parse(&lines));
}

/// The first byte is the kind of the object.
#[cfg(feature = "remote")]
fn remote(bytes: &[u8]) {
    if let Some((kind, bytes)) = bytes.split_first() {
        let (first, rest) = halves(bytes);
        let (second, third) = halves(rest);
        crate::remote::fuzz(*kind, [first, second, third]);
    }
}

/// Divides an input: its first two bytes are the length of the first half.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.split_first_chunk::<2>() {
        Some((length, rest)) => {
            let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
            rest.split_at(length)
        }
        None => (bytes, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_inputs_of_the_corpus_pass() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let inputs = std::fs::read_dir(corpus.join(name)).expect(name);
            let inputs: Vec<_> = inputs.map(|input| input.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "{name} has no inputs");
            for input in inputs {
                target(&std::fs::read(input).unwrap());
            }
        }
    }
}
