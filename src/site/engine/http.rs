//! HTTP over the engine's socket: one connection for each request, replies of bounded length.
//!
//! An engine is trusted with the machine, but what listens on its socket may be something else or
//! broken. So every reply is read up to a limit, and [`Client`](super::client::Client) gives every
//! call a time limit.

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;

/// The longest reply that is read, in bytes. A list of a thousand containers takes about two.
const MAX_REPLY_BYTES: usize = 16 << 20;
/// The longest message of an error that is shown, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// A request to the engine.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    /// The path and the query, without the version.
    target: String,
    body: Bytes,
    content_type: &'static str,
}

impl Call {
    pub(super) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            target: path.to_owned(),
            body: Bytes::new(),
            content_type: "application/json",
        }
    }

    /// Appends a parameter to the query.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.target
            .push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.target.push(char::from(byte));
            } else {
                // Writing to a String can't fail.
                let _ = write!(self.target, "%{byte:02X}");
            }
        }
        self
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self
    }

    pub(super) fn archive(mut self, body: Vec<u8>) -> Self {
        self.body = Bytes::from(body);
        self.content_type = "application/x-tar";
        self
    }
}

/// Why there is no usable reply.
#[derive(Debug)]
pub(super) enum CallError {
    Io(io::Error),
    /// The engine answered with an error status.
    Status(u16, String),
    /// What answers does not speak the engine's protocol.
    Protocol(String),
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<hyper::Error> for CallError {
    fn from(error: hyper::Error) -> Self {
        let io = error
            .source()
            .and_then(|cause| cause.downcast_ref::<io::Error>());
        match io {
            Some(io) => Self::Io(io::Error::new(io.kind(), io.to_string())),
            None => Self::Protocol(error.to_string()),
        }
    }
}

/// A reply with a status of success.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::Protocol(error.to_string()))
    }
}

/// Sends a request and reads the whole reply.
pub(super) async fn call(socket: &Path, version: &str, call: Call) -> Result<Reply, CallError> {
    let (response, upload) = send(socket, request(version, &call, false)?).await?;
    let reply = read(response).await;
    // Keeps the connection open until here.
    drop(upload);
    reply
}

/// Sends a request whose connection then carries the streams of a container.
pub(super) async fn upgrade(
    socket: &Path,
    version: &str,
    call: Call,
) -> Result<TokioIo<Upgraded>, CallError> {
    let (response, _sender) = send(socket, request(version, &call, true)?).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        read(response).await?;
        return Err(CallError::Protocol(
            "it did not switch to the container's streams".to_owned(),
        ));
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await?))
}

type Sender = http1::SendRequest<Full<Bytes>>;

async fn send(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Sender), CallError> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors are those of the request.
    tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await?;
    Ok((response, sender))
}

fn request(version: &str, call: &Call, upgrade: bool) -> Result<Request<Full<Bytes>>, CallError> {
    let mut request = Request::builder()
        .method(&call.method)
        .uri(format!("{version}{}", call.target))
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, call.content_type);
    if upgrade {
        request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
    }
    if call.body.is_empty() && call.method == Method::POST {
        request = request.header(CONTENT_LENGTH, "0");
    }
    request
        .body(Full::new(call.body.clone()))
        .map_err(|error| CallError::Protocol(error.to_string()))
}

async fn read(response: Response<Incoming>) -> Result<Reply, CallError> {
    let status = response.status();
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_REPLY_BYTES).collect().await;
    let body = body.map_err(body_error)?.to_bytes();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        Ok(Reply {
            headers: head.headers,
            body,
        })
    } else {
        Err(CallError::Status(status.as_u16(), error_message(&body)))
    }
}

fn body_error(error: Box<dyn std::error::Error + Send + Sync>) -> CallError {
    if error.is::<LengthLimitError>() {
        return CallError::Protocol(format!(
            "its reply is longer than {} MiB",
            MAX_REPLY_BYTES >> 20
        ));
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => (*error).into(),
        Err(error) => CallError::Protocol(error.to_string()),
    }
}

/// The text of an error, in one line.
fn error_message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let message = match serde_json::from_slice::<Message>(body) {
        Ok(found) => found.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_can_contain_anything() {
        let call = Call::new(Method::GET, "/containers/json")
            .query("all", "true")
            .query("filters", "{\"a\":[\"b c\"]}&ü");
        assert_eq!(
            call.target,
            "/containers/json?all=true&filters=%7B%22a%22%3A%5B%22b%20c%22%5D%7D%26%C3%BC"
        );
    }

    #[test]
    fn messages_of_errors_are_one_line_of_bounded_length() {
        assert_eq!(error_message(b"{\"message\":\"a\\n b\"}"), "a b");
        assert_eq!(error_message(b"<html>\n"), "<html>");
        assert_eq!(error_message(&[b'x'; 9_000]).len(), MAX_MESSAGE_CHARS);
    }
}
