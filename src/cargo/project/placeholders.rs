//! Placeholders for directories whose paths differ between machines and checkouts.
//!
//! `RUSTC_WRAPPER=/home/runner/.cargo/bin/sccache` must give the same key for another home
//! directory.

use std::path::Path;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placeholders {
    /// Directory and placeholder. The longest directory comes first, so that a nested directory
    /// gets its own placeholder.
    names: Vec<(String, &'static str)>,
}

impl Placeholders {
    pub(crate) fn new(dirs: &[(&Path, &'static str)]) -> Self {
        let mut names: Vec<_> = dirs
            .iter()
            // If the home directory is `/` or unknown, every path would match it.
            .filter(|(path, _)| path.is_absolute() && path.file_name().is_some())
            .filter_map(|(path, name)| {
                Some((path.to_str()?.trim_end_matches('/').to_owned(), *name))
            })
            .collect();
        names.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self { names }
    }

    pub(crate) fn replace_in(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('/') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let can_start = path_may_start_after(&out);
            let found = self
                .names
                .iter()
                .find(|(path, _)| can_start && starts_with_path(rest, path));
            let (name, length) = found.map_or(("/", 1), |(path, name)| (*name, path.len()));
            out.push_str(name);
            rest = &rest[length..];
        }
        out + rest
    }
}

/// Whether a path can start after `text`. It may follow an option such as `-L` without a space.
fn path_may_start_after(text: &str) -> bool {
    let mut back = text.chars().rev();
    match (back.next(), back.next(), back.next()) {
        (Some(letter), Some('-'), before) if letter.is_ascii_alphabetic() => {
            before.is_none_or(|c| !is_in_name(c))
        }
        (Some(before), ..) => !is_in_name(before),
        (None, ..) => true,
    }
}

/// Whether `text` starts with the path itself and not with a longer name.
fn starts_with_path(text: &str, path: &str) -> bool {
    text.strip_prefix(path)
        .is_some_and(|after| after.chars().next().is_none_or(|next| !is_in_name(next)))
}

fn is_in_name(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.~}".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_replaced_only_at_the_start_of_a_path() {
        let dirs = Placeholders::new(&[
            (Path::new("/home/u"), "~"),
            (Path::new("/home/u/work/app"), "{checkout}"),
            (Path::new("/home/u/.cargo/"), "{cargo-home}"),
        ]);
        for (text, named) in [
            ("/home/u/.cargo/bin/sccache", "{cargo-home}/bin/sccache"),
            ("-L/home/u/lib", "-L~/lib"),
            ("a-L/home/u/lib", "a-L/home/u/lib"),
            (
                "--remap-path-prefix=/home/u/work/app=/app",
                "--remap-path-prefix={checkout}=/app",
            ),
            ("/home/u/work/app2", "~/work/app2"),
            ("/home/u2/x", "/home/u2/x"),
            ("/mnt/home/u/x", "/mnt/home/u/x"),
            ("a:/home/u:/home/u/", "a:~:~/"),
            ("no path", "no path"),
        ] {
            assert_eq!(dirs.replace_in(text), named, "{text}");
        }
    }

    #[test]
    fn a_root_or_unknown_home_replaces_nothing() {
        let dirs = Placeholders::new(&[(Path::new("/"), "~"), (Path::new(""), "~")]);
        assert_eq!(dirs.replace_in("/a/b"), "/a/b");
    }
}
