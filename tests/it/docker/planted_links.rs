//! A step that replaces directories of its job by symlinks does not get another user's rights.

use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use super::machine::User;
use super::runner::Runner;
use super::stage::Stage;
use super::support::{self, unique};

/// A directory of a user with a file that only that user can read; removed when dropped.
struct Private(PathBuf);

impl Private {
    fn of(uid: u32) -> Self {
        let directory = std::env::temp_dir().join(unique("private"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("secret"), "secret").unwrap();
        let only_owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(directory.join("secret"), only_owner).unwrap();
        for path in [directory.join("secret"), directory.clone()] {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
        Self(directory)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Replaces a directory by a symlink that belongs to the user, as a step can.
fn plant(user: &User, path: &Path, target: &Path) {
    let aside = path.with_extension("aside");
    fs::rename(path, aside).unwrap();
    symlink(target, path).unwrap();
    lchown(path, Some(user.uid), Some(user.gid)).unwrap();
}

/// Reads and writes in the workspace.
fn touch_workspace(runner: &Runner) -> Stage<'_> {
    runner.stage(&json!([
        "LookAround",
        {"Read": "/github/workspace/secret"},
        {"Write": ["/github/workspace/planted", "x"]},
    ]))
}

#[test]
fn a_workspace_that_leads_to_another_user_does_not_give_the_helper_that_user() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let other = User::new();
    for owner in [0, other.uid] {
        let runner = Runner::new();
        let private = Private::of(owner);
        plant(&runner.user, &runner.workspace, &private.0);
        // Also the directory whose owner counted where root owns the workspace.
        let temp = Private::of(0);
        for name in ["_github_home", "_github_workflow", "_runner_file_commands"] {
            fs::create_dir(temp.0.join(name)).unwrap();
        }
        plant(&runner.user, &runner.temp, &temp.0);

        let answer = touch_workspace(&runner).run();
        let reply = answer.reply();
        let uid = reply[0]["uid"].as_str().unwrap();
        assert!(uid.starts_with(&runner.user.uid.to_string()), "{uid}");
        assert_eq!(reply[1]["error"], json!("PermissionDenied"), "of {owner}");
        assert_eq!(reply[2]["error"], json!("PermissionDenied"), "of {owner}");

        // The runner's files of a stage are forged, too, and no earlier phase knows the user.
        fs::write(temp.0.join("forged"), "").unwrap();
        let forge = || {
            let names = ["GITHUB_STATE", "GITHUB_OUTPUT"];
            names
                .into_iter()
                .fold(touch_workspace(&runner), |stage, name| {
                    stage.env(name, "/github/runner_temp/forged")
                })
        };
        chown(temp.0.join("forged"), Some(owner), Some(owner)).unwrap();
        let forged = forge().run();
        assert_eq!(forged.problem(), "wrong-user", "{}", forged.json);
        let name = runner.workspace.to_string_lossy().into_owned();
        assert!(forged.text().contains(&name), "{}", forged.text());

        // The user that the first phase found remains the user.
        let known =
            json!({"uid": runner.user.uid, "gid": runner.user.gid, "groups": [], "settled": false});
        let later = forge().input("IDENTITY", &known.to_string()).run();
        assert_eq!(later.reply()[1]["error"], json!("PermissionDenied"));
        assert!(!private.0.join("planted").exists());
    }
}
