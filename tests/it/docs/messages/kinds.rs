//! The messages of the library's error type, whose advice depends on what the system said.

use std::path::{Path, PathBuf};

use local_cache::error::Error;
use nix::errno::Errno;

use super::source::{self, Message};

/// The system's errors that come up with a cache.
const SYSTEM: [Errno; 8] = [
    Errno::ENOSPC,
    Errno::EDQUOT,
    Errno::EACCES,
    Errno::EROFS,
    Errno::ENOTDIR,
    Errno::EEXIST,
    Errno::ENOENT,
    Errno::EIO,
];

/// What stands for a name in a table.
fn path() -> PathBuf {
    PathBuf::from("…")
}

/// The errors, each with its advice.
pub(super) fn errors() -> Vec<Message> {
    let of_system = SYSTEM.map(|errno| Error::Io {
        action: "…",
        path: path(),
        source: errno.into(),
    });
    let others = [
        Error::damaged(&path(), "…"),
        Error::NewerFormat {
            path: path(),
            found: 0,
            supported: 0,
        },
        Error::Untrusted {
            path: path(),
            reason: "…".to_owned(),
            advice: "see [Who may use a cache root](../SECURITY.md#who-may-use-a-cache-root)",
        },
        Error::Busy {
            what: "…".to_owned(),
        },
    ];
    let message = |error: &Error| Message {
        text: error
            .to_string()
            .replace("version 0", "version …")
            .replace("to 0", "to …"),
        advice: error.advice().map(Into::into),
        call: String::new(),
    };
    of_system.iter().chain(&others).map(message).collect()
}

#[test]
fn every_kind_of_error_is_among_them() {
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error.rs"))
            .unwrap();
    let shown: Vec<String> = errors().into_iter().map(|message| message.text).collect();
    for Message { text, call, .. } in source::read(&source).messages {
        assert!(
            !call.is_empty() || shown.contains(&text) || text == "cannot … …: …",
            "{text}"
        );
    }
}
