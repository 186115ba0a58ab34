//! What passes between the two sides, byte by byte.
//!
//! - Near to far: one line of JSON, a [`Hello`] with the request in it. The pipe stays open as long
//!   as the near side lives, so its end is the sign to stop at once, however the near side died.
//!   Before that, [`STOP_LINE`] may follow.
//! - Far to near, standard output: one line, the mark that the hello named followed by a
//!   [`WorkerReply`] as JSON.
//! - Far to near, standard error: log lines, passed on as they come, and after the reply a last
//!   line, the [`farewell`]. The engine carries the two streams side by side, so only this tells
//!   that no log line is still under way.
//!
//! Other output can't be mistaken for the reply: the far side moves its own standard output out of
//! everyone's way before it does anything (see `serve`), and the near side takes only a whole line
//! that begins with the mark, which is new for every request. Without such a line there was no
//! reply.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::Duration;

use crate::site::worker::identity::{HostCheck, Identity};

/// The longest request that is read, in bytes: a bound against a pipe that never ends.
pub const MAX_REQUEST_BYTES: u64 = 256 << 20;

/// Asks the far side to stop, as a signal does where one can be sent.
pub const STOP_LINE: &[u8] = b"stop\n";

/// The first line to the far side.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello<Q> {
    /// What begins the line of the reply.
    pub marker: String,
    /// Set where the far side is a helper that sees a host below a directory of its own.
    pub host: Option<HostCheck>,
    /// How long the work may take.
    pub timeout: Option<Duration>,
    /// How long it may take to stop.
    pub grace: Duration,
    /// What is to be done.
    pub request: Q,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum WorkerReply<R> {
    /// The work was done, or did what it could before it was called off.
    Done {
        /// What the work returned.
        reply: R,
        /// Whether the far side itself asked it to stop at the time limit.
        timed_out: bool,
        /// Who the far side found the runner's user to be.
        identity: Option<Identity>,
        /// Lines for people.
        notices: Vec<String>,
    },
    /// Nothing was done: the user belongs to more groups than this process. To be asked again with
    /// these.
    NeedsGroups(Identity),
    /// Nothing was done: this is not the runner's host, because of this.
    WrongHost(String),
    /// Nothing was done, or not all: the request could not be read, or the work panicked.
    Failed(String),
}

/// A mark that no other output begins with.
pub fn new_marker() -> io::Result<String> {
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

/// The line of a hello, with its end. JSON has no line ends of its own unless it is asked for them.
pub fn encode_hello(hello: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(hello)?;
    line.push(b'\n');
    Ok(line)
}

/// The line of a reply, beginning on a line of its own whatever stood before it.
pub fn encode_reply(mark: &str, reply: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = format!("\n{mark}").into_bytes();
    serde_json::to_writer(&mut line, reply)?;
    line.push(b'\n');
    Ok(line)
}

/// The line that ends standard error, without its end.
pub fn end_marker(mark: &str) -> String {
    format!("{mark}end")
}

/// Cuts a stream of bytes into lines, without their ends.
#[derive(Debug, Default)]
pub struct LineBuffer {
    partial: Vec<u8>,
}

impl LineBuffer {
    /// Adds bytes; gives the lines that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.last() == Some(&b'\n') {
                self.partial.pop();
                lines.push(std::mem::take(&mut self.partial));
            }
        }
        lines
    }

    /// What stands after the last line end, if anything.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let partial = std::mem::take(&mut self.partial);
        (!partial.is_empty()).then_some(partial)
    }
}

/// Finds the reply among the lines of standard output; the rest becomes log lines.
#[derive(Debug)]
pub struct ReplyParser {
    marker: Vec<u8>,
    lines: LineBuffer,
    reply: Option<Vec<u8>>,
    unframed: VecDeque<Vec<u8>>,
}

impl ReplyParser {
    /// For the mark that the hello named.
    pub fn new(mark: &str) -> Self {
        Self {
            marker: mark.as_bytes().to_vec(),
            lines: LineBuffer::default(),
            reply: None,
            unframed: VecDeque::new(),
        }
    }

    /// Adds bytes of standard output.
    pub fn push(&mut self, bytes: &[u8]) {
        for line in self.lines.push(bytes) {
            match line.strip_prefix(self.marker.as_slice()) {
                Some(json) if self.reply.is_none() => self.reply = Some(json.to_vec()),
                _ if line.is_empty() => {}
                _ => self.unframed.push_back(line),
            }
        }
    }

    /// The stream ended: what stands after its last line end is no reply, however it begins.
    pub fn finish(&mut self) {
        if let Some(line) = self
            .lines
            .finish()
            .filter(|line| !line.starts_with(&self.marker))
        {
            self.unframed.push_back(line);
        }
    }

    /// A line that was not the reply.
    pub fn next_unframed(&mut self) -> Option<Vec<u8>> {
        self.unframed.pop_front()
    }

    /// The JSON of the reply, if its whole line came.
    pub fn reply(&self) -> Option<&[u8]> {
        self.reply.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strays(replies: &mut ReplyParser) -> Vec<String> {
        std::iter::from_fn(|| replies.next_unframed())
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn a_reply_is_found_among_stray_output_however_it_is_cut() {
        let mark = new_marker().unwrap();
        let mut stream = b"hello from a library\nno newline".to_vec();
        stream.extend(encode_reply(&mark, &"answer \n with an end").unwrap());
        stream.extend(b"bye\nlocal-cache-reply-00 \"forged\"\n");
        for size in [1, 2, 3, 7, 64, stream.len()] {
            let mut replies = ReplyParser::new(&mark);
            for piece in stream.chunks(size) {
                replies.push(piece);
            }
            let answer: String = serde_json::from_slice(replies.reply().unwrap()).unwrap();
            assert_eq!(answer, "answer \n with an end");
            let expected = [
                "hello from a library",
                "no newline",
                "bye",
                "local-cache-reply-00 \"forged\"",
            ];
            assert_eq!(strays(&mut replies), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_reply_that_was_cut_off_is_no_reply() {
        let mark = new_marker().unwrap();
        let line = encode_reply(&mark, &12345).unwrap();
        let mut replies = ReplyParser::new(&mark);
        replies.push(&line[..line.len() - 1]);
        assert_eq!(replies.reply(), None);
    }

    #[test]
    fn every_mark_is_new() {
        assert_ne!(new_marker().unwrap(), new_marker().unwrap());
    }

    #[test]
    fn lines_keep_what_has_no_end_until_asked() {
        let mut lines = LineBuffer::default();
        assert!(lines.push(b"a").is_empty());
        assert_eq!(lines.push(b"b\n\nc"), [b"ab".to_vec(), Vec::new()]);
        assert_eq!(lines.finish().unwrap(), b"c");
        assert_eq!(lines.finish(), None);
    }
}
