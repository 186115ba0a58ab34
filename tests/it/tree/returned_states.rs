//! Files that return to an earlier state under the same names, sizes and times are never taken for
//! those of the entry. What differs is only the version number in them, as with npm, which gives all
//! files one time.

use std::fs;
use std::path::Path;

use crate::support::mounts::{Mount, later_boot};
use crate::support::tools::{is_installed, is_root, run_tool, skip};
use crate::support::{RunResult, Sandbox, trees};

/// Writes a file whose versions have the same size and time.
fn install(dir: &Path, version: &str) {
    let file = dir.join("package.json");
    // A new file, as a package manager writes it.
    drop(fs::remove_file(&file));
    trees::write(&file, version.as_bytes());
    trees::set_modified(&file, 499_162_500, 0);
}

#[track_caller]
fn is_installed_version(dir: &Path, version: &str) {
    let found = fs::read_to_string(dir.join("package.json")).unwrap();
    assert_eq!(found, version);
}

#[test]
fn a_disk_that_was_rolled_back_to_a_snapshot_is_read() {
    let what = "a disk that is rolled back while the store stays";
    let sandbox = Sandbox::new();
    let (image, snapshot) = (sandbox.path("disk"), sandbox.path("snapshot"));
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    if !is_installed("mkfs.ext4", what) {
        return;
    }
    run_tool("mkfs.ext4", &["-qF".as_ref(), image.as_os_str()]);
    let Some(disk) = Mount::of_image(&image, what) else {
        return;
    };
    install(&disk.join("tree/foo"), "1.0.0");
    drop(disk);
    fs::copy(&image, &snapshot).unwrap();
    trees::settle();

    let disk = Mount::of_image(&image, what).unwrap();
    install(&disk.join("tree/foo"), "1.0.1");
    trees::settle();
    sandbox.save(disk.path(), "k").succeeded();
    sandbox.mirror(disk.path(), "k").succeeded();
    drop(disk);
    for root_has_changed in [false, true] {
        fs::copy(&snapshot, &image).unwrap();
        let disk = Mount::of_image(&image, what).unwrap();
        if root_has_changed {
            fs::write(disk.join("tree/new"), "").unwrap();
        }
        sandbox.mirror(disk.path(), "k").succeeded();
        is_installed_version(&disk.join("tree/foo"), "1.0.1");
        assert!(!disk.join("tree/new").exists());
    }
}

#[test]
fn what_is_mounted_below_a_root_is_read() {
    let what = "a mount below a root";
    if !is_root() {
        skip("root", what);
        return;
    }
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let foo = job.join("tree/foo");
    install(&sandbox.path("volume"), "1.0.0");
    install(&foo, "1.0.1");
    trees::settle();
    sandbox.save(&job, "k").succeeded();
    sandbox.mirror(&job, "k").succeeded();
    let Some(_mount) = Mount::bind(&sandbox.path("volume"), &foo, what) else {
        return;
    };
    sandbox.mirror(&job, "k").succeeded();
    is_installed_version(&foo, "1.0.1");
}

#[test]
fn a_directory_that_was_moved_in_and_then_changed_is_read() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let foo = job.join("tree/foo");
    install(&job.join("old"), "1.0.0");
    install(&foo, "1.0.1");
    trees::settle();
    sandbox.save(&job, "k").succeeded();
    sandbox.mirror(&job, "k").succeeded();
    fs::rename(&foo, job.join("aside")).unwrap();
    fs::rename(job.join("old"), &foo).unwrap();
    // Now it has the times of a directory that was always there and got a name.
    fs::write(foo.join("added"), "").unwrap();
    sandbox.mirror(&job, "k").succeeded();
    is_installed_version(&foo, "1.0.1");
    assert!(!foo.join("added").exists());
}

#[test]
fn two_restores_at_once_into_a_place_that_is_missing_leave_nothing_wrong_behind() {
    let sandbox = Sandbox::new();
    let keys = ["1.0.1", "1.0.2"];
    for version in keys {
        let job = sandbox.job(version);
        for number in 0..40 {
            install(&job.join(format!("below/tree/{number}")), version);
        }
        trees::settle();
        let arguments = ["save", "--key", version, "below/tree"];
        sandbox.run(&job, &arguments).succeeded();
    }
    for round in 0..40 {
        let job = sandbox.job(&format!("job-{round}"));
        let restore = |key| {
            let arguments = ["restore", "--json", "--mirror", "--key", key, "below/tree"];
            sandbox.command(&job, &arguments).spawn().unwrap()
        };
        let both = keys.map(restore);
        for child in both {
            RunResult::wait_for(child).succeeded();
        }
        for key in keys.into_iter().chain(keys) {
            RunResult::wait_for(restore(key)).succeeded();
            for number in 0..40 {
                is_installed_version(&job.join(format!("below/tree/{number}")), key);
            }
        }
    }
}

/// After a crash, a disk may have the new times of a file and its old blocks.
#[test]
fn after_a_reboot_files_are_read() {
    let sandbox = Sandbox::new();
    let Some(starter) = later_boot(&sandbox.path("boot"), "a stamp of another boot") else {
        return;
    };
    let job = sandbox.job("job");
    install(&job.join("tree/foo"), "1.0.1");
    trees::settle();
    sandbox.save(&job, "k").succeeded();
    let compared = |ran: RunResult| ran.succeeded().json()["compared-files"].clone();
    assert_eq!(compared(sandbox.restore(&job, "k")), 0);
    let arguments = ["restore", "--json", "--key", "k", "tree"];
    let later_boot = || RunResult::of(&mut sandbox.command_behind(&starter, &job, &arguments));
    assert_eq!(compared(later_boot()), 1);
    assert_eq!(compared(later_boot()), 0);
}

/// The inode numbers and ctimes on overlayfs come from its layers.
#[test]
fn on_overlayfs_files_are_read() {
    let what = "another image under the same container";
    let sandbox = Sandbox::new();
    for version in ["1.0.0", "1.0.1"] {
        install(&sandbox.path(version).join("tree/foo"), version);
    }
    let Some(below) = Mount::tmpfs(16 << 20, what) else {
        return;
    };
    let job = sandbox.job("job");
    let run = |layer: &Path, arguments: &[&str]| {
        let [upper, work] = ["upper", "work"].map(|name| {
            let path = below.join(name);
            drop(fs::remove_dir_all(&path));
            fs::create_dir(&path).unwrap();
            path
        });
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            layer.display(),
            upper.display(),
            work.display()
        );
        let mount = Mount::overlay(&options, &job, what)?;
        let ran = sandbox.run(&job, arguments).succeeded();
        let version = fs::read_to_string(job.join("tree/foo/package.json")).unwrap();
        drop(mount);
        Some((ran, version))
    };
    let newer = sandbox.path("1.0.1");
    let Some(_) = run(&newer, &["save", "--json", "--key", "k", "tree"]) else {
        return;
    };
    trees::settle();
    let restore = ["restore", "--json", "--key", "k", "tree"];
    for layer in ["1.0.1", "1.0.0", "1.0.1"] {
        let (ran, version) = run(&sandbox.path(layer), &restore).unwrap();
        assert_eq!(version, "1.0.1");
        let written = u32::from(layer == "1.0.0");
        assert_eq!(ran.json()["written-files"], written, "{ran:#?}");
        assert_eq!(ran.json()["compared-files"], 1 - written, "{ran:#?}");
    }
}
