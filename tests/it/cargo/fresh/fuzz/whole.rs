//! A cache that is correct in an obvious way: it restores a target directory only when nothing
//! changed at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::fresh::support::files::set_time;
use crate::cargo::fresh::support::{Host, place};
use crate::support::trees::walk;

/// The copies for the `CARGO_HOME` of a job: of the sources, and of the target directory.
fn copies(host: &Host) -> [PathBuf; 2] {
    let home = Path::new(&host.env["CARGO_HOME"]).file_name().unwrap();
    ["sources", "target"].map(|name| host.path(&format!("whole-{name}-{}", home.display())))
}

fn head(place: &Path) -> Option<String> {
    fs::read_to_string(place.join("repo/repo/.git/refs/heads/main")).ok()
}

/// Whether the target directory was restored.
pub(super) fn restore(host: &Host, target: &Path) -> bool {
    let (place, [sources, copy]) = (host.place(), copies(host));
    let is_same = copy.exists()
        && head(&place) == head(&sources)
        && place::sources(&place) == place::sources(&sources);
    if !is_same {
        return false;
    }
    walk(&sources, &mut |path| {
        let name = path.strip_prefix(&sources).unwrap();
        let is_git = name.components().any(|part| part.as_os_str() == ".git");
        if !is_git && !path.join("CACHEDIR.TAG").exists() {
            let time = path.symlink_metadata().unwrap().modified().unwrap();
            if place.join(name).symlink_metadata().is_ok() {
                set_time(&place.join(name), time);
            }
        }
    });
    drop(fs::remove_dir_all(target));
    place::copy(&copy, target, true);
    true
}

/// Copies the place, unless the outputs may come from other sources.
pub(super) fn save(host: &Host, target: &Path, is_disturbed: bool) {
    let [sources, copy] = copies(host);
    for directory in [&sources, &copy] {
        drop(fs::remove_dir_all(directory));
    }
    if is_disturbed || !target.exists() {
        return;
    }
    place::copy(&host.place(), &sources, false);
    place::copy(target, &copy, true);
    // Cargo makes these again from `deps`; those of programs that are gone must not come back.
    for profile in ["debug", "release"] {
        for directory in [copy.join(profile), copy.join(profile).join("examples")] {
            let entries = fs::read_dir(directory).into_iter().flatten();
            let paths = entries.map(|entry| entry.unwrap().path());
            for path in paths.filter(|path| path.is_file()) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if !name.starts_with('.') && !crate::cargo::fresh::support::built::has_hash(&name) {
                    fs::remove_file(path).unwrap();
                }
            }
        }
    }
}
