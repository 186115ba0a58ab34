//! White space as GitHub's programs know it. They are JavaScript, so it is what ECMAScript calls
//! white space and not what Unicode does: the byte order mark is, the next-line character U+0085 is
//! not.

/// Whether a character is white space.
pub fn is_js_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Removes what JavaScript's `String.prototype.trim` removes from both ends.
pub fn js_trim(text: &str) -> &str {
    text.trim_matches(is_js_space)
}
