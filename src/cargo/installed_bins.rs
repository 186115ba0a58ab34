//! The programs that `cargo install` installed.
//!
//! rustup and cargo themselves are also in `bin` of `CARGO_HOME`, so the directory is never cached
//! as a whole. Cargo records what it installed in `.crates.toml` (Cargo book, "cargo install").
//! Only these programs are saved, together with the record. They are restored only to a
//! `CARGO_HOME` where cargo has installed nothing, so nothing is replaced.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::error::Result;
use crate::fs::files;

/// Cargo's records of installed programs. Cargo reads the first and writes details to the second.
const RECORDS: [&str; 2] = [".crates.toml", ".crates2.json"];

/// The path of an entry's root: a record or a program; `None` for anything else.
pub(crate) fn destination(name: &[u8], cargo_home: &Path) -> Option<PathBuf> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    let mut components = path.components();
    let is_program = components.next() == Some(Component::Normal("bin".as_ref()))
        && matches!(components.next(), Some(Component::Normal(_)))
        && components.next().is_none();
    (is_program || RECORDS.iter().any(|record| path == Path::new(record)))
        .then(|| cargo_home.join(path))
}

pub(crate) fn is_used(cargo_home: &Path) -> Result<bool> {
    Ok(!installed(cargo_home)?.is_empty())
}

/// The roots to save: empty if cargo installed nothing, or if its record can't be parsed.
pub(crate) fn installed(cargo_home: &Path) -> Result<Vec<(Box<[u8]>, PathBuf)>> {
    let record = cargo_home.join(RECORDS[0]);
    if files::stat(&record)?.is_none() {
        return Ok(Vec::new());
    }
    let programs = programs(&files::read(&record)?);
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let names = programs.into_iter().map(|name| format!("bin/{name}"));
    let names = names.chain(RECORDS.map(str::to_owned));
    let roots = names.filter_map(|name| {
        Some((
            name.as_bytes().into(),
            destination(name.as_bytes(), cargo_home)?,
        ))
    });
    Ok(roots.collect())
}

/// The programs that a record lists, without duplicates.
fn programs(record: &[u8]) -> Vec<String> {
    let record = std::str::from_utf8(record)
        .ok()
        .and_then(|text| text.parse::<Table>().ok())
        .unwrap_or_default();
    let packages = record
        .get("v1")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let lists = packages.filter_map(|(_, programs)| programs.as_array());
    let mut programs: Vec<String> = lists
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    programs.sort_unstable();
    programs.dedup();
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_in_the_record_of_cargo_are_saved() {
        let home = tempfile::tempdir().unwrap();
        let names = || {
            let roots = installed(home.path()).unwrap();
            roots
                .into_iter()
                .map(|(name, _)| String::from_utf8(name.into()).unwrap())
                .collect::<Vec<_>>()
        };
        assert!(names().is_empty());
        let record = "[v1]\n\"rg 14.0.0 (registry+x)\" = [\"rg\"]\n\"t 1.0.0 (path+y)\" = [\"t2\", \"../t1\"]\n";
        std::fs::write(home.path().join(".crates.toml"), record).unwrap();
        assert_eq!(
            names(),
            ["bin/rg", "bin/t2", ".crates.toml", ".crates2.json"]
        );
        std::fs::write(home.path().join(".crates.toml"), "broken [").unwrap();
        assert!(names().is_empty());
    }

    #[test]
    fn only_programs_and_records_have_a_destination() {
        let home = Path::new("/h");
        assert_eq!(destination(b"bin/rg", home), Some("/h/bin/rg".into()));
        assert_eq!(
            destination(b".crates2.json", home),
            Some("/h/.crates2.json".into())
        );
        for name in [
            "bin",
            "bin/..",
            "bin/a/b",
            "/bin/a",
            "../bin/a",
            "config.toml",
            "credentials.toml",
            "",
        ] {
            assert_eq!(destination(name.as_bytes(), home), None, "{name}");
        }
    }
}
