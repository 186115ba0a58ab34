//! The conversation with a far side: the request in, log lines out as they come, the reply, and
//! calling it off.

use bollard::container::LogOutput;
use bollard::query_parameters::KillContainerOptionsBuilder;
use futures_util::{Stream, StreamExt};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::{Client, DockerError};
use crate::site::problem::Problem;
use crate::site::supervise::StopReason;
use crate::site::worker::protocol as wire;
use crate::site::worker::protocol::{LineBuffer, ReplyParser};

/// How long one call to pass a signal on may take.
const KILL_LIMIT: Duration = Duration::from_millis(1500);
/// What a stopped far side has beyond its grace time before it is taken for stuck.
const MARGIN: Duration = Duration::from_millis(500);

/// What the near side brings to a conversation.
pub(crate) struct Session<'a> {
    /// The line of the hello, with its end.
    pub(crate) hello: Vec<u8>,
    /// What begins the line of the reply.
    pub(crate) marker: String,
    /// When the far side should have stopped by itself. It has the same limit and counts it; this
    /// one is for when it does not.
    pub(crate) timeout: Option<Duration>,
    /// How long it has to stop.
    pub(crate) grace: Duration,
    /// Signals that this process got.
    pub(crate) signals: &'a mut UnboundedReceiver<i32>,
    /// Takes the log lines, without their ends.
    pub(crate) log: &'a mut dyn FnMut(&str),
}

impl Session<'_> {
    /// The same conversation, to be held again.
    pub(crate) fn reborrow(&mut self) -> Session<'_> {
        Session {
            hello: self.hello.clone(),
            marker: self.marker.clone(),
            timeout: self.timeout,
            grace: self.grace,
            signals: self.signals,
            log: self.log,
        }
    }

    /// Does something that a signal or the time limit may cut short.
    pub(super) async fn or_cancelled<T>(
        &mut self,
        action: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let limit = self.timeout.unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Err(Problem::Cancelled(signal)),
            result = tokio::time::timeout(limit, action) => result.unwrap_or(Err(Problem::TimedOut(limit))),
        }
    }
}

/// What came of a conversation.
#[derive(Debug, Default)]
pub(crate) struct SessionResult {
    /// The reply's JSON, if one came.
    pub(crate) reply: Option<Vec<u8>>,
    /// Why the far side was called off by this side.
    pub(crate) stop_reason: Option<StopReason>,
    /// Whether it had not ended when it should have.
    pub(crate) stuck: bool,
    /// The last line that it said.
    pub(crate) last_line: Option<String>,
    /// How it ended, if that is known.
    pub(crate) exit_code: Option<i64>,
}

/// What can be done to the far side besides closing its input.
pub(super) enum WorkerHandle<'a> {
    /// A container of our own: signals reach it.
    Helper { client: &'a Client, name: &'a str },
    /// A process in another's container: the engine has no way to signal it, so it is told on its
    /// input.
    Process,
}

/// The two ends of an attached stream.
pub(super) struct AttachedStream {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>,
}

impl AttachedStream {
    pub(super) fn new(
        input: Pin<Box<dyn AsyncWrite + Send>>,
        output: Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>,
    ) -> Self {
        Self { input, output }
    }

    /// Sends the request, then listens until the far side ends or is given up.
    pub(super) async fn run_session(
        mut self,
        talk: Session<'_>,
        peer: WorkerHandle<'_>,
    ) -> SessionResult {
        let mut heard = SessionResult::default();
        let mut ears = StreamParser {
            stdout: ReplyParser::new(&talk.marker),
            stderr: LineBuffer::default(),
            end_marker: wire::end_marker(&talk.marker).into_bytes(),
            stderr_ended: false,
            log: talk.log,
        };
        // Only what is past the far side's own limits ends the conversation from this side.
        let mut deadline = talk
            .timeout
            .map(|timeout| Instant::now() + timeout + MARGIN);
        let mut sent = 0;
        loop {
            tokio::select! {
                biased;
                Some(signal) = talk.signals.recv() => {
                    peer.signal(signal).await;
                    if heard.stop_reason.is_none() {
                        heard.stop_reason = Some(StopReason::Signal(signal));
                        deadline = Some(Instant::now() + talk.grace + MARGIN);
                    }
                    if matches!(peer, WorkerHandle::Process) && sent == talk.hello.len() {
                        drop(tokio::time::timeout(KILL_LIMIT, self.input.write_all(wire::STOP_LINE)).await);
                    } else if matches!(peer, WorkerHandle::Process) {
                        self.close_input().await;
                    }
                }
                output = self.output.next() => match output {
                    Some(Ok(output)) => {
                        ears.feed(output, &mut heard);
                        // The streams end some 30 ms later, when the engine has noticed that the
                        // process ended.
                        if ears.is_complete() {
                            break;
                        }
                    }
                    Some(Err(_)) | None => break,
                },
                // A single write may be dropped and tried again; `write_all` would begin anew.
                written = self.input.write(&talk.hello[sent..]), if sent < talk.hello.len() => {
                    // A far side that ended before it read everything says why on the other stream.
                    sent = written.map_or(talk.hello.len(), |count| sent + count.max(1));
                }
                () = sleep_until(deadline), if deadline.is_some() => {
                    if heard.stop_reason.is_some() {
                        heard.stuck = true;
                        break;
                    }
                    heard.stop_reason = Some(StopReason::Timeout);
                    deadline = Some(Instant::now() + talk.grace + MARGIN);
                    self.close_input().await;
                }
            }
        }
        ears.finish(&mut heard);
        heard
    }

    async fn close_input(&mut self) {
        drop(tokio::time::timeout(KILL_LIMIT, self.input.shutdown()).await);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

impl WorkerHandle<'_> {
    async fn signal(&self, signal: i32) {
        if let Self::Helper { client, name } = self {
            let options = KillContainerOptionsBuilder::default()
                .signal(&signal.to_string())
                .build();
            let kill = client.docker.kill_container(name, Some(options));
            // If it fails, the deadline that begins now ends the helper.
            drop(tokio::time::timeout(KILL_LIMIT, kill).await);
        }
    }
}

/// Takes the output apart.
struct StreamParser<'a> {
    stdout: ReplyParser,
    stderr: LineBuffer,
    /// The line that ends the log.
    end_marker: Vec<u8>,
    stderr_ended: bool,
    log: &'a mut dyn FnMut(&str),
}

impl StreamParser<'_> {
    fn feed(&mut self, output: LogOutput, heard: &mut SessionResult) {
        match output {
            LogOutput::StdErr { message } => {
                for line in self.stderr.push(&message) {
                    if line == self.end_marker {
                        self.stderr_ended = true;
                    } else {
                        self.log_line(&line, heard);
                    }
                }
            }
            other => {
                self.stdout.push(&other.into_bytes());
                self.log_unframed(heard);
            }
        }
    }

    /// Whether both streams said that nothing follows.
    fn is_complete(&self) -> bool {
        self.stderr_ended && self.stdout.reply().is_some()
    }

    fn finish(mut self, heard: &mut SessionResult) {
        self.stdout.finish();
        self.log_unframed(heard);
        if let Some(line) = self.stderr.finish() {
            self.log_line(&line, heard);
        }
        heard.reply = self.stdout.reply().map(<[u8]>::to_vec);
    }

    fn log_unframed(&mut self, heard: &mut SessionResult) {
        while let Some(line) = self.stdout.next_unframed() {
            self.log_line(&line, heard);
        }
    }

    fn log_line(&mut self, line: &[u8], heard: &mut SessionResult) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        // The farewell begins on a line of its own and leaves an empty one behind.
        if !line.trim().is_empty() {
            (self.log)(line);
            heard.last_line = Some(line.to_owned());
        }
    }
}
