//! A helper of Podman, through its imitation of the Docker Engine.

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::image::Image;
use super::programs::programs;
use super::runner::Runner;
use super::support;

const IMAGE: &str = "localhost/local-cache-test-probe";

/// Podman's service with storage of its own. Dropping it ends it.
struct Podman {
    directory: PathBuf,
    service: Child,
}

impl Podman {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(support::unique("podman"));
        fs::create_dir(&directory).unwrap();
        // Below the limits of any machine; Podman's own limits may be above them.
        let settings = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
            [engine]\ncgroup_manager = \"cgroupfs\"\n";
        fs::write(directory.join("containers.conf"), settings).unwrap();
        let service = command(&directory)
            .args(["system", "service", "--time=0"])
            .arg(format!(
                "unix://{}",
                directory.join("podman.sock").display()
            ))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let podman = Self { directory, service };
        podman.wait();
        podman.import();
        podman
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("podman.sock")
    }

    fn wait(&self) {
        for _ in 0..600 {
            if self.socket().exists() {
                let everyone = fs::Permissions::from_mode(0o666);
                fs::set_permissions(self.socket(), everyone).unwrap();
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("Podman does not start");
    }

    /// Makes the image of the probe.
    fn import(&self) {
        let program = fs::read(&programs().probe).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        let mut archive = tar::Builder::new(Vec::new());
        archive
            .append_data(&mut header, "main", program.as_slice())
            .unwrap();
        let mut import = command(&self.directory)
            .args([
                "import",
                "--quiet",
                "--change",
                "ENTRYPOINT [\"/main\"]",
                "-",
                IMAGE,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let archive = archive.into_inner().unwrap();
        import.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(import.wait().unwrap().success());
    }
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .env("CONTAINERS_CONF", directory.join("containers.conf"))
        .arg("--root")
        .arg(directory.join("root"))
        .arg("--runroot")
        .arg(directory.join("run"));
    command
}

impl Drop for Podman {
    fn drop(&mut self) {
        let remove = command(&self.directory)
            .args(["rm", "--all", "--force"])
            .output();
        drop(remove);
        drop(self.service.kill());
        drop(self.service.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

#[test]
fn a_helper_of_podman_is_confined_like_one_of_docker() {
    if !support::can_run("podman") {
        return;
    }
    let _lock = support::lock_shared();
    let podman = Podman::new();
    let mut runner = Runner::new();
    runner.image = Arc::new(Image(IMAGE.to_owned()));
    let hidden = ["/host/proc", "/host/sys", "/host/dev", "/host/run"];
    let mut work = vec![
        json!("LookAround"),
        json!({"Read": "/etc/shadow"}),
        json!({"Write": ["/github/workspace/made", "x"]}),
    ];
    work.extend(hidden.iter().map(|path| json!({ "List": path })));
    let answer = runner
        .stage(&Value::from(work))
        .engine(&podman.socket())
        .option("--network=none")
        .run();
    let reply = answer.reply();
    assert_eq!(answer.json["site"], json!("host"));
    let uid = reply[0]["uid"].as_str().unwrap();
    assert!(uid.starts_with(&runner.user.uid.to_string()), "{uid}");
    assert_eq!(reply[0]["cap_eff"], json!("0000000000000000"));
    assert_eq!(reply[0]["interfaces"], json!({"ok": ["lo"]}));
    assert_eq!(reply[1]["error"], json!("PermissionDenied"));
    assert_eq!(reply[2], json!({"ok": null}));
    for (number, path) in hidden.iter().enumerate() {
        assert_eq!(reply[3 + number], json!({"ok": []}), "{path}");
    }
    assert_eq!(runner.user.foreign_files(), Vec::<PathBuf>::new());
}
