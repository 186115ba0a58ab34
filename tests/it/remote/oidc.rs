//! Roles that jobs assume with a token of an OIDC issuer, by the trust policy in
//! docs/remote-servers.md. Ceph decides who may assume them; the issuer is a stand-in.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::policies::{in_pull_request, policies};
use super::write_tree;
use crate::support::repository::root;
use crate::support::s3::{KEY, S3Server, SECRET};
use crate::support::{RunResult, Sandbox};

const AUDIENCE: &str = "sts.amazonaws.com";
const ISSUER: &str = "token.actions.githubusercontent.com";

/// Runs a program that must succeed; returns what it printed.
fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {done:?}");
    done.stdout
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    run(Command::new("openssl").args(arguments))
}

/// An issuer of tokens, with a key of its own.
struct Issuer {
    dir: PathBuf,
    /// Host and port.
    name: String,
}

impl Issuer {
    fn start(dir: &Path) -> Self {
        let dir = dir.join("issuer");
        fs::create_dir(&dir).unwrap();
        make_certificate(&dir);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let certificate = base64(&der(&dir));
        let url = format!("http://{name}");
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let Some(request) = read_head(&mut client) else {
                    continue;
                };
                let body = if request.contains("/openid-configuration ") {
                    json!({ "issuer": url, "jwks_uri": format!("{url}/keys") })
                } else {
                    json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "x5c": [certificate] }] })
                };
                let body = body.to_string();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                client.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Self { dir, name }
    }

    /// Writes a token for a subject; returns its file.
    fn token(&self, subject: &str) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let claims = json!({
            "iss": format!("http://{}", self.name),
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now.as_secs(),
            "exp": now.as_secs() + 600,
        });
        let head = json!({ "alg": "RS256", "typ": "JWT" });
        let encoded = |value: &Value| url_base64(value.to_string().as_bytes());
        let text = format!("{}.{}", encoded(&head), encoded(&claims));
        let file = self.dir.join("token");
        fs::write(&file, &text).unwrap();
        let signature = run(Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "key.pem", "token"])
            .current_dir(&self.dir));
        fs::write(&file, format!("{text}.{}", url_base64(&signature))).unwrap();
        file
    }
}

/// Makes `key.pem` and `certificate.pem` for 127.0.0.1.
fn make_certificate(dir: &Path) {
    run(Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(dir));
}

fn der(dir: &Path) -> Vec<u8> {
    let file = dir.join("certificate.pem");
    openssl(&["x509", "-outform", "DER", "-in", file.to_str().unwrap()])
}

/// What a client asks, up to the empty line.
fn read_head(from: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if from.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn base64(bytes: &[u8]) -> String {
    let mut process = Command::new("openssl")
        .args(["base64", "-A"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(bytes).unwrap();
    let done = process.wait_with_output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

fn url_base64(bytes: &[u8]) -> String {
    let text = base64(bytes).replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

/// Ceph's service for tokens behind TLS, without which no token is sent. Ceph 16 refuses a request
/// without `Content-Length`, and the program sends none with an empty body, so it is added here.
struct TokenService {
    process: Child,
    endpoint: String,
    certificate: PathBuf,
}

impl TokenService {
    fn start(dir: &Path, server: &S3Server) -> Self {
        let dir = dir.join("sts");
        fs::create_dir(&dir).unwrap();
        make_certificate(&dir);
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1000"])
            .args(["-cert", "certificate.pem", "-key", "key.pem"])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut requests = BufReader::new(process.stdout.take().unwrap());
        let mut answers = process.stdin.take().unwrap();
        let mut line = String::new();
        while !line.starts_with("ACCEPT ") {
            line.clear();
            assert!(requests.read_line(&mut line).unwrap() > 0);
        }
        let endpoint = format!("https://{}", line["ACCEPT ".len()..].trim());
        let address = server.endpoint_for_roles().replace("http://", "");
        std::thread::spawn(move || {
            while let Some(head) = read_head(&mut requests) {
                let Some(start) = head.find("POST ") else {
                    continue;
                };
                let head = head[start..].trim_end();
                let mut server = TcpStream::connect(&address).unwrap();
                let request = format!("{head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                server.write_all(request.as_bytes()).unwrap();
                let mut answer = Vec::new();
                server.read_to_end(&mut answer).unwrap();
                if answers.write_all(&answer).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            endpoint,
            certificate: dir.join("certificate.pem"),
        }
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Makes the issuer known to the server.
fn add_provider(server: &S3Server, issuer: &Issuer) {
    server.admin(&["caps", "add", "--uid=test", "--caps=oidc-provider=*"]);
    let file = issuer.dir.join("certificate.der");
    fs::write(&file, der(&issuer.dir)).unwrap();
    let digest = String::from_utf8(run(Command::new("sha1sum").arg(file))).unwrap();
    let thumbprint = digest[..40].to_uppercase();
    // curl signs the query as it is, so it must be in order.
    let mut query = String::from("Action=CreateOpenIDConnectProvider");
    write!(query, "&ClientIDList.member.1={AUDIENCE}").unwrap();
    write!(query, "&ThumbprintList.member.1={thumbprint}").unwrap();
    write!(
        query,
        "&Url=http%3A%2F%2F{}",
        issuer.name.replace(':', "%3A")
    )
    .unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    run(Command::new("curl")
        .args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:iam", "-d", ""])
        .args(["--user", &format!("{KEY}:{SECRET}")])
        .args(["-H", &format!("x-amz-content-sha256: {empty}")])
        .arg(format!("{}/?{query}", server.endpoint_for_roles())));
}

/// The trust policy of the document, for this issuer and the subjects that may assume a role.
fn trust_policy(issuer: &Issuer, subjects: &str) -> String {
    let text = fs::read_to_string(root().join("docs/remote-servers.md")).unwrap();
    let block = text.split("```json\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let policy = block
        .replace("iam::123456789012:", "iam:::")
        .replace(ISSUER, &issuer.name)
        .replace("OWNER/NAME", "acme/app")
        .replace("ref:refs/heads/*", subjects);
    serde_json::from_str::<Value>(&policy).unwrap().to_string()
}

/// A policy of a bucket as that of a role.
fn without_principal(policy: &str) -> String {
    let mut policy: Value = serde_json::from_str(policy).unwrap();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement
            .as_object_mut()
            .unwrap()
            .remove("Principal")
            .unwrap();
    }
    policy.to_string()
}

fn add_role(server: &S3Server, name: &str, trust: &str, policy: &str) {
    let role = format!("--role-name={name}");
    server.admin(&[
        "role",
        "create",
        &role,
        &format!("--assume-role-policy-doc={trust}"),
    ]);
    let document = format!("--policy-doc={}", without_principal(policy));
    server.admin(&[
        "role-policy",
        "put",
        &role,
        "--policy-name=cache",
        &document,
    ]);
}

#[test]
fn roles_are_assumed_with_tokens_and_only_by_whom_the_trust_policy_names() {
    let Some(server) = S3Server::take("roles of an OIDC issuer") else {
        return;
    };
    let place = Sandbox::new();
    let place = place.job("oidc");
    let (issuer, service) = (Issuer::start(&place), TokenService::start(&place, &server));
    add_provider(&server, &issuer);
    let policies = policies(&server);
    let role = |name: &str| format!("{}-{name}", server.prefix());
    let trust = |subjects| trust_policy(&issuer, subjects);
    add_role(
        &server,
        &role("branch"),
        &trust("ref:refs/heads/*"),
        &policies[0],
    );
    add_role(&server, &role("pull"), &trust("pull_request"), &policies[1]);

    let (main, pull) = (
        "repo:acme/app:ref:refs/heads/main",
        "repo:acme/app:pull_request",
    );
    let run = |name: &str, subject: &str, arguments: &[&str]| {
        let token = issuer.token(subject);
        let machine = Sandbox::new();
        let job = machine.job("job");
        write_tree(&job);
        let remote = format!(
            "s3://cache/{}?endpoint={}&ca-file={}",
            server.prefix(),
            server.endpoint_for_roles(),
            service.certificate.display()
        );
        let of_branch = ["--repository", "acme/app", "--ref", "main"];
        let is_pull = subject == pull;
        let of_main = if is_pull { &[][..] } else { &of_branch };
        let mut command = machine.command(&job, &[arguments, of_main].concat());
        command
            .env("LOCAL_CACHE_REMOTE", remote)
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
            .env("AWS_ROLE_ARN", format!("arn:aws:iam:::role/{}", role(name)))
            .env("AWS_ENDPOINT_URL_STS", &service.endpoint);
        if is_pull {
            in_pull_request(&mut command);
        }
        let result = RunResult::of(&mut command);
        let token = fs::read_to_string(token).unwrap();
        assert!(
            !format!("{result:?}").contains(&token),
            "the token was printed"
        );
        result
    };
    let save = |key| ["save", "--json", "--key", key, "tree"];
    let restore = ["restore", "--json", "--key", "k", "tree"];
    let pushed = |result: RunResult| result.succeeded().json()["remote"]["pushed-entries"].clone();

    assert_eq!(pushed(run("branch", main, &save("k"))), 1);
    assert!(run("branch", main, &restore).succeeded().is_hit());
    assert!(run("pull", pull, &restore).succeeded().is_hit());
    assert_eq!(pushed(run("pull", pull, &save("k2"))), 1);
    for (name, subject) in [
        ("branch", pull),
        ("pull", main),
        ("branch", "repo:acme/other:ref:refs/heads/main"),
    ] {
        let refused = run(name, subject, &restore).exited(0);
        assert!(!refused.is_hit());
        assert!(
            refused.stderr.contains("TOKEN_FILE is refused"),
            "{name}, {subject}: {refused:?}"
        );
    }
}
