//! An exchange with a worker: sends the request, passes on log lines and signals, and receives the
//! reply.

use hyper::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::client::Client;
use super::frames::FrameReader;
use super::http::Call;
use super::session::{Session, SessionResult};
use super::stream_parser::StreamParser;
use crate::site::supervise::StopReason;
use crate::site::worker::protocol::STOP_LINE;

/// The limit of a call that passes a signal on.
const KILL_LIMIT: Duration = Duration::from_millis(1500);
/// How long a stopped worker has beyond its grace time before it counts as stuck.
const MARGIN: Duration = Duration::from_millis(500);

/// What the engine can do to a worker besides closing its input.
pub(super) enum WorkerHandle<'a> {
    /// A container of ours, to which the engine can send signals.
    Helper { client: &'a Client, name: &'a str },
    /// A process in another container. The engine can't signal it, so it is stopped through its
    /// input.
    Process,
}

impl WorkerHandle<'_> {
    async fn signal(&self, signal: i32) {
        if let Self::Helper { client, name } = self {
            let kill = Call::new(Method::POST, &format!("/containers/{name}/kill"))
                .query("signal", &signal.to_string());
            // If this fails, the deadline that starts now ends the helper.
            drop(
                client
                    .call_within(KILL_LIMIT, "pass on a signal", kill)
                    .await,
            );
        }
    }
}

type Input = WriteHalf<TokioIo<Upgraded>>;

/// The standard streams of a worker.
pub(super) struct AttachedStream {
    input: Input,
    output: FrameReader<ReadHalf<TokioIo<Upgraded>>>,
}

impl AttachedStream {
    pub(super) fn new(streams: TokioIo<Upgraded>) -> Self {
        let (output, input) = tokio::io::split(streams);
        Self {
            input,
            output: FrameReader::new(output),
        }
    }

    /// Sends the request and waits until the worker replies, ends, or is stuck.
    pub(super) async fn run_session(
        mut self,
        session: Session<'_>,
        worker: WorkerHandle<'_>,
    ) -> SessionResult {
        let mut parser = StreamParser::new(&session.marker, session.log);
        let mut control = WorkerControl {
            input: self.input,
            worker,
            hello: session.hello,
            sent: 0,
            grace: session.grace,
            // Later than the worker's own limit: a worker that enforces it replies before this.
            deadline: session
                .timeout
                .map(|timeout| Instant::now() + timeout + MARGIN),
            stop_reason: None,
        };
        let mut stuck = false;
        loop {
            // `biased`: a signal is passed on even while output keeps arriving.
            tokio::select! {
                biased;
                Some(signal) = session.signals.recv() => control.pass_on(signal).await,
                output = self.output.next() => match output {
                    Ok(Some((stream, part))) => {
                        parser.feed(stream, part);
                        // Don't wait for the end of the streams: it comes some 30 ms later, when
                        // the engine has noticed that the process ended.
                        if parser.is_complete() {
                            break;
                        }
                    }
                    Err(_) | Ok(None) => break,
                },
                // A single `write` can be cancelled and repeated; `write_all` would start again
                // from the beginning.
                written = control.input.write(&control.hello[control.sent..]),
                    if control.sent < control.hello.len() => control.count_sent(written),
                () = sleep_until(control.deadline), if control.deadline.is_some() => {
                    stuck = control.pass_deadline().await;
                    if stuck {
                        break;
                    }
                }
            }
        }
        let (reply, last_line) = parser.finish();
        SessionResult {
            reply,
            stop_reason: control.stop_reason,
            stuck,
            last_line,
            exit_code: None,
        }
    }
}

/// The request on its way to a worker, and the attempts to stop that worker.
struct WorkerControl<'a> {
    input: Input,
    worker: WorkerHandle<'a>,
    hello: Vec<u8>,
    /// How many bytes of `hello` the worker has.
    sent: usize,
    grace: Duration,
    deadline: Option<Instant>,
    stop_reason: Option<StopReason>,
}

impl WorkerControl<'_> {
    /// Only the first signal starts the grace time.
    async fn pass_on(&mut self, signal: i32) {
        self.worker.signal(signal).await;
        if self.stop_reason.is_none() {
            self.start_grace(StopReason::Signal(signal));
        }
        if matches!(self.worker, WorkerHandle::Process) {
            if self.sent == self.hello.len() {
                let stop = self.input.write_all(STOP_LINE);
                drop(tokio::time::timeout(KILL_LIMIT, stop).await);
            } else {
                // The worker would read a stop line after half a request as part of the request.
                self.close_input().await;
            }
        }
    }

    /// Stops the worker at the time limit. True after the grace time: the worker is stuck.
    async fn pass_deadline(&mut self) -> bool {
        if self.stop_reason.is_some() {
            return true;
        }
        self.start_grace(StopReason::Timeout);
        // Stops either kind of worker: to them the end of the input is the end of their parent.
        self.close_input().await;
        false
    }

    fn start_grace(&mut self, reason: StopReason) {
        self.stop_reason = Some(reason);
        self.deadline = Some(Instant::now() + self.grace + MARGIN);
    }

    fn count_sent(&mut self, written: io::Result<usize>) {
        // After an error nothing more is sent: a worker that ended before it read the whole request
        // gives the reason on its standard error.
        // A write of no bytes counts as one, so that this ends with a writer that takes none.
        self.sent = written.map_or(self.hello.len(), |count| self.sent + count.max(1));
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
