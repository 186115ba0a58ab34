//! A TCP proxy that alters, cuts or loses answers of an HTTP server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What happens to the answers to requests whose path contains `path`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The byte at this place of each body is inverted.
    AlterByte { path: &'static str, at: usize },
    /// The connection ends after so many bytes of each body.
    Cut { path: &'static str, at: usize },
    /// The connection ends instead of the first answer to a write, which the server carried out.
    LoseAnswer { path: &'static str },
}

/// Listens until the test ends.
pub(super) struct FaultProxy {
    port: u16,
    faults: Arc<AtomicU32>,
}

impl FaultProxy {
    pub(super) fn start(server: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(AtomicU32::new(0));
        let server = server.trim_start_matches("http://").to_owned();
        let counter = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), server.clone());
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || {
                    let mut connection = Connection {
                        server: TcpStream::connect(server).unwrap(),
                        client,
                        fault,
                        counter,
                    };
                    // The connection ends where one side closes it.
                    while connection.exchange().is_some() {}
                    drop(connection.client.shutdown(Shutdown::Both));
                });
            }
        });
        Self { port, faults }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often the fault happened.
    pub(super) fn faults(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    fault: Fault,
    counter: Arc<AtomicU32>,
}

impl Connection {
    /// Passes one request and its answer on. None if the connection ends.
    fn exchange(&mut self) -> Option<()> {
        let head = read_head(&mut self.client)?;
        let body = read_body(&mut self.client, &head)?;
        self.server.write_all(head.as_bytes()).ok()?;
        self.server.write_all(&body).ok()?;
        let answer = read_head(&mut self.server)?;
        let mut body = if head.starts_with("HEAD ") {
            Vec::new()
        } else {
            read_body(&mut self.server, &answer)?
        };
        let target = head.split(' ').nth(1).unwrap();
        // A list has its prefix after `?`.
        let has = |path: &str| target.split('?').next().unwrap().contains(path);
        match self.fault {
            Fault::AlterByte { path, at } if has(path) && body.len() > at => {
                self.counter.fetch_add(1, Ordering::Relaxed);
                body[at] ^= 0xff;
            }
            Fault::Cut { path, at } if has(path) && body.len() > at => {
                self.counter.fetch_add(1, Ordering::Relaxed);
                self.client.write_all(answer.as_bytes()).ok()?;
                self.client.write_all(&body[..at]).ok()?;
                return None;
            }
            Fault::LoseAnswer { path }
                if head.starts_with("PUT ")
                    && has(path)
                    && self.counter.swap(1, Ordering::Relaxed) == 0 =>
            {
                return None;
            }
            _ => {}
        }
        self.client.write_all(answer.as_bytes()).ok()?;
        self.client.write_all(&body).ok()
    }
}

/// Reads up to the empty line.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn read_body(stream: &mut TcpStream, head: &str) -> Option<Vec<u8>> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).ok()?;
    let mut byte = [0];
    while is_chunked && !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
        stream.read_exact(&mut byte).ok()?;
        body.push(byte[0]);
    }
    Some(body)
}
