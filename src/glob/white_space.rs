//! White space as GitHub's programs define it. They are JavaScript, so the definition is that of
//! ECMAScript, which differs from Unicode: the byte order mark is white space, the next-line
//! character U+0085 is not.

pub(crate) fn is_js_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Does the same as JavaScript's `String.prototype.trim`.
pub(crate) fn js_trim(text: &str) -> &str {
    text.trim_matches(is_js_space)
}
