//! A registry of crates on the loopback interface that counts downloads, and a project that needs
//! its crates.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

/// The paths of cargo and git.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// A sparse registry that serves files until it is dropped.
pub(super) struct Registry {
    files: tempfile::TempDir,
    address: String,
    requests: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Registry {
    /// A registry with the crate `dep` in some versions.
    pub(super) fn with(versions: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, ended) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (root, counted, is_over) = (
            files.path().to_owned(),
            Arc::clone(&requests),
            Arc::clone(&ended),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (root, counted) = (root.clone(), Arc::clone(&counted));
                std::thread::spawn(move || serve(&stream.unwrap(), &root, &counted));
            }
        });
        let registry = Self {
            files,
            address,
            requests,
            ended,
        };
        let config = format!(
            "{{\"dl\":\"http://{}/dl/{{crate}}/{{version}}\"}}",
            registry.address
        );
        registry.write("index/config.json", config.as_bytes());
        let mut lines = String::new();
        for version in versions {
            let archive = archive(version);
            let mut digest = String::new();
            for byte in Sha256::digest(&archive) {
                write!(digest, "{byte:02x}").unwrap();
            }
            let line = serde_json::json!({
                "name": "dep", "vers": version, "deps": [], "cksum": digest, "features": {}, "yanked": false,
            });
            writeln!(lines, "{line}").unwrap();
            registry.write(&format!("dl/dep/{version}"), &archive);
        }
        registry.write("index/3/d/dep", lines.as_bytes());
        registry
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.files.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The number of requests so far.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The settings that make cargo use it instead of crates.io.
    pub(super) fn config(&self) -> String {
        let address = &self.address;
        format!(
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nregistry = \"sparse+http://{address}/index/\"\n"
        )
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it notices the end.
        drop(TcpStream::connect(&self.address));
    }
}

fn serve(mut stream: &TcpStream, root: &Path, requests: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if first.is_empty() {
            first.clone_from(&line);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let path = first
        .split(' ')
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/');
    let (status, body) = match fs::read(root.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    drop(
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body)),
    );
}

/// The archive of a version of `dep`, as cargo packages it.
fn archive(version: &str) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join(format!("dep-{version}"));
    fs::create_dir_all(directory.join("src")).unwrap();
    let manifest =
        format!("[package]\nname = \"dep\"\nversion = \"{version}\"\nedition = \"2021\"\n");
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(
        directory.join("src/lib.rs"),
        format!("pub const VERSION: &str = \"{version}\";\n"),
    )
    .unwrap();
    let ran = Command::new("tar")
        .args(["-czf", "-", "-C"])
        .arg(scratch.path())
        .arg(format!("dep-{version}"))
        .output()
        .unwrap();
    assert!(ran.status.success());
    ran.stdout
}

/// A repository with the crate `from-git`.
pub(super) fn git_dependency(directory: &Path) {
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::write(
        directory.join("Cargo.toml"),
        "[package]\nname = \"from-git\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    fs::write(
        directory.join("src/lib.rs"),
        "pub const NAME: &str = \"git\";\n",
    )
    .unwrap();
    git(directory, &["init", "-q", "-b", "main"]);
    git(directory, &["add", "."]);
    git(directory, &["commit", "-q", "-m", "one"]);
}

pub(super) fn git(directory: &Path, arguments: &[&str]) {
    let options = [
        "user.name=a",
        "user.email=a@example.org",
        // For submodules.
        "protocol.file.allow=always",
    ];
    let mut command = Command::new("git");
    for option in options {
        command.args(["-c", option]);
    }
    let ran = command
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

/// The directory of this machine's toolchains.
pub(super) fn rustup_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let below_home =
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".rustup");
        std::env::var_os("RUSTUP_HOME").map_or_else(below_home, PathBuf::from)
    })
}

/// Runs cargo as a step of a job does.
pub(super) fn run_cargo(home: &Path, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(cargo());
    command.args(arguments).current_dir(directory).env_clear();
    for name in ["PATH", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
        .env("HOME", home)
        .env("RUSTUP_HOME", rustup_home())
        .env("CARGO_TERM_COLOR", "never");
    command.output().unwrap()
}
