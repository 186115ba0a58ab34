//! Certificates of the server, with the TLS of openssl on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::tools::skip;
use crate::support::{RunResult, Sandbox};

/// Answers every request over TLS with a page, which is a list without objects.
struct TlsServer {
    process: Child,
    endpoint: String,
}

impl TlsServer {
    /// None without openssl, which is reported.
    fn start(dir: &Path, certificate: &str) -> Option<Self> {
        let process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-www"])
            .arg("-cert")
            .arg(dir.join(certificate))
            .arg("-key")
            .arg(dir.join("key.pem"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut process) = process else {
            skip("openssl", "a server with TLS");
            return None;
        };
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.ok()?.strip_prefix("ACCEPT ")?.to_owned()));
        Some(Self {
            process,
            endpoint: format!(
                "https://{}",
                address.expect("openssl says where it listens")
            ),
        })
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Makes a certificate of this machine that is signed by its own key. False without openssl.
fn make_certificate(dir: &Path, name: &str, is_ca: bool) -> bool {
    let ca = if is_ca { "TRUE" } else { "FALSE" };
    let key = dir.join("key.pem");
    if !key.exists() {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-out"])
            .arg(&key)
            .output();
        if made.is_err() {
            skip("openssl", "a certificate");
            return false;
        }
    }
    let made = Command::new("openssl")
        .args(["req", "-x509", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", &format!("basicConstraints=critical,CA:{ca}")])
        .arg("-key")
        .arg(&key)
        .arg("-out")
        .arg(dir.join(name))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    true
}

#[test]
fn a_certificate_that_is_not_trusted_is_one_line_and_ca_file_makes_it_trusted() {
    let machine = Sandbox::new();
    let job = machine.job("job");
    let dir = machine.path("tls");
    std::fs::create_dir(&dir).unwrap();
    for (name, is_ca, expected) in [
        ("server.pem", false, "no CA that is trusted here signed it"),
        ("ca.pem", true, "it is the certificate of a CA"),
    ] {
        if !make_certificate(&dir, name, is_ca) {
            return;
        }
        let Some(server) = TlsServer::start(&dir, name) else {
            return;
        };
        let status = |options: &str| {
            let remote = format!("s3://bucket?endpoint={}{options}", server.endpoint);
            let mut command = machine.command(&job, &["remote", "status", "--remote", &remote]);
            let credentials = [
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ];
            RunResult::of(command.envs(credentials))
        };
        let line = status("").failed(1);
        assert!(line.contains(expected), "{line}");
        let named = status(&format!("&ca-file={}", dir.join(name).display()));
        if is_ca {
            assert!(named.failed(1).contains(expected));
        } else {
            assert!(named.succeeded().stdout.contains("0 entries"));
        }
    }
}
