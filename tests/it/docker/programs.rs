//! The programs for images, built once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Static programs, which run in an empty image.
pub(crate) struct Programs {
    /// The program itself.
    pub(crate) local_cache: PathBuf,
    /// Replaces the program in tests of the site alone.
    pub(crate) probe: PathBuf,
    /// The files that the compiler read for the program, as a rule of make.
    pub(crate) dependencies: PathBuf,
}

/// Builds the programs if they are not up to date. `LOCAL_CACHE_TEST_PROGRAMS` names a directory
/// with programs that are already built.
pub(crate) fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let directory =
            std::env::var_os("LOCAL_CACHE_TEST_PROGRAMS").map_or_else(build, PathBuf::from);
        Programs {
            local_cache: directory.join("local-cache"),
            probe: directory.join("examples/site-probe"),
            dependencies: directory.join("local-cache.d"),
        }
    })
}

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let directory = source.join("target/static");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(source)
        .args(["build", "--quiet", "--locked", "--profile", "image-test"]);
    cargo.args(["--bin", "local-cache", "--example", "site-probe"]);
    // With `--target`, build scripts and procedural macros stay dynamic, which they must.
    cargo.args(["--target", &target]).env(
        "RUSTFLAGS",
        "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs",
    );
    let status = cargo
        .env("CARGO_TARGET_DIR", &directory)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the static programs do not build");
    directory.join(target).join("image-test")
}
