//! Small pieces of text and JSON that several commands print.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

pub(super) use crate::fmt::human::one_line;
use crate::fmt::human::{age, bytes, plural};
use crate::fs::Timestamp;
use crate::ops::path_list::printable;

/// A result as text for people and as JSON for programs.
pub(super) type Rendered = (String, Value);

/// A path in a tree, without the `./` of the tree's own names.
pub(super) fn tree_path(path: &Path) -> String {
    let text = printable(path.as_os_str().as_encoded_bytes());
    one_line(text.strip_prefix("./").unwrap_or(&text))
}

/// `3 files, 12 MB`
pub(super) fn files_and_bytes(files: u64, size: u64) -> String {
    format!("{}, {}", plural(files, "file", "files"), bytes(size))
}

/// How long ago something was, without the word "ago".
pub(super) fn age_of(time: Timestamp) -> String {
    let seconds = Timestamp::now().seconds.saturating_sub(time.seconds);
    age(Duration::from_secs(
        u64::try_from(seconds).unwrap_or_default(),
    ))
}
