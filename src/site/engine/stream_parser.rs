//! The output of a worker, split into log lines and the reply.

use super::frames::OutputStream;
use crate::site::worker::protocol::{LineBuffer, ReplyParser, end_marker};

/// Passes on log lines as they arrive and keeps the reply.
pub(super) struct StreamParser<'a> {
    stdout: ReplyParser,
    stderr: LineBuffer,
    /// The line that follows the last log line.
    end_marker: Vec<u8>,
    stderr_ended: bool,
    last_line: Option<String>,
    log: &'a mut dyn FnMut(&str),
}

impl<'a> StreamParser<'a> {
    pub(super) fn new(marker: &str, log: &'a mut dyn FnMut(&str)) -> Self {
        Self {
            stdout: ReplyParser::new(marker),
            stderr: LineBuffer::default(),
            end_marker: end_marker(marker).into_bytes(),
            stderr_ended: false,
            last_line: None,
            log,
        }
    }

    pub(super) fn feed(&mut self, stream: OutputStream, part: &[u8]) {
        match stream {
            OutputStream::Stderr => {
                // A part can begin and end anywhere in a line.
                for line in self.stderr.push(part) {
                    if line == self.end_marker {
                        self.stderr_ended = true;
                    } else {
                        self.log_line(&line);
                    }
                }
            }
            OutputStream::Stdout => {
                self.stdout.push(part);
                self.log_unframed();
            }
        }
    }

    /// Whether the reply and the end of the log arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.stderr_ended && self.stdout.reply().is_some()
    }

    /// The reply and the last log line, if any.
    pub(super) fn finish(mut self) -> (Option<Vec<u8>>, Option<String>) {
        self.stdout.finish();
        self.log_unframed();
        if let Some(line) = self.stderr.finish() {
            self.log_line(&line);
        }
        (self.stdout.reply().map(<[u8]>::to_vec), self.last_line)
    }

    fn log_unframed(&mut self) {
        while let Some(line) = self.stdout.next_unframed() {
            self.log_line(&line);
        }
    }

    fn log_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        // The end marker starts on a new line, which leaves an empty one before it.
        if !line.trim().is_empty() {
            (self.log)(line);
            self.last_line = Some(line.to_owned());
        }
    }
}
