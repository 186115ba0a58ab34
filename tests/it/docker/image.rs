//! Images made without a registry: the action's from the last stage of its Dockerfile and a program
//! that is already built, the probe's from scratch.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::machine::User;
use super::programs::programs;
use super::support::{docker, docker_or_error, unique};
use crate::support::release::ReleaseProgram;

/// An image by its name, removed with its last user.
#[derive(Debug)]
pub(crate) struct Image(pub(crate) String);

type Shared = Mutex<Weak<Image>>;

static PROBE: Shared = Mutex::new(Weak::new());
static ACTION: Shared = Mutex::new(Weak::new());

impl Image {
    /// An image with nothing but the probe in it, as `/main`.
    pub(crate) fn probe() -> Arc<Self> {
        shared(&PROBE, || {
            let name = unique("probe");
            let mut header = tar::Header::new_ustar();
            let program = fs::read(&programs().probe).expect("the probe is built");
            header.set_size(program.len() as u64);
            header.set_mode(0o755);
            let mut archive = tar::Builder::new(Vec::new());
            archive
                .append_data(&mut header, "main", program.as_slice())
                .expect("packs");
            let archive = archive.into_inner().expect("packs");
            let mut import = Command::new("docker")
                .args(["import", "--change", "ENTRYPOINT [\"/main\"]", "-", &name])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("docker runs");
            import
                .stdin
                .take()
                .expect("is piped")
                .write_all(&archive)
                .expect("docker reads the image");
            assert!(import.wait().expect("ends").success(), "docker import");
            Self(name)
        })
    }

    /// The action's image.
    pub(crate) fn action() -> Arc<Self> {
        shared(&ACTION, || {
            let name = unique("action");
            let context = tempfile::tempdir().expect("makes a directory");
            lay_out(context.path());
            build(context.path(), &["--tag", &name]);
            Self(name)
        })
    }
}

/// The image that other tests use, or a new one.
fn shared(slot: &Shared, make: impl FnOnce() -> Image) -> Arc<Image> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(image) = slot.upgrade() {
        return image;
    }
    let image = Arc::new(make());
    *slot = Arc::downgrade(&image);
    image
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(
            Command::new("docker")
                .args(["rmi", "--force", &self.0])
                .output(),
        );
    }
}

/// What the Dockerfile copies from its build stage.
const COPY: &str = "COPY --from=build /image/ /\n";

/// A label that makes each image unique.
pub(crate) const LABEL: &str = "local-cache-test";

/// Puts a Dockerfile and its context into a directory: the last stage of the action's own
/// Dockerfile, with the program that the tests built instead of the earlier stages.
pub(crate) fn lay_out(directory: &Path) {
    let dockerfile = source("Dockerfile");
    let last = &dockerfile[dockerfile.rfind("\nFROM ").expect("has two stages")..];
    assert!(last.contains(COPY), "{last}");
    // Concurrent builds share layers, and removing one image makes the other build fail.
    let own = format!("FROM scratch\nLABEL {LABEL}={}\n", unique("layout"));
    let last = last
        .replace("FROM scratch\n", &own)
        .replace(COPY, "COPY image/ /\n");
    fs::write(directory.join("Dockerfile"), last).expect("writes");
    let image = directory.join("image");
    fs::create_dir(&image).expect("makes a directory");
    fs::copy(&programs().local_cache, image.join("main")).expect("copies");
    symlink("main", image.join("pre")).expect("links");
    symlink("main", image.join("post")).expect("links");
}

/// Puts the native actions into a directory of a user, with the program that the tests built.
pub(crate) fn lay_out_native(user: &User, directory: &Path) {
    for file in [
        "action.yml",
        "run.js",
        "pre.js",
        "main.js",
        "post.js",
        "restore/action.yml",
        "restore/main.js",
        "save/action.yml",
        "save/main.js",
    ] {
        let path = Path::new("native").join(file);
        let text = source(&path.to_string_lossy());
        user.file_at(&directory.join(path), text.as_bytes());
    }
    let program = fs::read(&programs().local_cache).expect("the program is built");
    let release = ReleaseProgram::new(&program);
    let path = directory.join("native/bin").join(release.name);
    user.file_at(&path.with_extension("sha256"), release.checksum.as_bytes());
    user.file_at(&path, &program);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets the mode");
}

/// `docker build` in a directory.
pub(crate) fn build(context: &Path, options: &[&str]) {
    let context = context.to_string_lossy();
    let arguments = [
        &["build", "--quiet", "--force-rm", "--network=none"],
        options,
        &[&context],
    ]
    .concat();
    match docker_or_error(&arguments) {
        // The engine's own builder fails if other images are removed while it looks up the image of
        // its last step.
        Err(error) if error.contains("unable to find image") => drop(docker(&arguments)),
        other => {
            drop(other.unwrap_or_else(|error| panic!("docker {}: {error}", arguments.join(" "))));
        }
    }
}

/// A file of the repository.
pub(crate) fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
