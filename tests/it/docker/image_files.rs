//! Files that come with a container's image, and are other ones than those of the entry.

use std::path::Path;
use std::process::{Command, Stdio};

use super::support::{self, docker, unique};
use crate::support::Sandbox;

/// An image with the given files; dropping the value removes it.
struct FilesImage(String);

impl FilesImage {
    fn of(directory: &Path) -> Self {
        let name = unique("files").to_lowercase();
        let mut tar = Command::new("tar");
        tar.args(["-c", "-C"]).arg(directory).arg(".");
        let mut tar = tar.stdout(Stdio::piped()).spawn().unwrap();
        let imported = Command::new("docker")
            .args(["import", "-", &name])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(imported.status.success() && tar.wait().unwrap().success());
        Self(name)
    }
}

impl Drop for FilesImage {
    fn drop(&mut self) {
        drop(Command::new("docker").args(["rmi", "-f", &self.0]).output());
    }
}

/// Each new container has the inode numbers and ctimes of the image, whatever the last one did.
#[test]
fn a_new_container_gets_the_files_of_the_entry_and_not_those_of_its_image() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let sandbox = Sandbox::new();
    let files = sandbox.path("image");
    let foo = files.join("ws/tree/foo/package.json");
    crate::support::trees::write(&foo, b"1.0.0");
    crate::support::trees::set_modified(&foo, 499_162_500, 0);
    // The programs of the host are mounted there.
    for name in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), files.join(name)).unwrap();
    }
    let image = FilesImage::of(&files);
    let program = env!("CARGO_BIN_EXE_local-cache");
    let cache = sandbox.path("cache");
    std::fs::create_dir(&cache).unwrap();
    let job = |script: &str| {
        let mounts = [
            "--volume=/usr:/usr:ro".to_owned(),
            format!("--volume={program}:/program:ro"),
            format!("--volume={}:/cache", cache.display()),
        ];
        let mut arguments = vec!["run", "--rm", "--network=none", "--workdir=/ws"];
        arguments.extend(mounts.iter().map(String::as_str));
        arguments.extend([&image.0, "/bin/sh", "-ec", script]);
        docker(&arguments)
    };
    job(
        "rm tree/foo/package.json; printf 1.0.1 > tree/foo/package.json
         touch -d 1985-10-26T08:15:00Z tree/foo/package.json; sleep 0.1
         /program save --cache-root /cache --key k tree > /dev/null",
    );
    for _ in 0..3 {
        let restored = job(
            "/program restore --mirror --cache-root /cache --key k tree > /dev/null
             cat tree/foo/package.json",
        );
        assert_eq!(restored, "1.0.1");
    }
}
