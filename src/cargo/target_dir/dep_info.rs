//! The compiler's dep-info files: Makefile rules `OUTPUT: SOURCE SOURCE...`, one for each output.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::files;

/// Bytes that hold the first source for certain.
const FIRST_SOURCE_LIMIT: u64 = 16 << 10;

/// All sources that a dep-info file lists; `None` if it is not one.
pub(crate) fn sources(file: &Path) -> Result<Option<BTreeSet<PathBuf>>> {
    Ok(parse(&files::read(file)?))
}

/// The source with the root of the crate. `None` if it cannot be read.
pub(crate) fn first_source(file: &Path) -> Option<PathBuf> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    files::open(file)
        .ok()?
        .take(FIRST_SOURCE_LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    rule_sources(line)?.next()
}

pub(super) fn parse(bytes: &[u8]) -> Option<BTreeSet<PathBuf>> {
    let mut found = None;
    for line in bytes.split(|byte| *byte == b'\n') {
        // Comments name variables: `# env-dep:NAME=VALUE`.
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        found
            .get_or_insert_with(BTreeSet::new)
            .extend(rule_sources(line)?);
    }
    found
}

/// The sources of a line. `SOURCE:` alone has none.
fn rule_sources(line: &[u8]) -> Option<impl Iterator<Item = PathBuf>> {
    // A name may contain ": ", but cargo gives outputs no such names.
    let colon = line.windows(2).position(|pair| pair == b": ");
    let sources = match colon {
        Some(colon) => &line[colon + 2..],
        None if line.ends_with(b":") => &line[line.len()..],
        None => return None,
    };
    let mut rest = sources.iter().copied();
    Some(std::iter::from_fn(move || {
        let mut name = Vec::new();
        while let Some(byte) = rest.next() {
            match byte {
                b' ' if name.is_empty() => {}
                b' ' => break,
                // rustc escapes only spaces (`escape_dep_filename`).
                b'\\' => match rest.next() {
                    Some(b' ') => name.push(b' '),
                    Some(other) => name.extend([b'\\', other]),
                    None => name.push(b'\\'),
                },
                _ => name.push(byte),
            }
        }
        (!name.is_empty()).then(|| PathBuf::from(OsString::from_vec(name)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_of_all_rules_are_found() {
        let text = b"/t/a.d: src/main.rs my\\ dir/x.txt\n\n/t/a: src/main.rs /abs/y\n\n\
                     src/main.rs:\nmy\\ dir/x.txt:\n\n# env-dep:X=a: b\n";
        let sources: Vec<PathBuf> = parse(text).unwrap().into_iter().collect();
        assert_eq!(
            sources,
            ["/abs/y", "my dir/x.txt", "src/main.rs"].map(PathBuf::from)
        );
    }

    #[test]
    fn other_texts_are_not_taken_for_dep_info() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"no rule\n"), None);
        assert_eq!(parse(b"/t/a: src/main.rs\nbroken"), None);
    }
}
