//! The streams of an attached container, which the engine sends over one connection.
//!
//! Each frame has a header of eight bytes (the stream, three zeros, the length as a big-endian
//! number) and up to 4 GiB of payload. A payload is passed on in parts as it arrives, so its length
//! in the header costs no memory. Some engines report that a program can't be started as plain text
//! instead of a frame: from the first header that is none, everything counts as such text.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

const HEADER_BYTES: usize = 8;
const BUFFER_BYTES: usize = 32 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputStream {
    Stdout,
    Stderr,
}

/// Splits a connection into the parts of its frames.
pub(super) struct FrameReader<R> {
    reader: R,
    buffer: Box<[u8]>,
    /// The bytes of the buffer that were read and not yet passed on.
    start: usize,
    end: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Header,
    /// The rest of a frame's payload, in bytes.
    Payload(OutputStream, usize),
    /// There are no frames.
    PlainText,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; BUFFER_BYTES].into(),
            start: 0,
            end: 0,
            state: State::Header,
        }
    }

    /// The next part of the output; `None` at its end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<(OutputStream, &[u8])>> {
        loop {
            match self.state {
                State::Header if self.end - self.start >= HEADER_BYTES => self.read_header(),
                State::Payload(_, 0) => self.state = State::Header,
                State::Payload(stream, left) if self.start < self.end => {
                    let part = self.take(left);
                    let left = left - (part.1 - part.0);
                    self.state = State::Payload(stream, left);
                    return Ok(Some((stream, &self.buffer[part.0..part.1])));
                }
                State::PlainText if self.start < self.end => {
                    let part = self.take(BUFFER_BYTES);
                    return Ok(Some((OutputStream::Stderr, &self.buffer[part.0..part.1])));
                }
                state => {
                    if self.fill().await? {
                        continue;
                    }
                    if matches!(state, State::Payload(..)) || self.start == self.end {
                        return Ok(None);
                    }
                    // The rest is shorter than a header.
                    self.state = State::PlainText;
                }
            }
        }
    }

    #[expect(clippy::big_endian_bytes, reason = "the engine's format")]
    fn read_header(&mut self) {
        let header = &self.buffer[self.start..self.start + HEADER_BYTES];
        let stream = match header[..4] {
            [2, 0, 0, 0] => OutputStream::Stderr,
            [0 | 1, 0, 0, 0] => OutputStream::Stdout,
            _ => {
                self.state = State::PlainText;
                return;
            }
        };
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        self.start += HEADER_BYTES;
        self.state = State::Payload(stream, usize::try_from(length).unwrap_or(usize::MAX));
    }

    /// The next unread bytes of the buffer, at most `limit`.
    fn take(&mut self, limit: usize) -> (usize, usize) {
        let begin = self.start;
        self.start = self.end.min(begin.saturating_add(limit));
        (begin, self.start)
    }

    /// Reads more bytes; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let count = self.reader.read(&mut self.buffer[self.end..]).await?;
        self.end += count;
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// The output of a connection on which these bytes arrive in chunks of this size.
    fn output(bytes: &[u8], chunk: usize) -> (Vec<u8>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut sender, receiver) = tokio::io::duplex(chunk);
            let bytes = bytes.to_vec();
            tokio::spawn(async move { sender.write_all(&bytes).await });
            let mut frames = FrameReader::new(receiver);
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            while let Some((stream, part)) = frames.next().await.unwrap() {
                match stream {
                    OutputStream::Stdout => stdout.extend_from_slice(part),
                    OutputStream::Stderr => stderr.extend_from_slice(part),
                }
            }
            (stdout, stderr)
        })
    }

    #[expect(clippy::big_endian_bytes, reason = "the engine's format")]
    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0][..], &length, payload].concat()
    }

    #[test]
    fn frames_are_split_into_streams_in_chunks_of_any_size() {
        let long = vec![b'x'; 100_000];
        let bytes = [
            frame(1, b"out"),
            frame(2, b"err"),
            frame(1, b""),
            frame(2, b"\x01\0\0\0\0\0\0\x09"),
            frame(1, &long),
        ]
        .concat();
        for chunk in [1, 7, 4096, bytes.len()] {
            let (stdout, stderr) = output(&bytes, chunk);
            assert_eq!(stdout, [&b"out"[..], &long].concat(), "{chunk}");
            assert_eq!(stderr, b"err\x01\0\0\0\0\0\0\x09", "{chunk}");
        }
    }

    #[test]
    fn text_without_frames_is_log_text() {
        for text in ["OCI runtime exec failed: no such file\r\n", "short"] {
            let (stdout, stderr) = output(text.as_bytes(), 5);
            assert_eq!((stdout, stderr), (Vec::new(), text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn a_frame_that_claims_four_gigabytes_is_passed_on_as_it_arrives() {
        let (stdout, _) = output(b"\x01\0\0\0\xff\xff\xff\xffabc", 4096);
        assert_eq!(stdout, b"abc");
    }
}
