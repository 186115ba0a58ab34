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
            let starts = path_may_begin_after(&out);
            let place = self
                .names
                .iter()
                .find(|(path, _)| starts && begins_with(rest, path));
            let (name, length) = place.map_or(("/", 1), |(path, name)| (*name, path.len()));
            out.push_str(name);
            rest = &rest[length..];
        }
        out + rest
    }
}

/// Whether a path can start after `text`. Options such as `-L` may stand directly before a path.
fn path_may_begin_after(text: &str) -> bool {
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
fn begins_with(text: &str, path: &str) -> bool {
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
    fn directories_get_names_where_a_whole_path_begins() {
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
    fn a_root_or_unknown_home_names_nothing() {
        let dirs = Placeholders::new(&[(Path::new("/"), "~"), (Path::new(""), "~")]);
        assert_eq!(dirs.replace_in("/a/b"), "/a/b");
    }
}
