//! Restoring over what is there: what is right stays untouched, what differs is replaced, what is extra stays or goes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::compare::{Picture, identities, identity, inode, picture, same};
use crate::support::tools::rsync_sees_no_difference;
use crate::support::{Sandbox, trees};

/// A saved tree, and a restored one to change.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    tree: PathBuf,
    original: PathBuf,
    wanted: Picture,
}

impl Case {
    fn new() -> Self {
        Self::with(Sandbox::new(), |_| {})
    }

    /// A case whose tree is changed by `prepare` before it is saved.
    fn with(sandbox: Sandbox, prepare: impl FnOnce(&Path)) -> Self {
        let one = sandbox.job("one");
        let original = one.join("tree");
        trees::small(&original, 1);
        prepare(&original);
        sandbox.give_away();
        sandbox.save(&one, "k").done();
        let job = sandbox.job("other");
        sandbox.restore(&job, "k").done();
        same(&picture(&original), &picture(&job.join("tree")));
        let (tree, wanted) = (job.join("tree"), picture(&original));
        Self { sandbox, job, tree, original, wanted }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.tree.join(name)
    }

    /// Restores and demands that the tree is as it was saved. Returns what the program reported.
    #[track_caller]
    fn restored(&self) -> serde_json::Value {
        let report = self.sandbox.restore(&self.job, "k").done().json();
        self.is_right();
        report
    }

    #[track_caller]
    fn is_right(&self) {
        same(&self.wanted, &picture(&self.tree));
        rsync_sees_no_difference(&self.original, &self.tree);
        rsync_sees_no_difference(&self.tree, &self.original);
    }

    /// Replaces the contents of a file in place and gives it a time.
    fn overwrite(&self, name: &str, bytes: &[u8], seconds: i64) {
        let path = self.at(name);
        fs::write(&path, bytes).unwrap();
        trees::set_modified(&path, seconds, 1);
    }
}

#[test]
fn what_is_right_is_not_touched() {
    let case = Case::new();
    let before = identities(&case.tree);
    let report = case.restored();
    assert_eq!(before, identities(&case.tree));
    assert_eq!(report["written-files"], 0);
    case.sandbox.mirror(&case.job, "k").done();
    assert_eq!(before, identities(&case.tree));
}

#[test]
fn only_what_differs_is_touched() {
    let case = Case::new();
    case.overwrite("src/3.rs", b"something else", 1_650_000_000);
    let mut before = identities(&case.tree);
    let report = case.restored();
    assert_eq!(report["written-files"], 1);
    let mut after = identities(&case.tree);
    for changed in [case.at("src/3.rs"), case.at("src")] {
        assert_ne!(before.remove(&changed), after.remove(&changed));
    }
    assert_eq!(before, after);
}

#[test]
fn a_file_of_another_size_is_replaced() {
    let case = Case::new();
    case.overwrite("same", b"longer than it should be", 1_650_000_000);
    case.overwrite("src/5.rs", b"shorter", 1_650_000_000);
    case.restored();
}

#[test]
fn a_file_with_another_time_but_its_contents_only_gets_its_time() {
    let case = Case::new();
    let inodes = ["same", "build/large", "build/empty"].map(|name| inode(&case.at(name)));
    for name in ["same", "build/large", "build/empty"] {
        trees::set_modified(&case.at(name), 1_650_000_000, 5);
    }
    let report = case.restored();
    assert_eq!(inodes, ["same", "build/large", "build/empty"].map(|name| inode(&case.at(name))));
    assert_eq!(report["written-files"], 0);
}

#[test]
fn other_contents_of_the_same_size_are_replaced_and_the_directory_keeps_its_time() {
    let case = Case::new();
    case.overwrite("same", b"ALWAYS THE SAME", 1_650_000_000);
    case.overwrite("src/4.rs", &trees::noise(9, 2801), 1_650_000_000);
    assert_eq!(
        case.at("src/4.rs").metadata().unwrap().len(),
        case.original.join("src/4.rs").metadata().unwrap().len()
    );
    case.restored();
}

#[test]
fn other_contents_of_the_same_size_are_replaced_in_a_directory_without_write_permission() {
    let sandbox = Sandbox::without_rights();
    let case = Case::with(sandbox, |tree| trees::set_mode(&tree.join("src"), 0o555));
    case.overwrite("src/4.rs", &trees::noise(9, 2801), 1_650_000_000);
    case.restored();
}

#[test]
fn all_names_of_a_file_get_its_contents_back() {
    let case = Case::new();
    let size = case.at("large").metadata().unwrap().len();
    case.overwrite("large", &trees::noise(3, usize::try_from(size).unwrap()), 1_650_000_000);
    case.restored();
    assert_eq!(inode(&case.at("large")), inode(&case.at("build/large")));
}

#[test]
fn a_file_modified_in_the_instant_of_the_save_is_not_trusted() {
    // A time to come stands for "modified just when it was saved": such times say nothing.
    let racy = |tree: &Path| trees::set_modified(&tree.join("same"), 4_000_000_000, 0);
    let case = Case::with(Sandbox::new(), racy);
    fs::write(case.at("same"), b"ALWAYS THE SAME").unwrap();
    racy(&case.tree);
    case.restored();
    // Nor may a save take such a file for unchanged.
    fs::write(case.original.join("same"), b"AlWaYs ThE sAmE").unwrap();
    racy(&case.original);
    case.sandbox.save(&case.sandbox.job("one"), "k2").done();
    let third = case.sandbox.job("third");
    case.sandbox.restore(&third, "k2").done();
    assert_eq!(fs::read(third.join("tree/same")).unwrap(), b"AlWaYs ThE sAmE");
}

#[test]
fn attributes_of_a_file_modified_in_the_instant_of_the_save_come_back() {
    let prepare = |tree: &Path| {
        drop(xattr::set(tree.join("same"), "user.note", b"wanted"));
        trees::set_modified(&tree.join("same"), 4_000_000_000, 0);
    };
    let case = Case::with(Sandbox::new(), prepare);
    drop(xattr::set(case.at("same"), "user.note", b"other"));
    trees::set_modified(&case.at("same"), 4_000_000_000, 0);
    case.restored();
}

#[test]
fn a_mode_is_set_without_replacing_the_file() {
    let case = Case::new();
    for (name, mode) in [("same", 0o600), ("src/1.rs", 0o644), ("build/large", 0o777), ("build", 0o700)] {
        let before = inode(&case.at(name));
        trees::set_mode(&case.at(name), mode);
        case.restored();
        assert_eq!(before, inode(&case.at(name)), "{name}");
    }
}

#[test]
fn modes_that_lock_out_their_owner_are_set_right() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::set_mode(&case.at("same"), 0o000);
    trees::set_mode(&case.at("src/3.rs"), 0o200);
    case.restored();
    for mode in [0o000, 0o200, 0o300, 0o400, 0o500] {
        trees::set_mode(&case.at("src"), mode);
        case.restored();
    }
}

#[test]
fn extra_files_in_a_directory_that_locks_out_its_owner_stay() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::write(&case.at("src/extra"), b"mine");
    case.sandbox.give_away();
    trees::set_mode(&case.at("src"), 0o000);
    case.sandbox.restore(&case.job, "k").done();
    assert_eq!(fs::read(case.at("src/extra")).unwrap(), b"mine");
}

#[test]
fn other_kinds_of_things_are_replaced() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("kept"), b"x");
    let outside_before = identities(&outside);
    // A symlink, dangling or not, where a file belongs.
    for (name, target) in
        [("same", "/no/such"), ("src/2.rs", "3.rs"), ("build/large", "../../../outside/kept")]
    {
        fs::remove_file(case.at(name)).unwrap();
        symlink(target, case.at(name)).unwrap();
    }
    // A full directory where a file belongs, and where a symlink belongs.
    for name in ["src/4.rs", "build/link"] {
        fs::remove_file(case.at(name)).unwrap();
        trees::write(&case.at(name).join("deep/er/file"), b"x");
    }
    // A file, a fifo and a symlink where a directory belongs.
    fs::remove_dir_all(case.at("nothing")).unwrap();
    fs::write(case.at("nothing"), b"x").unwrap();
    case.restored();
    fs::remove_dir_all(case.at("nothing")).unwrap();
    nix::unistd::mkfifo(&case.at("nothing"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    case.restored();
    fs::remove_dir_all(case.at("nothing")).unwrap();
    symlink(&outside, case.at("nothing")).unwrap();
    case.restored();
    // A file and another symlink where a symlink belongs; a fifo where a file belongs.
    fs::remove_file(case.at("build/link")).unwrap();
    fs::write(case.at("build/link"), b"x").unwrap();
    fs::remove_file(case.at("same")).unwrap();
    nix::unistd::mkfifo(&case.at("same"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    case.restored();
    fs::remove_file(case.at("build/link")).unwrap();
    symlink("../srk", case.at("build/link")).unwrap();
    case.restored();
    assert_eq!(outside_before, identities(&outside));
}

#[test]
fn extra_names_stay_without_mirror_and_go_with_it() {
    let case = Case::new();
    let extras = ["extra", "src/extra.rs", "more/deeper/file", "nothing/here/file"];
    for name in extras {
        trees::write(&case.at(name), b"mine");
    }
    symlink("/etc", case.at("build/extra-link")).unwrap();
    let before = extras.map(|name| identity(&case.at(name)));
    case.sandbox.restore(&case.job, "k").done();
    assert_eq!(before, extras.map(|name| identity(&case.at(name))));
    let mut found = picture(&case.tree);
    found.retain(|path, _| case.wanted.contains_key(path));
    assert_eq!(found.keys().collect::<Vec<_>>(), case.wanted.keys().collect::<Vec<_>>());
    let report = case.sandbox.mirror(&case.job, "k").done().json();
    assert_eq!(report["removed-files"], 7);
    case.is_right();
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn extra_directories_without_permissions_go_with_mirror() {
    let case = Case::with(Sandbox::without_rights(), |_| {});
    trees::write(&case.at("extra/inner/file"), b"x");
    trees::write(&case.at("build/extra/inner/file"), b"x");
    case.sandbox.give_away();
    for (name, mode) in [("extra/inner", 0o000), ("extra", 0o555), ("build/extra/inner", 0o200)] {
        trees::set_mode(&case.at(name), mode);
    }
    case.sandbox.mirror(&case.job, "k").done();
    case.is_right();
}

#[test]
fn a_name_outside_of_the_tree_does_not_change_with_the_file_in_it() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    // The file has a second name outside; each way of changing the one in the tree must leave the other as it is.
    for (number, change) in [
        |path: &Path| trees::set_modified(path, 1_650_000_000, 5),
        |path: &Path| trees::set_mode(path, 0o600),
        |path: &Path| fs::write(path, b"other contents of another size").unwrap(),
        |path: &Path| fs::write(path, b"ALWAYS THE SAME").unwrap(),
        |path: &Path| drop(xattr::set(path, "user.mine", b"x")),
    ]
    .iter()
    .enumerate()
    {
        drop(fs::remove_file(&outside));
        fs::hard_link(case.at("same"), &outside).unwrap();
        change(&case.at("same"));
        let before = picture(&outside);
        case.sandbox.restore(&case.job, "k").done();
        same(&before, &picture(&outside));
        assert_ne!(inode(&outside), inode(&case.at("same")), "change {number}");
        fs::remove_file(&outside).unwrap();
        case.restored();
    }
}

#[test]
fn files_that_became_one_are_two_again() {
    let case = Case::with(Sandbox::new(), |tree| {
        for name in ["twin-1", "twin-2"] {
            fs::write(tree.join(name), b"twins").unwrap();
            trees::set_modified(&tree.join(name), 1_650_000_000, 5);
        }
    });
    fs::remove_file(case.at("twin-2")).unwrap();
    fs::hard_link(case.at("twin-1"), case.at("twin-2")).unwrap();
    case.restored();
    assert_ne!(inode(&case.at("twin-1")), inode(&case.at("twin-2")));
    // And names that became two files are one again.
    fs::remove_file(case.at("large")).unwrap();
    fs::copy(case.at("build/large"), case.at("large")).unwrap();
    case.restored();
    assert_eq!(inode(&case.at("large")), inode(&case.at("build/large")));
}

#[test]
fn a_symlinked_directory_in_the_tree_is_replaced_and_nothing_written_through_it() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("1.rs"), b"outside");
    trees::write(&outside.join("here/file"), b"outside");
    let before = identities(&outside);
    for name in ["src", "nothing"] {
        fs::remove_dir_all(case.at(name)).unwrap();
        symlink(&outside, case.at(name)).unwrap();
    }
    case.sandbox.mirror(&case.job, "k").done();
    case.is_right();
    assert_eq!(before, identities(&outside));
}

#[test]
fn a_root_that_is_a_symlink_is_refused() {
    let case = Case::new();
    let outside = case.sandbox.path("outside");
    trees::write(&outside.join("file"), b"outside");
    let before = identities(&outside);
    let job = case.sandbox.job("third");
    symlink(&outside, job.join("tree")).unwrap();
    for mirror in [&[][..], &["--mirror"]] {
        let arguments = [&["restore", "--key", "k", "tree"], mirror].concat();
        let line = case.sandbox.run(&job, &arguments).failed(1);
        assert!(line.contains("tree is a symlink to") && line.contains("cache the directory"), "{line}");
    }
    assert_eq!(before, identities(&outside));
    assert!(job.join("tree").is_symlink());
}

#[test]
fn roots_of_another_kind_are_replaced() {
    let case = Case::new();
    fs::remove_dir_all(&case.tree).unwrap();
    fs::write(&case.tree, b"a file where a directory belongs").unwrap();
    case.restored();
    let (one, other) = (case.sandbox.job("a"), case.sandbox.job("b"));
    trees::write(&one.join("tree"), b"a file as root");
    trees::write(&other.join("tree/x"), b"a directory where a file belongs");
    case.sandbox.save(&one, "file").done();
    case.sandbox.restore(&other, "file").done();
    assert_eq!(fs::read(other.join("tree")).unwrap(), b"a file as root");
}

#[test]
fn without_verification_contents_are_not_compared_with_their_digests() {
    let case = Case::new();
    trees::walk(&case.sandbox.store().join("blobs"), &mut |path| {
        if path.is_file() {
            let mut bytes = fs::read(path).unwrap();
            bytes[1000] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    });
    fs::remove_file(case.at("large")).unwrap();
    fs::remove_file(case.at("build/large")).unwrap();
    case.sandbox.run(&case.job, &["restore", "--no-verify", "--key", "k", "tree"]).done();
    let (one, other) = (fs::read(case.original.join("large")).unwrap(), fs::read(case.at("large")).unwrap());
    assert_eq!(one.iter().zip(&other).filter(|(one, other)| one != other).count(), 1);
}

#[test]
fn the_same_key_is_left_alone_unless_it_is_refreshed() {
    let case = Case::new();
    fs::write(case.original.join("same"), b"newer").unwrap();
    let one = case.sandbox.job("one");
    assert_eq!(case.sandbox.save(&one, "k").done().json()["reason"], "exists");
    case.restored_as(b"always the same");
    assert!(case.sandbox.run(&one, &["save", "--json", "--refresh", "--key", "k", "tree"]).done().is_saved());
    case.restored_as(b"newer");
}

impl Case {
    #[track_caller]
    fn restored_as(&self, wanted: &[u8]) {
        self.sandbox.restore(&self.job, "k").done();
        assert_eq!(fs::read(self.at("same")).unwrap(), wanted);
    }
}

#[test]
fn to_look_up_writes_nothing() {
    let case = Case::new();
    let third = case.sandbox.job("third");
    let found =
        case.sandbox.run(&third, &["restore", "--lookup-only", "--json", "--key", "k", "tree"]).done();
    assert!(found.is_hit());
    assert_eq!(fs::read_dir(&third).unwrap().count(), 0);
}

#[test]
fn a_file_of_another_user_is_replaced() {
    if !crate::support::tools::is_root() {
        return crate::support::tools::skip("root", "files of two users");
    }
    let case = Case::with(Sandbox::without_rights(), |_| {});
    let path = case.at("same");
    std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
    trees::set_modified(&path, 1_650_000_000, 5);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    case.restored();
    assert_eq!(path.metadata().unwrap().uid(), crate::support::NOBODY);
}

/// npm and pip give all files one fixed time, and another version of a package often has the same size.
#[test]
fn files_of_one_fixed_time_and_size_are_told_apart_by_their_contents() {
    let sandbox = Sandbox::new();
    let (job, other) = (sandbox.job("job"), sandbox.job("other"));
    let write = |job: &Path, version: &[u8]| {
        let file = job.join("tree/package.json");
        trees::write(&file, version);
        trees::set_modified(&file, 499_162_500, 0);
        file
    };
    write(&job, b"1.0.1");
    sandbox.save(&job, "v1").done();
    let file = write(&job, b"1.0.2");
    sandbox.save(&job, "v2").done();
    sandbox.restore(&other, "v2").done();
    assert_eq!(fs::read(other.join("tree/package.json")).unwrap(), b"1.0.2");
    // What is there already is compared as well.
    sandbox.restore(&job, "v1").done();
    assert_eq!(fs::read(&file).unwrap(), b"1.0.1");
    // What turns out to be right is not touched.
    let before = identity(&file);
    assert_eq!(sandbox.restore(&job, "v1").done().json()["right-files"], 1);
    assert!(identity(&file) == before);
}

/// `cp -p`, rsync and tar give a file its size and its time to the nanosecond, whatever was there before.
#[test]
fn other_contents_with_the_size_and_the_time_of_the_saved_file_are_replaced() {
    let case = Case::new();
    let times = case.at("same").metadata().unwrap().modified().unwrap();
    fs::write(case.at("same"), b"ALWAYS THE SAME").unwrap();
    fs::File::options().write(true).open(case.at("same")).unwrap().set_modified(times).unwrap();
    case.restored();
}

#[test]
fn a_directory_that_was_swapped_for_an_older_one_is_read() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    let write = |dir: &str, version: &[u8]| {
        let file = job.join(dir).join("package.json");
        trees::write(&file, version);
        trees::set_modified(&file, 499_162_500, 0);
    };
    write("tree/package", b"1.0.1");
    write("other", b"1.0.2");
    trees::settle();
    sandbox.save(&job, "v1").done();
    sandbox.restore(&job, "v1").done();
    fs::rename(job.join("tree/package"), job.join("old")).unwrap();
    fs::rename(job.join("other"), job.join("tree/package")).unwrap();
    sandbox.restore(&job, "v1").done();
    assert_eq!(fs::read(job.join("tree/package/package.json")).unwrap(), b"1.0.1");
}

#[test]
fn a_sparse_file_that_nothing_is_known_of_is_read_and_stays() {
    let case = Case::with(Sandbox::new(), |tree| {
        let file = fs::File::create(tree.join("sparse")).unwrap();
        file.set_len(4 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &trees::noise(1, 8192), 2 << 20).unwrap();
        fs::File::create(tree.join("hole")).unwrap().set_len(1 << 20).unwrap();
    });
    fs::remove_dir_all(case.sandbox.store().join("seen")).unwrap();
    let before = ["sparse", "hole"].map(|name| identity(&case.at(name)));
    case.restored();
    assert!(["sparse", "hole"].map(|name| identity(&case.at(name))) == before);
}

#[test]
fn what_did_not_change_since_it_was_restored_is_not_read_again() {
    let case = Case::new();
    fs::remove_dir_all(case.sandbox.store().join("seen")).unwrap();
    let files = case.restored()["compared-files"].as_u64().unwrap();
    assert!(files > 5, "{files} files were read when nothing was known of them");
    trees::settle();
    case.restored();
    assert_eq!(case.restored()["compared-files"], 0);
}
