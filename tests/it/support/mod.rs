//! Shared by all tests: a sandbox to run the program in, trees to save, and ways to compare them.

pub(crate) mod compare;
pub(crate) mod deep;
pub(crate) mod forge;
pub(crate) mod machine;
#[cfg(feature = "remote")]
pub(crate) mod memory_s3;
pub(crate) mod mounts;
pub(crate) mod release;
pub(crate) mod repository;
pub(crate) mod rng;
#[cfg(feature = "remote")]
pub(crate) mod s3;
pub(crate) mod step;
pub(crate) mod strace;
pub(crate) mod tools;
pub(crate) mod trees;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A user and group without rights.
pub(crate) const NOBODY: u32 = 65534;
/// A run that takes longer counts as hanging.
const HANGS: Duration = Duration::from_secs(100);

/// A temporary directory with its own store, in which the program runs with its own environment.
pub(crate) struct Sandbox {
    dir: TempDir,
    program: PathBuf,
    cache: PathBuf,
    without_rights: bool,
    /// Threads of the program. With one thread, each save writes one pack.
    pub(crate) threads: u8,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// A sandbox in a directory.
    pub(crate) fn below(dir: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lc-test-")
            .tempdir_in(dir)
            .unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let cache = dir.path().join("cache");
        Self {
            dir,
            program: env!("CARGO_BIN_EXE_local-cache").into(),
            cache,
            without_rights: false,
            threads: 2,
        }
    }

    /// A sandbox whose programs run as a user without rights: as `nobody` if the tests run as root.
    pub(crate) fn without_rights() -> Self {
        let mut sandbox = Self::new();
        fs::set_permissions(sandbox.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if tools::is_root() {
            // Other users may have no access to the build directory.
            let program = sandbox.path("local-cache");
            if fs::hard_link(&sandbox.program, &program).is_err() {
                fs::copy(&sandbox.program, &program).unwrap();
            }
            sandbox.program = program;
            sandbox.without_rights = true;
            sandbox.chown_all();
        }
        sandbox
    }

    /// The same sandbox, whose programs run as the user who starts them: commands behind `setpriv`
    /// choose their own.
    pub(crate) fn with_own_user(mut self) -> Self {
        self.without_rights = false;
        self
    }

    /// The same sandbox with another cache root.
    pub(crate) fn with_cache(mut self, cache: PathBuf) -> Self {
        self.cache = cache;
        self
    }

    /// The same sandbox with another build of the program.
    pub(crate) fn with_program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Makes everything in the sandbox belong to the user who runs the program.
    pub(crate) fn chown_all(&self) {
        if self.without_rights {
            trees::walk(self.dir.path(), &mut |path| {
                if path != self.program {
                    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
                }
            });
        }
    }

    /// A path in the sandbox.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory in the sandbox for a job to run in.
    pub(crate) fn job(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if !path.exists() {
            fs::create_dir(&path).unwrap();
            if self.without_rights {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        path
    }

    /// The cache root.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The store's directory.
    pub(crate) fn store(&self) -> PathBuf {
        self.cache.join("local-cache-v1")
    }

    /// A command that runs the program in `job`, with arguments.
    pub(crate) fn command(&self, job: &Path, arguments: &[&str]) -> Command {
        let starter: [&str; 0] = [];
        self.command_behind(&starter, job, arguments)
    }

    /// The same, started by another program such as strace.
    pub(crate) fn command_behind(
        &self,
        starter: &[impl AsRef<std::ffi::OsStr>],
        job: &Path,
        arguments: &[&str],
    ) -> Command {
        let mut words: Vec<&std::ffi::OsStr> = starter.iter().map(AsRef::as_ref).collect();
        words.push(self.program.as_os_str());
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .arg("--cache-root")
            .arg(&self.cache);
        command
            .current_dir(job)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("RAYON_NUM_THREADS", self.threads.to_string());
        // Programs that start ours, such as strace, are found through PATH.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.without_rights {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs the program in `job`.
    pub(crate) fn run(&self, job: &Path, arguments: &[&str]) -> RunResult {
        RunResult::of(&mut self.command(job, arguments))
    }

    /// Saves `tree` of a job.
    pub(crate) fn save(&self, job: &Path, key: &str) -> RunResult {
        self.run(job, &["save", "--json", "--key", key, "tree"])
    }

    /// Restores `tree` into a job.
    pub(crate) fn restore(&self, job: &Path, key: &str) -> RunResult {
        self.run(job, &["restore", "--json", "--key", key, "tree"])
    }

    /// Restores `tree` into a job and removes extraneous files.
    pub(crate) fn mirror(&self, job: &Path, key: &str) -> RunResult {
        self.run(
            job,
            &["restore", "--json", "--mirror", "--key", key, "tree"],
        )
    }

    /// Removes all but the `keep` most recently used entries of any key.
    pub(crate) fn prune(&self, keep: usize) -> RunResult {
        self.run(
            self.dir.path(),
            &[
                "prune",
                "--json",
                "--yes",
                "--any-key",
                "--keep",
                &keep.to_string(),
            ],
        )
    }

    /// Reads all of the store.
    pub(crate) fn verify(&self) -> RunResult {
        self.run(self.dir.path(), &["verify", "--json"])
    }

    /// Reads all of the store and repairs it.
    pub(crate) fn repair(&self) -> RunResult {
        self.run(self.dir.path(), &["verify", "--json", "--repair"])
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What a test made inaccessible would stay.
        if !tools::is_root() {
            trees::walk(self.dir.path(), &mut |path| {
                if path
                    .symlink_metadata()
                    .is_ok_and(|metadata| metadata.is_dir())
                {
                    drop(fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
                }
            });
        }
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct RunResult {
    /// The exit code; none if a signal ended the program.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl RunResult {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::wait_for(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }

    /// Waits for a child. One that takes too long is ended and the test fails.
    pub(crate) fn wait_for(mut child: Child) -> Self {
        let mut out = child.stdout.take().unwrap();
        let mut err = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > HANGS {
                child.kill().unwrap();
                panic!("the program hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: status.code(),
            stdout: text(reader.join().unwrap()),
            stderr: text(errors.join().unwrap()),
        }
    }

    /// Demands success without output on standard error.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:#?}");
        self
    }

    /// Demands an exit code and no panic.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert!(
            self.code == Some(code) && !self.stderr.contains("panicked"),
            "{self:#?}"
        );
        self
    }

    /// Demands a failure with a message of one line, and returns the line.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        let ran = self.exited(code);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("local-cache: "),
            "not one line: {ran:#?}"
        );
        lines[0].to_owned()
    }

    /// The JSON document it printed.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }

    /// Whether a restore found an entry.
    #[track_caller]
    pub(crate) fn is_hit(&self) -> bool {
        self.json()["cache-hit"] != "miss"
    }

    /// Whether a save made an entry.
    #[track_caller]
    pub(crate) fn is_saved(&self) -> bool {
        self.json()["saved"] == true
    }

    /// The lines on standard error, all of which must be the program's own.
    #[track_caller]
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(
            lines.iter().all(|line| line.starts_with("local-cache: ")),
            "{self:#?}"
        );
        lines
    }
}
