//! The HTML page in headless Chromium, which reports no error and takes screenshots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::filled;
use crate::support::tools::{is_root, skip};

/// Chromium, by either of its names.
fn chromium() -> Option<&'static str> {
    let known = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = known.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skip("chromium", "the page in a browser");
    }
    found
}

/// Takes a screenshot of a page; returns its path and the browser's output.
fn screenshot(
    program: &str,
    dir: &Path,
    page: &Path,
    name: &str,
    size: (u32, u32),
    dark: bool,
) -> (PathBuf, String) {
    let file = dir.join(name);
    let profile = dir.join(format!("profile-{name}"));
    let mut command = Command::new(program);
    command.args([
        "--headless=new",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ]);
    // The page's console is printed on standard error.
    command.args(["--enable-logging=stderr", "--v=0"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command
        .arg(format!("--window-size={},{}", size.0, size.1))
        .arg(format!("--screenshot={}", file.display()));
    if dark {
        command
            .arg("--force-dark-mode")
            .arg("--blink-settings=preferredColorScheme=0");
    } else {
        command.arg("--blink-settings=preferredColorScheme=1");
    }
    if is_root() {
        command.arg("--no-sandbox");
    }
    command
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null());
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    (file, said)
}

fn dimensions(png: &Path) -> (u32, u32) {
    let bytes = fs::read(png).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| {
        bytes[at..at + 4]
            .iter()
            .fold(0, |sum, byte| sum * 256 + u32::from(*byte))
    };
    (number(16), number(20))
}

#[test]
fn chromium_loads_the_page_without_errors_in_light_and_dark_and_on_a_phone() {
    let Some(program) = chromium() else { return };
    let sandbox = filled();
    let job = sandbox.job("job");
    let page = sandbox.path("page.html");
    sandbox
        .run(&job, &["report", "--html", &page.display().to_string()])
        .succeeded();
    // Kept so that a person can look at it.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).unwrap();
    let mut pictures = Vec::new();
    for (name, size, dark) in [
        ("light.png", (1200, 1900), false),
        ("dark.png", (1200, 1900), true),
        ("phone.png", (500, 2600), false),
    ] {
        let (file, said) = screenshot(program, &dir, &page, name, size, dark);
        let complaint = said
            .lines()
            .find(|line| line.contains("CONSOLE") || line.contains("Refused to"));
        assert_eq!(complaint, None, "{name}");
        assert_eq!(dimensions(&file), size);
        pictures.push(fs::read(file).unwrap());
    }
    assert!(
        pictures.iter().all(|bytes| bytes.len() > 30_000),
        "a page with charts is no empty picture"
    );
    assert!(pictures[0] != pictures[1], "dark looks like light");
}
