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
use crate::site::worker::protocol::{Lines, Replies};

/// How long one call to pass a signal on may take.
const KILL_LIMIT: Duration = Duration::from_millis(1500);
/// What a stopped far side has beyond its grace time before it is taken for stuck.
const MARGIN: Duration = Duration::from_millis(500);

/// What the near side brings to a conversation.
pub(crate) struct Session<'a> {
    /// The line of the hello, with its end.
    pub(crate) hello: Vec<u8>,
    /// What begins the line of the reply.
    pub(crate) mark: String,
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
    pub(crate) fn again(&mut self) -> Session<'_> {
        Session {
            hello: self.hello.clone(),
            mark: self.mark.clone(),
            timeout: self.timeout,
            grace: self.grace,
            signals: self.signals,
            log: self.log,
        }
    }

    /// Does something that a signal or the time limit may cut short.
    pub(super) async fn unless_called_off<T>(
        &mut self,
        action: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let limit = self.timeout.unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Err(Problem::CalledOff(signal)),
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
    pub(crate) called_off: Option<StopReason>,
    /// Whether it had not ended when it should have.
    pub(crate) stuck: bool,
    /// The last line that it said.
    pub(crate) last: Option<String>,
    /// How it ended, if that is known.
    pub(crate) exit: Option<i64>,
}

/// What can be done to the far side besides closing its input.
pub(super) enum Peer<'a> {
    /// A container of our own: signals reach it.
    Helper { client: &'a Client, name: &'a str },
    /// A process in another's container: the engine has no way to signal it, so it is told on its
    /// input.
    Process,
}

/// The two ends of an attached stream.
pub(super) struct Link {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>,
}

impl Link {
    pub(super) fn new(
        input: Pin<Box<dyn AsyncWrite + Send>>,
        output: Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>,
    ) -> Self {
        Self { input, output }
    }

    /// Sends the request, then listens until the far side ends or is given up.
    pub(super) async fn talk(mut self, talk: Session<'_>, peer: Peer<'_>) -> SessionResult {
        let mut heard = SessionResult::default();
        let mut ears = StreamParser {
            replies: Replies::new(&talk.mark),
            errors: Lines::default(),
            farewell: wire::farewell(&talk.mark).into_bytes(),
            errors_ended: false,
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
                    if heard.called_off.is_none() {
                        heard.called_off = Some(StopReason::Signal(signal));
                        deadline = Some(Instant::now() + talk.grace + MARGIN);
                    }
                    if matches!(peer, Peer::Process) && sent == talk.hello.len() {
                        drop(tokio::time::timeout(KILL_LIMIT, self.input.write_all(wire::STOP)).await);
                    } else if matches!(peer, Peer::Process) {
                        self.close_input().await;
                    }
                }
                output = self.output.next() => match output {
                    Some(Ok(output)) => {
                        ears.hear(output, &mut heard);
                        // The streams end some 30 ms later, when the engine has noticed that the
                        // process ended.
                        if ears.heard_all() {
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
                    if heard.called_off.is_some() {
                        heard.stuck = true;
                        break;
                    }
                    heard.called_off = Some(StopReason::Timeout);
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

impl Peer<'_> {
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
    replies: Replies,
    errors: Lines,
    /// The line that ends the log.
    farewell: Vec<u8>,
    errors_ended: bool,
    log: &'a mut dyn FnMut(&str),
}

impl StreamParser<'_> {
    fn hear(&mut self, output: LogOutput, heard: &mut SessionResult) {
        match output {
            LogOutput::StdErr { message } => {
                for line in self.errors.push(&message) {
                    if line == self.farewell {
                        self.errors_ended = true;
                    } else {
                        self.say(&line, heard);
                    }
                }
            }
            other => {
                self.replies.push(&other.into_bytes());
                self.say_strays(heard);
            }
        }
    }

    /// Whether both streams said that nothing follows.
    fn heard_all(&self) -> bool {
        self.errors_ended && self.replies.reply().is_some()
    }

    fn finish(mut self, heard: &mut SessionResult) {
        self.replies.end();
        self.say_strays(heard);
        if let Some(line) = self.errors.finish() {
            self.say(&line, heard);
        }
        heard.reply = self.replies.reply().map(<[u8]>::to_vec);
    }

    fn say_strays(&mut self, heard: &mut SessionResult) {
        while let Some(line) = self.replies.next_stray() {
            self.say(&line, heard);
        }
    }

    fn say(&mut self, line: &[u8], heard: &mut SessionResult) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        // The farewell begins on a line of its own and leaves an empty one behind.
        if !line.trim().is_empty() {
            (self.log)(line);
            heard.last = Some(line.to_owned());
        }
    }
}
