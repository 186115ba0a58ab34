//! The native action: the same program, started by node on the runner itself.

#[cfg(feature = "remote")]
mod background;
mod files;
mod phases;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::release::ReleaseProgram;

/// The action's directory with a program, as in the commit of a release.
pub(crate) struct NativeAction {
    directory: tempfile::TempDir,
}

impl NativeAction {
    pub(crate) fn new(program: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("native");
        for path in ["", "restore", "save", "bin"] {
            let (from, to) = (source.join(path), directory.path().join(path));
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(from).into_iter().flatten() {
                let file = file.unwrap();
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), to.join(file.file_name())).unwrap();
                }
            }
        }
        let action = Self { directory };
        action.put(&fs::read(program).unwrap());
        action
    }

    fn program(&self) -> PathBuf {
        let name = ReleaseProgram::new(b"").name;
        self.directory.path().join("bin").join(name)
    }

    /// Stores a program and its checksum.
    fn put(&self, program: &[u8]) {
        let file = self.program();
        fs::write(&file, program).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let checksum = ReleaseProgram::new(program).checksum;
        fs::write(file.with_extension("sha256"), checksum).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
