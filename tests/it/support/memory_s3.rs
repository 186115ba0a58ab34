//! A small S3 server in the process of the tests: one bucket in memory, on loopback.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::s3::{KEY, SECRET};
use super::{RunResult, Sandbox};

/// A limit on hanging, nothing that a test depends on.
const GENEROUS: Duration = Duration::from_secs(120);
/// Any fixed time will do.
const WRITTEN: &str = "2023-01-02T10:00:00.000Z";

/// What the server does besides its work.
#[derive(Default)]
pub(crate) struct Faults {
    /// Requests with these methods are refused.
    pub(crate) refused: Vec<&'static str>,
    /// By how many seconds its clock is ahead.
    pub(crate) clock: i64,
    /// Writes whose path contains this wait until [`MemoryS3::release`].
    pub(crate) held: Option<&'static str>,
}

#[derive(Default)]
struct State {
    /// By path, with the bucket.
    objects: BTreeMap<String, Vec<u8>>,
    /// Method and path with the query.
    requests: Vec<String>,
    written_bytes: u64,
    faults: Faults,
    /// Writes that wait now.
    waiting: usize,
}

#[derive(Clone)]
pub(crate) struct MemoryS3 {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl MemoryS3 {
    /// Listens until the tests end.
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let state = State {
            faults,
            ..State::default()
        };
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let shared = server.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (server, client) = (shared.clone(), client.unwrap());
                std::thread::spawn(move || server.serve(client));
            }
        });
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The remote of a test, with further options.
    pub(crate) fn remote(&self, options: &str) -> String {
        format!("s3://cache/ci?endpoint={}{options}", self.endpoint())
    }

    /// The program in `job` with the remote and its credentials.
    pub(crate) fn command(&self, machine: &Sandbox, job: &Path, arguments: &[&str]) -> Command {
        let mut command = machine.command(job, arguments);
        command
            .env("LOCAL_CACHE_REMOTE", self.remote(""))
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    pub(crate) fn run(&self, machine: &Sandbox, job: &Path, arguments: &[&str]) -> RunResult {
        RunResult::of(&mut self.command(machine, job, arguments))
    }

    /// The paths of the objects that contain a text.
    pub(crate) fn names(&self, part: &str) -> Vec<String> {
        let state = self.state();
        let names = state.objects.keys();
        names.filter(|name| name.contains(part)).cloned().collect()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// The bytes of all writes.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.state().written_bytes
    }

    /// Waits until a write is held back.
    pub(crate) fn wait_until_held(&self) {
        self.wait_until(|state| state.waiting > 0);
    }

    /// How many writes are held back.
    pub(crate) fn held_writes(&self) -> usize {
        self.state().waiting
    }

    /// Lets writes pass that were held back, and later ones.
    pub(crate) fn release(&self) {
        self.state().faults.held = None;
        self.state.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        let waited = self
            .state
            .1
            .wait_timeout_while(self.state(), GENEROUS, |state| !is_so(state))
            .unwrap();
        assert!(!waited.1.timed_out(), "{:?}", waited.0.requests);
    }

    fn serve(&self, client: TcpStream) {
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let mut client = client;
        while let Some(request) = read_request(&mut reader) {
            let answer = self.answer(&request);
            let clock = self.state().faults.clock;
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let date = http_date(now.saturating_add_signed(clock));
            let Answer {
                status,
                headers,
                body,
            } = answer;
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nDate: {date}\r\n{headers}\r\n",
                body.len()
            );
            let sent = client
                .write_all(head.as_bytes())
                .and_then(|()| client.write_all(&body));
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let Request { method, path, .. } = request;
        let mut state = self.state();
        let query: Vec<String> = request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        state
            .requests
            .push(format!("{method} {path}?{}", query.join("&")));
        let is_list = request.query.contains_key("list-type");
        let name = if is_list { "LIST" } else { method };
        if state.faults.refused.contains(&name) {
            return Answer::of("403 Forbidden", error("AccessDenied"));
        }
        match name {
            "LIST" => Answer::of("200 OK", list(&state.objects, request)),
            "GET" => read(&state.objects, request),
            "PUT" => {
                state.waiting += 1;
                self.state.1.notify_all();
                let is_held = |state: &mut State| {
                    let held = state.faults.held;
                    held.is_some_and(|part| path.contains(part))
                };
                let mut state = self.state.1.wait_while(state, is_held).unwrap();
                state.waiting -= 1;
                state.written_bytes += request.body.len() as u64;
                state.objects.insert(path.clone(), request.body.clone());
                self.state.1.notify_all();
                Answer::of("200 OK", String::new())
            }
            "DELETE" => {
                state.objects.remove(path);
                Answer::of("204 No Content", String::new())
            }
            _ => panic!("{method} {path}"),
        }
    }
}

impl Answer {
    fn of(status: &'static str, body: String) -> Self {
        Self {
            status,
            headers: "ETag: \"1\"\r\n".to_owned(),
            body: body.into_bytes(),
        }
    }
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>")
}

fn list(objects: &BTreeMap<String, Vec<u8>>, request: &Request) -> String {
    let prefix = request.query.get("prefix").cloned().unwrap_or_default();
    let mut answer =
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
    for (path, bytes) in objects {
        let key = path.strip_prefix(&format!("{}/", request.path));
        let Some(key) = key.filter(|key| key.starts_with(&prefix)) else {
            continue;
        };
        write!(
            answer,
            "<Contents><Key>{key}</Key><LastModified>{WRITTEN}</LastModified><ETag>\"1\"</ETag><Size>{}</Size></Contents>",
            bytes.len()
        )
        .unwrap();
    }
    answer + "</ListBucketResult>"
}

fn read(objects: &BTreeMap<String, Vec<u8>>, request: &Request) -> Answer {
    let Some(bytes) = objects.get(&request.path) else {
        return Answer::of("404 Not Found", error("NoSuchKey"));
    };
    let modified = "Last-Modified: Mon, 02 Jan 2023 10:00:00 GMT\r\nETag: \"1\"\r\n";
    match request.range {
        None => Answer {
            status: "200 OK",
            headers: modified.to_owned(),
            body: bytes.clone(),
        },
        Some((first, last)) => {
            let last = last.min(bytes.len() - 1);
            Answer {
                status: "206 Partial Content",
                headers: format!(
                    "{modified}Content-Range: bytes {first}-{last}/{}\r\n",
                    bytes.len()
                ),
                body: bytes[first..=last].to_vec(),
            }
        }
    }
}

/// None at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let header = |wanted: &str| {
        lines.iter().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted)
                .then(|| value.trim().to_owned())
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let range = header("range").map(|range| {
        let (first, last) = range
            .strip_prefix("bytes=")
            .unwrap()
            .split_once('-')
            .unwrap();
        (first.parse().unwrap(), last.parse().unwrap())
    });
    let mut words = lines.first()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = url_decoded_pairs(query);
    Some(Request {
        method: method.to_owned(),
        path: decoded(path),
        query,
        range,
        body,
    })
}

fn url_decoded_pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Replaces `%2F` and its like.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A time since the epoch as HTTP has it. The day of the week is always the same.
fn http_date(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    let mut parts = date.split('-');
    let (year, month, day) = (
        parts.next().unwrap(),
        parts.next().unwrap().parse::<usize>().unwrap(),
        parts.next().unwrap(),
    );
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = &months[3 * (month - 1)..3 * month];
    format!("Mon, {day} {month} {year} {time} GMT")
}
