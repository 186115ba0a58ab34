//! A small workspace with all files that keys depend on, on a machine with a simulated rustup.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use local_cache::cargo::gather::gather;
use local_cache::cargo::key::{CargoKeys, compute_keys};
use local_cache::cargo::project::facts::KeyRequest;
use local_cache::fs::Local;
use tempfile::TempDir;

/// Files of the project, below the checkout.
const PROJECT: [(&str, &str); 8] = [
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/out\"]\nresolver = \"2\"\n\n\
         [workspace.dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n\n\
         [profile.release]\nlto = true\n",
    ),
    (
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n\
         [[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n\
         source = \"registry+https://example.org/index\"\nchecksum = \"aa\"\n\n\
         [[package]]\nname = \"dep\"\nversion = \"0.2.0\"\nsource = \"git+https://example.org/dep#0123\"\n",
    ),
    (
        "crates/a/Cargo.toml",
        "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n\
         [dependencies]\nserde.workspace = true\nb = { path = \"../b\", version = \"0.1.0\" }\n",
    ),
    ("crates/a/src/lib.rs", ""),
    (
        "crates/b/Cargo.toml",
        "[package]\nname = \"b\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    ),
    (
        "crates/out/Cargo.toml",
        "[package]\nname = \"out\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    ),
    (
        ".cargo/config.toml",
        "[build]\nrustflags = [\"-Cdebuginfo=0\"]\n",
    ),
    (
        "rust-toolchain.toml",
        "[toolchain]\nchannel = \"1.90\"\ncomponents = [\"clippy\"]\n",
    ),
];

/// Files of the machine, below home.
const HOME: [(&str, &str); 5] = [
    (".cargo/config.toml", "[net]\nretry = 3\n"),
    (
        ".rustup/settings.toml",
        "default_toolchain = \"stable-x86_64-unknown-linux-gnu\"\n",
    ),
    (
        ".rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/librustc_driver-5ab1e.so",
        "",
    ),
    (
        ".rustup/toolchains/1.90-x86_64-unknown-linux-gnu/lib/librustc_driver-190.so",
        "",
    ),
    (".cargo/bin/rustup", "the proxy of all"),
];

pub(super) struct Fixture {
    dir: TempDir,
    pub(super) asked: KeyRequest,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::at("home", "home/work/app")
    }

    /// The same with home and checkout in other directories.
    pub(super) fn at(home: &str, checkout: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The real path, as the program sees it.
        let root = dir.path().canonicalize().unwrap();
        let (home, checkout) = (root.join(home), root.join(checkout));
        for (base, files) in [(&home, &HOME[..]), (&checkout, &PROJECT[..])] {
            files
                .iter()
                .for_each(|(name, text)| write(&base.join(name), text));
        }
        symlink("rustup", home.join(".cargo/bin/rustc")).unwrap();
        let env = BTreeMap::from([
            ("HOME".into(), home.clone().into()),
            ("PATH".into(), home.join(".cargo/bin").into()),
            ("GITHUB_JOB".into(), "build".into()),
        ]);
        let asked = KeyRequest {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            ..KeyRequest::new(env, &home, &checkout)
        };
        Self { dir, asked }
    }

    /// The same without a Cargo.lock, as libraries often are.
    pub(super) fn without_lock() -> Self {
        let fixture = Self::new();
        fixture.remove("Cargo.lock");
        fixture
    }

    pub(super) fn keys(&self) -> CargoKeys {
        compute_keys(&gather(&self.asked, &Local::default()))
    }

    /// A path below the checkout; `~/` begins one below home, `../` one beside the checkout.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix("~/") {
            Some(name) => self.asked.home.join(name),
            None => self.asked.checkout.join(name),
        }
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Replaces a text that must be there.
    pub(super) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        self.write(name, &text.replace(from, to));
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.asked.env.insert(name.into(), value.into());
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The toolchain's part of the only target.
pub(super) fn toolchain(keys: &CargoKeys) -> (String, String) {
    let part = keys.target[0]
        .key
        .components
        .iter()
        .find(|part| part.name == "toolchain")
        .unwrap();
    (part.value.clone(), part.note.clone().unwrap_or_default())
}
