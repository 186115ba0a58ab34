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

use super::action::Step;
use super::image::Image;
use super::machine::snapshot;
use super::programs::programs;
use super::runner::Runner;
use super::support;

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

    /// Makes an image of a program, which is `/main`, with links to it.
    fn import(&self, name: &str, program: &Path, links: &[&str]) -> Arc<Image> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut append = |name: &str, link: bool, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o755);
            if link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name("main").unwrap();
            }
            archive.append_data(&mut header, name, bytes).unwrap();
        };
        append("main", false, &fs::read(program).unwrap());
        links.iter().for_each(|link| append(link, true, b""));
        let mut import = command(&self.directory)
            .args([
                "import",
                "--quiet",
                "--change",
                "ENTRYPOINT [\"/main\"]",
                "-",
                name,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let archive = archive.into_inner().unwrap();
        import.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(import.wait().unwrap().success());
        Arc::new(Image(name.to_owned()))
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
    let name = "localhost/local-cache-test-probe";
    runner.image = podman.import(name, &programs().probe, &[]);
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

#[test]
fn the_three_phases_work_with_podman() {
    if !support::can_run("podman") {
        return;
    }
    let _lock = support::lock_shared();
    let podman = Podman::new();
    let name = "localhost/local-cache-test-action";
    let image = podman.import(name, &programs().local_cache, &["pre", "post"]);
    let mut runner = Runner::strict();
    runner.image = Arc::clone(&image);
    let target = runner.workspace.join("target");
    let new_step = || {
        let engine = podman.socket();
        let step = Step::new(&runner, &[("path", "target"), ("key", "k")]);
        step.with_image(Arc::clone(&image))
            .changed(move |stage| stage.engine(&engine).option("--network=none"))
    };

    let mut first = new_step();
    let before = first.begin();
    assert!(
        before.contains("Cache not found for input keys: k"),
        "{before}"
    );
    runner.user.tree(&target, 40, 60);
    let saved = snapshot(&target);
    let after = first.end("success");
    assert!(after.contains("Cache saved with key: k"), "{after}");

    fs::remove_dir_all(&target).unwrap();
    let mut second = new_step();
    second.begin();
    assert_eq!(second.output("cache-hit"), Some("true"));
    assert!(snapshot(&target) == saved, "it is not what was saved");
    let after = second.end("success");
    assert!(after.contains("not saving cache"), "{after}");
}
