//! Parsers for the values of inputs. Each takes trimmed text and returns `None` if it is invalid.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use log::LevelFilter;

use super::types::{JobStatus, Mirror, Preset, Reuse, SaveMode, Scope};
use crate::cargo::freshness::mode::FreshnessMode;
use crate::site::SitePreference;

/// A choice of keywords, in any case.
pub(super) trait Keyword: Copy + 'static {
    const KEYWORDS: &'static [(&'static str, Self)];
}

pub(super) fn keyword<W: Keyword>(text: &str) -> Option<W> {
    W::KEYWORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
}

impl Keyword for bool {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("true", true),
        ("yes", true),
        ("1", true),
        ("on", true),
        ("false", false),
        ("no", false),
        ("0", false),
        ("off", false),
    ];
}

impl Keyword for Mirror {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("true", Self::Yes),
        ("yes", Self::Yes),
        ("1", Self::Yes),
        ("on", Self::Yes),
        ("false", Self::No),
        ("no", Self::No),
        ("0", Self::No),
        ("off", Self::No),
    ];
}

impl Keyword for Preset {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("cargo", Self::Cargo),
        ("none", Self::None),
    ];
}

impl Keyword for Scope {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("repository", Self::Repository),
        ("owner", Self::Owner),
        ("runner", Self::Runner),
    ];
}

impl Keyword for SaveMode {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("always", Self::Always),
        ("on-success", Self::OnSuccess),
        ("never", Self::Never),
    ];
}

impl Keyword for Reuse {
    const KEYWORDS: &'static [(&'static str, Self)] = &[("move", Self::Move), ("copy", Self::Copy)];
}

impl Keyword for FreshnessMode {
    const KEYWORDS: &'static [(&'static str, Self)] = Self::NAMED;
}

impl Keyword for SitePreference {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("here", Self::Here),
        ("host", Self::Host),
        ("job-container", Self::JobContainer),
    ];
}

/// `job.status`, as actions/runner spells its results.
impl Keyword for JobStatus {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("success", Self::Success),
        ("failure", Self::Failure),
        ("cancelled", Self::Cancelled),
    ];
}

impl Keyword for LevelFilter {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Bytes: `20GB` (powers of ten), `20 GiB` (powers of two), `20G` (as GB), a bare number.
///
/// An overflow of 64 bits is invalid, although the library saturates. So is a bare number below a
/// million other than 0: `max-cache-size: 50` hardly means 50 bytes.
pub fn size(text: &str) -> Option<u64> {
    let bytes = text.parse::<ByteSize>().ok()?.as_u64();
    let bare = text.bytes().all(|byte| byte.is_ascii_digit());
    let forgot_the_unit = bare && (1..1_000_000).contains(&bytes);
    (bytes < u64::MAX && !forgot_the_unit).then_some(bytes)
}

/// `7d`, `1h30m`, `90s`. The library takes `M` for months; here `10M` is ten minutes.
pub fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(&text.to_ascii_lowercase()).ok()
}

pub(super) fn positive_duration(text: &str) -> Option<Duration> {
    duration(text).filter(|duration| !duration.is_zero())
}

/// `80` or `80%`, at most 100.
pub(super) fn percent(text: &str) -> Option<u8> {
    digits(text.strip_suffix('%').unwrap_or(text).trim_end()).filter(|percent| *percent <= 100)
}

pub(super) fn count(text: &str) -> Option<NonZeroU32> {
    digits(text)
}

/// Digits only: the standard parser would also take a `+`.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// An absolute path, `~`, or a path that begins with `~/`, on one line. A relative path would put
/// the store into the workspace, which a checkout cleans.
pub(super) fn store_path(text: &str) -> Option<String> {
    let rooted = text.starts_with('/') || text == "~" || text.starts_with("~/");
    (rooted && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
