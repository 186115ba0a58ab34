//! The protocol between the entrypoint and its worker.
//!
//! - Request: one line of JSON, a [`Hello`], on the worker's standard input. The entrypoint keeps
//!   the pipe open as long as it lives. When the pipe closes, however the entrypoint ended, the
//!   worker stops at once. Before that, the entrypoint may send [`STOP_LINE`].
//! - Reply: one line on standard output, the marker from the request followed by a [`WorkerReply`]
//!   as JSON.
//! - Log: lines on standard error, passed on as they arrive. After the reply, one last line is the
//!   [`end_marker`]. The engine transfers the two streams independently, so only this line shows
//!   that no log line is still on its way.
//!
//! No other output can be taken for the reply. The worker redirects its own standard output before
//! it does anything else (see `serve`), and the entrypoint accepts only a whole line that starts
//! with the marker, which is random and new in every request. Without such a line there is no
//! reply; all other lines of standard output are unframed and go to the log.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::Duration;

use crate::site::worker::identity::{HostCheck, Identity};

/// The longest request that is read, in bytes: a bound against input without an end.
pub(super) const MAX_REQUEST_BYTES: u64 = 256 << 20;
/// The longest reply that is read, in bytes.
const MAX_REPLY_BYTES: usize = 256 << 20;
/// The longest line of the log, in bytes. The rest of a longer line counts as the next one.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Asks a worker to stop that no signal can be sent to.
pub const STOP_LINE: &[u8] = b"stop\n";

/// The first line of a worker's input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello<Q> {
    /// Marks the line of the reply.
    pub marker: String,
    /// Set for a helper, which sees the host below a directory of its own.
    pub host: Option<HostCheck>,
    /// Whether the worker replies before it does its work, and goes on when its parent ends.
    #[serde(default)]
    pub outlives_parent: bool,
    /// How long the job may take.
    pub timeout: Option<Duration>,
    /// How long the job may take to stop.
    pub grace: Duration,
    pub request: Q,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum WorkerReply<R> {
    /// The job ran, at least until it was stopped.
    Done {
        reply: R,
        /// Whether the worker stopped the job at the time limit.
        timed_out: bool,
        /// The runner's user, in replies of a helper.
        identity: Option<Identity>,
        notices: Vec<String>,
    },
    /// The work begins, and nobody has to wait for it.
    Started,
    /// Nothing was done: the runner's user belongs to groups that this process does not have. The
    /// request should be repeated with this identity.
    NeedsGroups(Identity),
    /// Nothing was done: this is not the runner's host, for this reason.
    WrongHost(String),
    /// Nothing was done: this process may not have the runner's user, for this reason.
    WrongUser(String),
    /// Nothing was done: this process can do more than it should, for this reason.
    Unconfined(String),
    /// The request could not be read, or the job panicked.
    Failed(String),
}

/// A marker that no other output starts with.
pub(crate) fn new_marker() -> io::Result<String> {
    Ok(format!("local-cache-reply-{} ", random_hex()?))
}

/// 128 random bits as hexadecimal digits.
pub(crate) fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut digits = String::with_capacity(32);
    for byte in bytes {
        // Writing to a String can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

/// The line of a request. Compact JSON contains no line ends.
pub fn encode_hello(hello: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(hello)?;
    line.push(b'\n');
    Ok(line)
}

/// The line of a reply. It starts with a line end, in case other output ended without one.
pub(super) fn encode_reply(marker: &str, reply: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = format!("\n{marker}").into_bytes();
    serde_json::to_writer(&mut line, reply)?;
    line.push(b'\n');
    Ok(line)
}

/// The last line of standard error, without its line end.
pub fn end_marker(marker: &str) -> String {
    format!("{marker}end")
}

/// Splits a stream of bytes into lines without their line ends. A line that is longer than its
/// limit is split, so that a stream without line ends takes no more memory.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    partial: Vec<u8>,
    /// Lines that start with this may be longer.
    marker: Vec<u8>,
}

impl LineBuffer {
    /// Adds bytes and returns the lines that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(chunk);
            if self.partial.last() == Some(&b'\n') {
                self.partial.pop();
                lines.push(std::mem::take(&mut self.partial));
            } else if self.partial.len() > self.limit() {
                lines.push(std::mem::take(&mut self.partial));
            }
        }
        lines
    }

    fn limit(&self) -> usize {
        if !self.marker.is_empty() && self.partial.starts_with(&self.marker) {
            MAX_REPLY_BYTES
        } else {
            MAX_LINE_BYTES
        }
    }

    /// The bytes after the last line end, if any.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let partial = std::mem::take(&mut self.partial);
        (!partial.is_empty()).then_some(partial)
    }
}

/// Separates the reply from the unframed lines of standard output.
#[derive(Debug)]
pub(crate) struct ReplyParser {
    marker: Vec<u8>,
    lines: LineBuffer,
    reply: Option<Vec<u8>>,
    unframed: VecDeque<Vec<u8>>,
}

impl ReplyParser {
    pub(crate) fn new(marker: &str) -> Self {
        Self {
            marker: marker.as_bytes().to_vec(),
            lines: LineBuffer {
                marker: marker.as_bytes().to_vec(),
                ..LineBuffer::default()
            },
            reply: None,
            unframed: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for line in self.lines.push(bytes) {
            match line.strip_prefix(self.marker.as_slice()) {
                Some(json) if self.reply.is_none() => self.reply = Some(json.to_vec()),
                _ if line.is_empty() => {}
                _ => self.unframed.push_back(line),
            }
        }
    }

    /// Ends the stream. An incomplete last line is never the reply, even if it starts with the
    /// marker.
    pub(crate) fn finish(&mut self) {
        if let Some(line) = self
            .lines
            .finish()
            .filter(|line| !line.starts_with(&self.marker))
        {
            self.unframed.push_back(line);
        }
    }

    /// Takes the oldest line that is not the reply.
    pub(crate) fn next_unframed(&mut self) -> Option<Vec<u8>> {
        self.unframed.pop_front()
    }

    /// The JSON of the reply, if its whole line arrived.
    pub(crate) fn reply(&self) -> Option<&[u8]> {
        self.reply.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unframed(replies: &mut ReplyParser) -> Vec<String> {
        std::iter::from_fn(|| replies.next_unframed())
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn a_reply_is_found_among_unframed_lines_in_chunks_of_any_size() {
        let marker = new_marker().unwrap();
        let mut stream = b"hello from a library\nno newline".to_vec();
        stream.extend(encode_reply(&marker, &"answer \n with an end").unwrap());
        stream.extend(b"bye\nlocal-cache-reply-00 \"forged\"\n");
        for size in [1, 2, 3, 7, 64, stream.len()] {
            let mut replies = ReplyParser::new(&marker);
            for chunk in stream.chunks(size) {
                replies.push(chunk);
            }
            let answer: String = serde_json::from_slice(replies.reply().unwrap()).unwrap();
            assert_eq!(answer, "answer \n with an end");
            let expected = [
                "hello from a library",
                "no newline",
                "bye",
                "local-cache-reply-00 \"forged\"",
            ];
            assert_eq!(unframed(&mut replies), expected, "chunks of {size}");
        }
    }

    #[test]
    fn an_incomplete_reply_is_ignored() {
        let marker = new_marker().unwrap();
        let line = encode_reply(&marker, &12345).unwrap();
        let mut replies = ReplyParser::new(&marker);
        replies.push(&line[..line.len() - 1]);
        assert_eq!(replies.reply(), None);
    }

    #[test]
    fn every_marker_is_new() {
        assert_ne!(new_marker().unwrap(), new_marker().unwrap());
    }

    #[test]
    fn a_line_without_an_end_is_split_unless_it_is_the_reply() {
        let mut lines = LineBuffer::default();
        let longest = vec![b'x'; MAX_LINE_BYTES];
        assert!(lines.push(&longest).is_empty());
        assert_eq!(lines.push(b"y")[0].len(), MAX_LINE_BYTES + 1);
        assert_eq!(lines.finish(), None);

        let marker = new_marker().unwrap();
        let mut replies = ReplyParser::new(&marker);
        let answer = "x".repeat(3 * MAX_LINE_BYTES);
        for part in encode_reply(&marker, &answer).unwrap().chunks(999) {
            replies.push(part);
        }
        assert_eq!(replies.reply().unwrap().len(), answer.len() + 2);
    }

    #[test]
    fn an_incomplete_line_is_kept_until_the_end() {
        let mut lines = LineBuffer::default();
        assert!(lines.push(b"a").is_empty());
        assert_eq!(lines.push(b"b\n\nc"), [b"ab".to_vec(), Vec::new()]);
        assert_eq!(lines.finish().unwrap(), b"c");
        assert_eq!(lines.finish(), None);
    }
}
