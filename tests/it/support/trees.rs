//! Trees to save.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// Calls `visit` with a path and all paths below it, directories before their contents.
pub(crate) fn walk(root: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(metadata) = root.symlink_metadata() else {
        return;
    };
    visit(root);
    if metadata.is_dir() {
        let Ok(entries) = fs::read_dir(root) else {
            return;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_unstable();
        for path in paths {
            walk(&path, visit);
        }
    }
}

/// Writes a file and creates its directories.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets a modification time, without following symlinks.
pub(crate) fn set_modified(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = TimeSpec::new(seconds, nanoseconds);
    utimensat(
        AT_FDCWD,
        path,
        &time,
        &time,
        UtimensatFlags::NoFollowSymlink,
    )
    .unwrap();
}

/// Sets the modification time of every name in a tree to a different time long ago, so that no file
/// counts as just modified.
pub(crate) fn make_old(root: &Path) {
    static NEXT: AtomicI64 = AtomicI64::new(1_600_000_000);
    let mut paths = Vec::new();
    walk(root, &mut |path| paths.push(path.to_owned()));
    for path in paths.iter().rev() {
        let seconds = NEXT.fetch_add(1, Ordering::Relaxed);
        set_modified(path, seconds, seconds % 1_000_000_000);
    }
    settle();
}

/// Waits until later changes get later times than all changes so far.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

/// Deterministic bytes that look random.
pub(crate) fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Makes a small tree with small files, a large one, directories and links.
pub(crate) fn small(root: &Path, seed: u64) {
    for number in 0..6 {
        let path = root.join(format!("src/{number}.rs"));
        write(
            &path,
            &random_bytes(
                seed * 100 + number,
                700 * usize::try_from(number).unwrap() + 1,
            ),
        );
    }
    write(&root.join("same"), b"always the same");
    write(
        &root.join("build/large"),
        &random_bytes(seed * 100 + 50, 600 << 10),
    );
    write(&root.join("build/empty"), b"");
    fs::create_dir_all(root.join("nothing/here")).unwrap();
    symlink("../src", root.join("build/link")).unwrap();
    fs::hard_link(root.join("build/large"), root.join("large")).unwrap();
    set_mode(&root.join("src/1.rs"), 0o755);
    make_old(root);
}

/// Makes a tree with everything that can be saved.
pub(crate) fn everything(root: &Path) {
    fs::create_dir_all(root).unwrap();
    sizes(&root.join("sizes"));
    modes(&root.join("modes"));
    links(&root.join("links"));
    sparse_files(&root.join("sparse"));
    names(&root.join("names"));
    fs::create_dir_all(root.join("empty/inner/innermost")).unwrap();
    make_old(root);
    times(&root.join("times"));
    // Modes that prevent their owner from writing come last.
    set_mode(&root.join("modes/directory-0555"), 0o555);
    set_mode(&root.join("modes/directory-1777"), 0o1777);
    set_mode(&root.join("modes/directory-2755"), 0o2755);
}

fn sizes(dir: &Path) {
    let pack = 256 << 10;
    for size in [
        0,
        1,
        2,
        4095,
        4096,
        4097,
        pack - 1,
        pack,
        pack + 1,
        2 * pack,
        (3 << 20) + 17,
    ] {
        write(
            &dir.join(size.to_string()),
            &random_bytes(size as u64, size),
        );
    }
    // The same contents twice, small and large.
    write(&dir.join("again/1"), &random_bytes(1, 1));
    write(
        &dir.join("again/large"),
        &random_bytes((3 << 20) + 17, (3 << 20) + 17),
    );
    // Zeros that are data, not a hole.
    write(&dir.join("zeros"), &vec![0; 300 << 10]);
}

fn modes(dir: &Path) {
    for mode in [
        0o400, 0o444, 0o600, 0o644, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o1644,
    ] {
        let path = dir.join(format!("file-{mode:04o}"));
        write(&path, format!("mode {mode:o}").as_bytes());
        set_mode(&path, mode);
    }
    if super::tools::is_root() {
        for mode in [0o000, 0o200, 0o111] {
            let path = dir.join(format!("file-{mode:04o}"));
            write(&path, b"only root reads it");
            set_mode(&path, mode);
        }
    }
    for name in ["directory-0555", "directory-1777", "directory-2755"] {
        write(&dir.join(name).join("inside"), name.as_bytes());
    }
}

fn links(dir: &Path) {
    write(&dir.join("one/file"), b"several names");
    fs::create_dir_all(dir.join("two/deeper")).unwrap();
    fs::hard_link(dir.join("one/file"), dir.join("two/deeper/file")).unwrap();
    fs::hard_link(dir.join("one/file"), dir.join("a")).unwrap();
    write(&dir.join("big"), &random_bytes(77, 400 << 10));
    fs::hard_link(dir.join("big"), dir.join("two/big")).unwrap();
    write(&dir.join("empty"), b"");
    fs::hard_link(dir.join("empty"), dir.join("two/empty")).unwrap();
    for (name, target) in [
        ("to-file", &b"one/file"[..]),
        ("to-directory", b"two"),
        ("dangling", b"no/such/thing"),
        ("outside", b"../../../../../etc/passwd"),
        ("absolute", b"/etc"),
        ("to-itself", b"to-itself"),
        ("odd", b"\xff\xfe\n -*'\"$(rm)"),
        ("long", &[b'x'; 1000]),
    ] {
        symlink(OsStr::from_bytes(target), dir.join(name)).unwrap();
    }
}

fn sparse_files(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let make = |name: &str, size: u64, data: &[(u64, usize)]| {
        let file = fs::File::create(dir.join(name)).unwrap();
        file.set_len(size).unwrap();
        for &(at, length) in data {
            file.write_all_at(&random_bytes(at, length), at).unwrap();
        }
    };
    make("hole-only", 5 << 20, &[]);
    make("small-hole-only", 64 << 10, &[]);
    make("hole-first", 4 << 20, &[((4 << 20) - 4096, 4096)]);
    make("hole-last", 4 << 20, &[(0, 8192)]);
    make(
        "hole-between",
        6 << 20,
        &[(0, 4096), (3 << 20, 300 << 10), ((6 << 20) - 10, 10)],
    );
    make(
        "small-hole-between",
        128 << 10,
        &[(0, 100), (100 << 10, 100)],
    );
    make("ends-within-a-block", (1 << 20) + 5, &[(512 << 10, 1)]);
}

fn names(dir: &Path) {
    let longest = [b'n'; 255];
    let names: [&[u8]; 14] = [
        b"\xff\xfe",
        b"new\nline",
        b"-rf",
        b"--json",
        b"!no",
        b"#comment",
        b" ",
        b"*",
        b"\\",
        b"tab\t",
        "\u{1f980}".as_bytes(),
        &longest,
        b"...",
        b"~",
    ];
    for (number, name) in names.iter().enumerate() {
        write(
            &dir.join(OsStr::from_bytes(name)),
            format!("{number}").as_bytes(),
        );
        write(
            &dir.join("as-directory")
                .join(OsStr::from_bytes(name))
                .join("x"),
            b"x",
        );
    }
}

fn times(dir: &Path) {
    fs::create_dir_all(dir.join("directory")).unwrap();
    let times = [
        (0, 0),
        (-1, 1),
        (-86_400 * 365, 999_999_999),
        (1, 999_999_999),
        (1_700_000_000, 123_456_789),
        (4_000_000_000, 5),
    ];
    for (number, (seconds, nanoseconds)) in times.into_iter().enumerate() {
        let file = dir.join(format!("file-{number}"));
        fs::File::create(&file).unwrap().write_all(b"x").unwrap();
        set_modified(&file, seconds, nanoseconds);
        let link = dir.join(format!("link-{number}"));
        symlink("directory", &link).unwrap();
        set_modified(&link, seconds, nanoseconds);
        let directory = dir.join(format!("directory-{number}"));
        fs::create_dir(&directory).unwrap();
        set_modified(&directory, seconds, nanoseconds);
    }
    set_modified(dir, -5, 5);
}
