//! An HTTP server on loopback that answers as a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::remote::config::RemoteConfig;

/// What a server does with a request.
pub(super) enum Answer {
    /// The status line and the body.
    Sent(&'static str, String),
    /// The connection stays open.
    Nothing,
}

pub(super) struct FakeServer {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeServer {
    /// `answer` decides by the requests so far, each as its method and path, the last one at the end.
    pub(super) fn start(answer: impl Fn(&[String]) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let stream = stream.unwrap();
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { endpoint, requests }
    }

    /// The remote `s3://bucket` on this server.
    pub(super) fn remote(&self) -> RemoteConfig {
        RemoteConfig::parse(&format!("s3://bucket?endpoint={}", self.endpoint)).unwrap()
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&[String]) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader) {
        let answer = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            answer(&seen)
        };
        let Answer::Sent(status, body) = answer else {
            continue;
        };
        let length = body.len();
        let range = format!("bytes 0-{}/{length}", length.saturating_sub(1));
        let date = "Mon, 02 Jan 2023 10:00:00 GMT";
        let sent = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: {range}\r\nETag: \"1\"\r\nLast-Modified: {date}\r\n\r\n{body}",
        );
        if sent.is_err() {
            return;
        }
    }
}

/// The method and the path of a request. None at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let (request, _version) = lines.first()?.rsplit_once(' ')?;
    Some(request.to_owned())
}
