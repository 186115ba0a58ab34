//! The image that the Dockerfile builds from a checkout, and its contents.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::image::{Image, LABEL, build};
use super::programs::programs;
use super::support::{self, docker};

/// The maximum size of the image. The image of a release is smaller, as its program is built with
/// more optimisation.
const MOST_BYTES: u64 = 14_000_000;

fn inspect(image: &str) -> Value {
    let found: Value =
        serde_json::from_str(&docker(&["image", "inspect", image])).expect("is JSON");
    found[0].clone()
}

/// The names in a container of an image, below `/`, with the targets of links.
fn names(image: &str) -> BTreeSet<String> {
    let container = docker(&[
        "create",
        "--name",
        &support::unique("look"),
        image,
        "nothing",
    ]);
    let mut export = Command::new("docker")
        .args(["export", &container])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut archive = tar::Archive::new(export.stdout.take().unwrap());
    let mut names = BTreeSet::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let link = entry
            .link_name()
            .unwrap()
            .map(|to| format!(" -> {}", to.display()));
        names.insert(name + &link.unwrap_or_default());
    }
    assert!(export.wait().unwrap().success());
    docker(&["rm", "--force", &container]);
    names
}

/// Whether an executable is dynamically linked: it has a header of type `PT_INTERP` (elf(5), for 64
/// bits and little-endian).
fn has_interpreter(program: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| {
        program[at..at + bytes]
            .iter()
            .rev()
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(&program[..6], b"\x7fELF\x02\x01");
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    (0..count).any(|header| number(start + header * size, 4) == 3)
}

#[test]
fn the_image_is_one_small_static_program_under_three_names() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let image = Image::action();
    let about = inspect(&image.0);
    assert_eq!(about["Config"]["Entrypoint"], json!(["/main"]));
    for label in ["title", "description", "source", "licenses"] {
        let value = &about["Config"]["Labels"][format!("org.opencontainers.image.{label}")];
        assert!(
            value.as_str().is_some_and(|value| !value.is_empty()),
            "{label}: {about}"
        );
    }
    let size = about["Size"].as_u64().unwrap();
    assert!(size < MOST_BYTES, "{size} bytes");
    assert!(!has_interpreter(
        &fs::read(&programs().local_cache).unwrap()
    ));
    assert!(has_interpreter(&fs::read("/bin/sh").unwrap()));
    // The engine adds its mount points to every container.
    let engines = |name: &str| {
        ["dev", "etc", "proc", "sys", ".dockerenv"].contains(&name.split('/').next().unwrap())
    };
    let names: Vec<String> = names(&image.0)
        .into_iter()
        .filter(|name| !engines(name))
        .collect();
    assert_eq!(names, ["main", "post -> main", "pre -> main"]);
}

/// A `cargo` that checks its arguments and returns a program that is already built.
const CARGO: &str = r#"#!/bin/sh
set -e
test "$RUSTFLAGS" = '-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs'
test "$*" = "build --profile dist --locked --target $(rustc -vV | sed -n 's/^host: //p')"
test -f Cargo.lock
mkdir -p "target/$6/dist"
cp /prebuilt "target/$6/dist/local-cache"
"#;

/// Replaces an image with cargo: busybox, and a `cargo` and a `rustc` that support only what the
/// Dockerfile uses.
fn stand_in(name: &str) {
    let root = tempfile::tempdir().unwrap();
    let script = "mkdir -p bin tmp && cp \"$(readlink -f \"$(command -v busybox)\")\" bin/busybox && \
                  for it in sh sed mkdir cp ln test; do ln -s busybox bin/$it; done && chmod 1777 tmp";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(root.path())
        .status()
        .unwrap();
    assert!(status.success());
    let write = |file: &str, text: &str| {
        fs::write(root.path().join(file), text).unwrap();
        fs::set_permissions(root.path().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("bin/cargo", CARGO);
    write(
        "bin/rustc",
        &format!(
            "#!/bin/sh\necho host: {}-unknown-linux-gnu\n",
            std::env::consts::ARCH
        ),
    );
    fs::copy(&programs().local_cache, root.path().join("prebuilt")).unwrap();
    let mut tar = Command::new("tar")
        .args(["-c", "."])
        .current_dir(root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let import = Command::new("docker")
        .args(["import", "--change", "ENV PATH=/bin", "-", name])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(
        import.status.success() && tar.wait().unwrap().success(),
        "{import:?}"
    );
}

#[test]
fn the_dockerfile_gives_its_build_all_it_reads_and_takes_the_program_from_it() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let [builder, stage, image] =
        ["builder", "stage", "whole"].map(|name| Image(support::unique(name)));
    stand_in(&builder.0);
    let argument = format!("BUILDER={}", builder.0);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    build(
        source,
        &[
            "--build-arg",
            &argument,
            "--target",
            "build",
            "--tag",
            &stage.0,
        ],
    );
    build(source, &["--build-arg", &argument, "--tag", &image.0]);

    let about = inspect(&image.0);
    assert_eq!(
        about["Config"]["Entrypoint"],
        inspect(&Image::action().0)["Config"]["Entrypoint"]
    );
    let mut labels = inspect(&Image::action().0)["Config"]["Labels"].clone();
    assert!(labels.as_object_mut().unwrap().remove(LABEL).is_some());
    assert_eq!(about["Config"]["Labels"], labels);
    assert_eq!(names(&image.0), names(&Image::action().0));

    // Each file of the repository that the compiler read here is in the build's context.
    let there = names(&stage.0);
    let rule = fs::read_to_string(&programs().dependencies).unwrap();
    let read = rule
        .split_once(": ")
        .unwrap()
        .1
        .split_whitespace()
        .map(Path::new);
    let read: Vec<&Path> = read
        .filter_map(|file| file.strip_prefix(source).ok())
        .collect();
    assert!(read.contains(&Path::new("src/main.rs")), "{read:?}");
    for file in read
        .into_iter()
        .chain(["Cargo.toml", "Cargo.lock", "tests/it/docker/probe.rs"].map(Path::new))
    {
        assert!(
            there.contains(&format!("source/{}", file.display())),
            "{} is missing",
            file.display()
        );
    }
    assert!(
        !there
            .iter()
            .any(|name| name.starts_with("source/.git") || name.starts_with("source/docs")),
        "{there:?}"
    );
}
