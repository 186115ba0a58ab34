//! Parts of documents that tests generate from the code.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document of the repository with generated parts.
pub(crate) struct Document {
    path: PathBuf,
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn read(name: &str) -> Self {
        let path = root().join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self { path, text }
    }

    /// Fails unless the document is `wanted`; `LOCAL_CACHE_TESTS_UPDATE=1` writes it instead.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "the switch of a test")]
    pub(crate) fn expect(&self, wanted: &str) {
        if self.text == wanted {
            return;
        }
        if std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok() {
            fs::write(&self.path, wanted).unwrap();
        } else {
            panic!(
                "{} is not up to date: LOCAL_CACHE_TESTS_UPDATE=1 writes\n{wanted}",
                self.path.display()
            );
        }
    }
}

/// Replaces the contents of every section `<!-- NAME ARGUMENTS -->` ... `<!-- /NAME -->` by what
/// `content` makes of its arguments.
pub(crate) fn with_sections(
    text: &str,
    name: &str,
    mut content: impl FnMut(&[&str]) -> String,
) -> String {
    let (open, close) = (format!("<!-- {name} "), format!("<!-- /{name} -->"));
    let mut parts = text.split(&open);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (arguments, rest) = part.split_once("-->").unwrap();
        let (_, after) = rest.split_once(&close).unwrap();
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let content = content(&words);
        let _ = write!(
            result,
            "{open}{} -->\n{}\n{close}{after}",
            arguments.trim(),
            content.trim()
        );
    }
    result
}

#[test]
fn each_section_gets_what_its_arguments_ask_for() {
    let text = "a\n<!-- t x y -->\nold\n<!-- /t -->\nb\n<!-- t z -->\n<!-- /t -->\n<!-- u -->\n";
    let made = with_sections(text, "t", |words| words.join("+"));
    assert_eq!(
        made,
        "a\n<!-- t x y -->\nx+y\n<!-- /t -->\nb\n<!-- t z -->\nz\n<!-- /t -->\n<!-- u -->\n"
    );
}
