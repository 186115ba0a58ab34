//! The files that a runner creates for one stage of a step, through which the stage answers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::env::Env;

/// The variables that name such a file.
pub(super) const VARIABLES: [&str; 2] = ["GITHUB_STATE", "GITHUB_OUTPUT"];

/// The uid and gid of the files through which this stage answers: the runner creates new ones for
/// each stage. `None` if they belong to different users, or if one is a link: then something else
/// put it there.
pub(super) fn owner(env: &Env, visible: impl Fn(&Path) -> Option<PathBuf>) -> Option<(u32, u32)> {
    let mut owner = None;
    for path in VARIABLES.into_iter().filter_map(|name| env.path(name)) {
        let Some(path) = visible(path) else { continue };
        let Ok(found) = fs::symlink_metadata(path) else {
            continue;
        };
        let found_owner = (found.uid(), found.gid());
        let is_plain = found.is_file() && found.nlink() == 1;
        if !is_plain || owner.is_some_and(|owner| owner != found_owner) {
            return None;
        }
        owner = Some(found_owner);
    }
    owner
}

/// Whether the runner made this path for one stage (`…/save_state_<GUID>`). nektos/act uses the
/// same paths in every stage.
pub(crate) fn ends_with_guid(path: &str) -> bool {
    let guid = path.rsplit('_').next().unwrap_or_default();
    guid.len() == 36
        && guid.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_runner_names_files_by_a_guid() {
        let guid = "/github/file_commands/save_state_0f8fad5b-d9cb-469f-a165-70867728950e";
        assert!(ends_with_guid(guid));
        assert!(!ends_with_guid("/var/run/act/workflow/statecmd.txt"));
        assert!(!ends_with_guid(
            "save_state_0f8fad5b-d9cb-469f-a165-70867728950g"
        ));
    }

    #[test]
    fn the_owner_of_links_is_not_the_runner() {
        let directory = tempfile::tempdir().unwrap();
        let [state, output, link] =
            ["state", "output", "link"].map(|name| directory.path().join(name));
        fs::write(&state, "").unwrap();
        fs::write(&output, "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let own = fs::metadata(&state).unwrap();
        let owner_of = |state: &Path, output: &Path| {
            let env = Env::from_iter([("GITHUB_STATE", state), ("GITHUB_OUTPUT", output)]);
            owner(&env, |path| Some(path.to_owned()))
        };
        assert_eq!(owner_of(&state, &output), Some((own.uid(), own.gid())));
        assert_eq!(owner_of(&state, &link), None);
        let second_name = directory.path().join("second");
        fs::hard_link(&output, second_name).unwrap();
        assert_eq!(owner_of(&state, &output), None);
        assert_eq!(owner(&Env::default(), |_| None), None);
    }
}
