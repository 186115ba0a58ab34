//! Engines that are absent, silent, too old, too new or broken, simulated on a socket.

use local_cache::env::Env;
use local_cache::site::detect::detect;
use local_cache::site::facts::{
    Confinement, Container, EngineReport, JobContainer, SiteFacts, SiteRequest, WorkspaceDir,
};
use local_cache::site::gather::gather;
use local_cache::site::paths::{Mount, MountMap};
use local_cache::site::problem::Problem;
use local_cache::site::run::{RunOptions, SiteRunner};
use local_cache::site::worker::WorkerContext;
use local_cache::site::{Site, SitePreference};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// An engine that gives the same reply to every request and records the requests.
pub(super) struct Engine {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    /// `answer` returns a whole HTTP response for a request line, or none for silence.
    fn new(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let listener = UnixListener::bind(directory.path().join("engine.sock")).expect("listens");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // Ends with the process: a silent engine keeps its connections.
        thread::spawn(move || {
            let mut silent = Vec::new();
            for connection in listener.incoming().map_while(Result::ok) {
                let Some(line) = request_line(&connection) else {
                    continue;
                };
                noted.lock().expect("is not poisoned").push(line.clone());
                match answer(&line) {
                    Some(response) => drop((&connection).write_all(response.as_bytes())),
                    None => silent.push(connection),
                }
            }
        });
        Self { directory, asked }
    }

    /// An engine with this version of the API. `answer` gets request lines without the version.
    pub(super) fn with_version(
        version: &'static str,
        answer: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Self {
        Self::new(move |line| {
            if line.starts_with("GET /_ping ") {
                return Some(response("200 OK", "OK").replacen(
                    "\r\n",
                    &format!("\r\nApi-Version: {version}\r\n"),
                    1,
                ));
            }
            let (method, rest) = line.split_once(" /v").expect("has a version");
            let path = rest.split_once('/').map_or("", |(_, path)| path);
            answer(&format!("{method} /{path}"))
        })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }
}

fn request_line(connection: &UnixStream) -> Option<String> {
    let mut reader = BufReader::new(connection);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    Some(first.trim_end().to_owned())
}

pub(super) fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

const UNKNOWN: &str = "{\"message\":\"No such container\"}";

/// What a process in a job's container learns, on any host.
pub(super) fn ask(socket: &Path) -> SiteFacts {
    let env = Env::from_iter([("DOCKER_HOST", format!("unix://{}", socket.display()))]);
    gather(&SiteRequest {
        env,
        preference: SitePreference::JobContainer,
        cache_root: PathBuf::from("/tmp/runner-cache"),
        paths: Vec::new(),
        job_container: Some("0123456789ab".to_owned()),
        ephemeral: true,
        beside_steps: false,
        engine_timeout: Duration::from_millis(400),
    })
}

fn problem(socket: &Path) -> (&'static str, String) {
    let decision = detect(&ask(socket));
    let problem = decision.problem().expect("is refused");
    (problem.code(), problem.to_string())
}

#[test]
fn a_silent_engine_is_given_up_after_the_timeout() {
    let engine = Engine::new(|_| None);
    let start = Instant::now();
    let (code, text) = problem(&engine.socket());
    assert_eq!(code, "engine-hangs", "{text}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(text.contains(engine.socket().to_str().unwrap()), "{text}");
}

#[test]
fn an_engine_that_stops_in_the_middle_of_its_reply_is_given_up_after_the_timeout() {
    let engine =
        Engine::new(|_| Some("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Api".to_owned()));
    let start = Instant::now();
    let (code, _) = problem(&engine.socket());
    assert!(["engine-hangs", "engine-refused"].contains(&code), "{code}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_socket_without_an_engine_differs_from_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(problem(&socket).0, "engine-not-listening");
}

#[test]
fn engines_that_are_too_old_too_new_or_something_else_have_their_own_messages() {
    let unknown = |_: &str| Some(response("404 Not Found", UNKNOWN));
    let too_new =
        "{\"message\":\"client version 1.41 is too old. Minimum supported API version is 1.60\"}";
    let too_old =
        "{\"message\":\"client version 1.52 is too new. Maximum supported API version is 1.30\"}";
    for (engine, code, said) in [
        (
            Engine::new(move |_| Some(response("400 Bad Request", too_old))),
            "engine-too-old",
            "its API is 1.30",
        ),
        (
            Engine::with_version("1.24", unknown),
            "engine-too-old",
            "its API is 1.24",
        ),
        (
            Engine::with_version("1.52", unknown),
            "job-container-gone",
            "0123456789ab",
        ),
        (
            Engine::with_version("1.99", move |_| Some(response("400 Bad Request", too_new))),
            "engine-too-new",
            "Minimum supported",
        ),
        (
            Engine::new(|_| Some(response("200 OK", "<html>"))),
            "engine-refused",
            "tell its version",
        ),
        (
            Engine::new(|_| Some(response("503 Busy", "{\"message\":\"down\\nfor now\"}"))),
            "engine-refused",
            "down for now",
        ),
    ] {
        let (found, text) = problem(&engine.socket());
        assert_eq!(found, code, "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn requests_carry_the_newest_version_that_both_sides_know() {
    for (engine, asked) in [("1.41", "1.41"), ("1.52", "1.52"), ("1.99", "1.52")] {
        let engine = Engine::with_version(engine, |_| Some(response("200 OK", "{}")));
        drop(ask(&engine.socket()));
        let expected = [
            "GET /_ping HTTP/1.1".to_owned(),
            format!("GET /v{asked}/containers/0123456789ab/json HTTP/1.1"),
        ];
        assert_eq!(*engine.asked.lock().unwrap(), expected);
    }
}

/// A reply whose body never ends, in a thread of its own; returns the number of bytes written.
fn endless(head: &'static str, part: Vec<u8>) -> (tempfile::TempDir, Arc<AtomicUsize>) {
    let directory = tempfile::tempdir().expect("makes a directory");
    let listener = UnixListener::bind(directory.path().join("engine.sock")).expect("listens");
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            if request_line(&connection).is_none() || connection.write_all(head.as_bytes()).is_err()
            {
                continue;
            }
            while connection.write_all(&part).is_ok() {
                count.fetch_add(part.len(), Ordering::Relaxed);
            }
        }
    });
    (directory, written)
}

#[test]
fn a_reply_without_an_end_is_given_up_at_its_limit() {
    let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\n\r\n";
    let header = "HTTP/1.1 200 OK\r\nApi-Version: ";
    for (head, said) in [(head, "longer than 16 MiB"), (header, "")] {
        let (directory, written) = endless(head, vec![b'1'; 64 << 10]);
        let (code, text) = problem(&directory.path().join("engine.sock"));
        assert_eq!(code, "engine-refused", "{text}");
        assert!(text.contains(said), "{text}");
        // The rest was in the buffers of the socket.
        assert!(written.load(Ordering::Relaxed) < 18 << 20);
    }
}

#[test]
fn a_job_container_id_can_t_reach_other_parts_of_the_engine() {
    let engine = Engine::with_version("1.52", |_| Some(response("200 OK", "{}")));
    let mut asked = Vec::new();
    for id in ["../images", "a/b", "x?all=1", "%2e%2e"] {
        let env = Env::from_iter([(
            "DOCKER_HOST",
            format!("unix://{}", engine.socket().display()),
        )]);
        let facts = gather(&SiteRequest {
            env,
            preference: SitePreference::JobContainer,
            cache_root: PathBuf::from("/c"),
            paths: Vec::new(),
            job_container: Some(id.to_owned()),
            ephemeral: true,
            beside_steps: false,
            engine_timeout: Duration::from_secs(2),
        });
        assert_eq!(
            detect(&facts).problem().unwrap().code(),
            "job-container-gone",
            "{id}"
        );
        asked.extend(engine.asked.lock().unwrap().drain(..));
    }
    assert!(
        asked.iter().all(|line| line.starts_with("GET /_ping ")),
        "{asked:?}"
    );
}

/// A container action on the host, as far as decided, with this engine.
fn action(socket: PathBuf) -> SiteFacts {
    let mount = |source: &str, destination: &str| Mount {
        source: PathBuf::from(source),
        destination: PathBuf::from(destination),
        writable: true,
    };
    let own = Container {
        id: "ab".repeat(32),
        image: "sha256:00".to_owned(),
        mounts: MountMap::new([mount("/home/runner/_work/r/r", "/github/workspace")]),
        running: true,
        ..Container::default()
    };
    let path = PathBuf::from("/github/workspace");
    SiteFacts {
        ephemeral: true,
        cache_root: PathBuf::from("/tmp/runner-cache"),
        confinement: Confinement::Container,
        socket,
        program: PathBuf::from("/main"),
        workspace: Some(Ok(WorkspaceDir {
            path,
            device: 1,
            inode: 1,
            uid: 1001,
            gid: 1001,
        })),
        engine: Some(Ok(EngineReport {
            api_version: None,
            own_container: Some(own),
            job_container: JobContainer::None,
        })),
        ..SiteFacts::default()
    }
}

fn run_on(engine: &Engine) -> Problem {
    let facts = action(engine.socket());
    let decision = detect(&facts);
    assert_eq!(decision.site, Site::Host, "{:?}", decision.refused);
    let options = RunOptions {
        timeout: Some(Duration::from_millis(300)),
        ..RunOptions::new(Env::default())
    };
    let work = |(): (), _: &WorkerContext| ();
    let runner = SiteRunner {
        facts: &facts,
        decision: &decision,
        options: &options,
    };
    runner
        .run::<(), (), _>((), &mut |_| (), work)
        .expect_err("fails")
}

#[test]
fn a_helper_that_can_t_be_created_or_started_is_removed_and_the_reason_is_reported() {
    let start = Instant::now();
    let silent = Engine::with_version("1.41", |_| None);
    assert_eq!(run_on(&silent).code(), "timed-out");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );

    let no_image = Engine::with_version("1.41", |line| {
        let made = line.starts_with("POST /containers/create");
        Some(if made {
            response("404 Not Found", "{\"message\":\"No such image\"}")
        } else {
            response("200 OK", "")
        })
    });
    let problem = run_on(&no_image);
    assert_eq!(problem.code(), "engine-refused");
    assert!(
        problem
            .to_string()
            .contains("create the helper: No such image"),
        "{problem}"
    );

    let no_attach = Engine::with_version("1.41", |line| {
        Some(if line.starts_with("POST /containers/create") {
            response("201 Created", "{\"Id\":\"x\",\"Warnings\":[]}")
        } else if line.contains("/attach") {
            response("500 Internal Server Error", "{\"message\":\"no\"}")
        } else {
            response("204 No Content", "")
        })
    });
    assert!(
        run_on(&no_attach)
            .to_string()
            .contains("attach to the helper: no")
    );
    for engine in [&silent, &no_image, &no_attach] {
        let asked = engine.asked.lock().unwrap();
        let removed = asked.iter().any(|line| {
            line.starts_with("DELETE /v1.41/containers/local-cache-helper-abababababab-")
                && line.contains("force=true")
        });
        assert!(removed, "{asked:?}");
    }
}
