//! Inputs that are lists, and the rules for keys.

use super::error::InputError;
use crate::glob::{is_js_space, js_trim};
use crate::job::WorkspaceLine;

/// The longest key, in UTF-16 units (actions/toolkit, packages/cache, cache.ts, `checkKey`:
/// JavaScript's `length`).
pub(crate) const MAX_KEY_LENGTH: usize = 512;

/// The most keys of one step, the exact one included (the same file, `restoreCache`).
pub(crate) const MAX_KEYS: usize = 10;

/// One item per line, as actions/cache reads `path` and `restore-keys` (actionUtils.ts,
/// `getInputAsArray`): the whole is trimmed, white space after a leading `!` goes, then each line
/// is trimmed and empty ones are dropped. The order of these steps shows: `  ! x` keeps its blank
/// on any line but the first.
pub(super) fn lines(text: &str) -> Vec<String> {
    let item = |line: &str| match line.strip_prefix('!') {
        Some(rest) => format!("!{}", rest.trim_start_matches(is_js_space)),
        None => line.to_owned(),
    };
    let items = js_trim(text)
        .split('\n')
        .map(|line| js_trim(&item(line)).to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

/// One item per word, as rust-cache reads `cache-directories` and `env-vars`.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(is_js_space)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Lines of `root -> target`, as rust-cache reads `workspaces` (config.ts): an empty root, as from
/// an expression without a value, means `.`. Three cases differ from rust-cache: empty lines are
/// skipped; an empty target means `target` and not the whole root; a line with two arrows gives
/// `None` for all lines. A line without a target also means `target`, and `target` follows
/// `CARGO_TARGET_DIR` and `build.target-dir`.
pub fn workspaces(text: &str) -> Option<Vec<WorkspaceLine>> {
    let lines = text
        .split('\n')
        .map(js_trim)
        .filter(|line| !line.is_empty());
    let found = lines.map(workspace).collect::<Option<Vec<_>>>()?;
    Some(if found.is_empty() {
        workspace(".").into_iter().collect()
    } else {
        found
    })
}

fn workspace(line: &str) -> Option<WorkspaceLine> {
    let (root, target) = line.split_once("->").unwrap_or((line, ""));
    if target.contains("->") {
        return None;
    }
    let (root, target) = (js_trim(root), js_trim(target));
    Some(WorkspaceLine {
        root: if root.is_empty() { "." } else { root }.to_owned(),
        target: (!matches!(target, "" | "target")).then(|| target.to_owned()),
    })
}

/// All errors of the keys of a path cache. An empty key is valid: actions/cache accepts a key of
/// blanks, which matches nothing.
pub(crate) fn check_keys(key: &str, restore_keys: &[String]) -> Vec<InputError> {
    let mut found = Vec::new();
    if restore_keys.len() + 1 > MAX_KEYS {
        found.push(InputError::TooManyKeys);
    }
    for key in std::iter::once(key).chain(restore_keys.iter().map(String::as_str)) {
        if key.encode_utf16().count() > MAX_KEY_LENGTH {
            found.push(InputError::KeyTooLong {
                key: key.to_owned(),
            });
        }
        if key.contains(',') {
            found.push(InputError::KeyWithComma {
                key: key.to_owned(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_items_are_trimmed_lines_without_the_blank_ones() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \n\t\n", &[]),
            ("a", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\n\r\nb\r\n", &["a", "b"]),
            ("  a b  \n  c", &["a b", "c"]),
            ("a,b", &["a,b"]),
            ("a\na", &["a", "a"]),
            ("# note\na", &["# note", "a"]),
            ("!   a\n!\tb", &["!a", "!b"]),
            ("! a", &["!a"]),
            ("a\n  ! b", &["a", "! b"]),
            ("!", &["!"]),
            ("\u{feff}a\u{a0}\nb\u{85}", &["a", "b\u{85}"]),
        ];
        for (value, items) in table {
            assert_eq!(lines(value), *items, "{value:?}");
        }
    }
}
