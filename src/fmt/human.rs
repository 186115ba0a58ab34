//! Numbers, sizes, durations and names as text for people.

use std::borrow::Cow;
use std::time::Duration;

/// Bytes in decimal units: `442 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Counts tenths of the unit, so that rounding is exact.
    let (mut tenths, mut unit) = (bytes.saturating_add(50) / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

/// A number with thousands separators: `17,558`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 file`, `17,558 files`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration: `34 ms`, `1.2 s`, `2 min 5 s`, `7 h 37 min`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A duration in milliseconds as text, like [`elapsed`].
pub(crate) fn elapsed_ms(milliseconds: u64) -> String {
    elapsed(Duration::from_millis(milliseconds))
}

/// An age: `12 s`, `5 min`, `3 h`, `9 days`.
pub(crate) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Escapes control characters, so that a key or a path takes one line and can't control a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Cuts a text to `width` characters. The middle is skipped, because keys and paths differ at
/// their ends.
pub(crate) fn cut_middle(text: &str, width: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= width {
        return Cow::Borrowed(text);
    }
    let kept = width.saturating_sub(1);
    let end = kept / 2;
    let start = text.chars().take(kept - end);
    Cow::Owned(
        start
            .chain(['…'])
            .chain(text.chars().skip(count - end))
            .collect(),
    )
}

/// A git ref as people write it: `main`, `v1.0`, `pull/7`.
pub(crate) fn git_ref(full: &str) -> &str {
    let short = ["refs/heads/", "refs/tags/", "refs/"];
    let rest = short.iter().find_map(|prefix| full.strip_prefix(prefix));
    let rest = rest.unwrap_or(full);
    match rest.strip_suffix("/merge") {
        Some(pull) if pull.starts_with("pull/") => pull,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_or_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_960, "10 kB"),
            (442_000_000, "442 MB"),
            (999_999, "1.0 MB"),
            (1_400_000_000, "1.4 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [count(0), count(999), count(1000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(plural(1, "file", "files"), "1 file");
    }

    #[test]
    fn durations_name_their_units() {
        let cases = [
            (34, "34 ms"),
            (1250, "1.2 s"),
            (12_900, "12 s"),
            (125_000, "2 min 5 s"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(elapsed_ms(milliseconds), text);
        }
    }

    #[test]
    fn a_text_that_is_cut_keeps_its_ends() {
        assert_eq!(cut_middle("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut_middle("abcdefgh", 6), "abc…gh");
        assert_eq!(cut_middle("ééééé", 3), "é…é");
        assert_eq!(cut_middle("abc", 0), "…");
    }

    #[test]
    fn refs_are_shown_without_what_git_puts_in_front() {
        let cases = [
            ("refs/heads/main", "main"),
            ("refs/tags/v1.0", "v1.0"),
            ("refs/pull/7/merge", "pull/7"),
            ("untrusted/pull/7", "untrusted/pull/7"),
            ("", ""),
        ];
        for (full, short) in cases {
            assert_eq!(git_ref(full), short);
        }
    }
}
