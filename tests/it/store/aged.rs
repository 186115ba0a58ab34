//! What a garbage collection removes because of its age, on a disk whose ctimes are set from outside.

use std::fs;
use std::path::{Path, PathBuf};

use local_cache::Store;
use local_cache::monitor::Silent;
use local_cache::ops::entries::list;

use crate::support::mounts::Mount;
use crate::support::tools::{is_installed, run_tool};
use crate::support::{Sandbox, trees};

/// Gives paths in the image of an ext4 filesystem a ctime of the year 2020.
fn make_old(image: &Path, paths: &[PathBuf]) {
    for path in paths {
        let request = format!("set_inode_field {} ctime 20200101000000", path.display());
        let arguments = ["-w".as_ref(), "-R".as_ref(), request.as_ref(), image];
        run_tool("debugfs", &arguments.map(Path::as_os_str));
    }
}

#[test]
fn of_ready_copies_and_notes_those_that_are_old_are_removed() {
    let what = "old ready copies";
    if !is_installed("mkfs.ext4", what) || !is_installed("debugfs", what) {
        return;
    }
    let sandbox = Sandbox::new();
    let image = sandbox.path("disk");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    run_tool("mkfs.ext4", &["-qF".as_ref(), image.as_os_str()]);
    let Some(disk) = Mount::of_image(&image, what) else {
        return;
    };
    let sandbox = sandbox.with_cache(disk.join("cache"));
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    sandbox.save(&job, "k").succeeded();
    let store = Store::open(sandbox.cache()).unwrap().unwrap();
    let manifest = list(&store, &Silent).unwrap().remove(0).entry.manifest;
    drop(store);
    // Names of copies and notes end with an inode.
    let ready = ["1", "2"].map(|inode| format!("ready/{manifest}-0-0-{inode}"));
    let lent = ["1", "2"].map(|inode| format!("lent/{manifest}-0-1-{inode}"));
    for copy in &ready {
        fs::create_dir_all(sandbox.store().join(copy)).unwrap();
    }
    for note in &lent {
        trees::write(&sandbox.store().join(note), b"");
    }
    let in_image = |name: &String| Path::new("/cache/local-cache-v1").join(name);
    drop(disk);
    make_old(&image, &[in_image(&ready[0]), in_image(&lent[0])]);

    let disk = Mount::of_image(&image, what).unwrap();
    let sandbox = sandbox.with_cache(disk.join("cache"));
    let exists = |name: &String| sandbox.store().join(name).exists();
    assert!(ready.iter().chain(&lent).all(exists));
    let pruned = sandbox.prune(5).succeeded();
    assert!(pruned.warnings().is_empty(), "{pruned:#?}");
    assert_eq!([exists(&ready[0]), exists(&lent[0])], [false, false]);
    assert_eq!([exists(&ready[1]), exists(&lent[1])], [true, true]);
}
