//! Lists of patterns as people write them: one a line.
//!
//! GitHub's programs are JavaScript, so white space is what ECMAScript calls white space and not what Unicode
//! does: the byte order mark is trimmed, the next-line character U+0085 is not.

/// The items of a list input: one a line, trimmed, blank lines dropped, duplicates and order kept.
///
/// White space after a `!` that begins a line is dropped, so `! x` is `!x`. That happens before the line is
/// trimmed, so an indented `! x` keeps its blank (actions/cache, `actionUtils.ts`, `getInputAsArray`); as a
/// pattern the two mean the same.
pub fn input_lines(value: &str) -> Vec<String> {
    trim(value).split('\n').map(list_item).filter(|item| !item.is_empty()).collect()
}

fn list_item(line: &str) -> String {
    match line.strip_prefix('!') {
        Some(rest) => trim(&format!("!{}", rest.trim_start_matches(is_white_space))).to_owned(),
        None => trim(line).to_owned(),
    }
}

/// Removes what ECMAScript's `trim` removes from both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

fn is_white_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
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
            assert_eq!(input_lines(value), *items, "{value:?}");
        }
    }
}
