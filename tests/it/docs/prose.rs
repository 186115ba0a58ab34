//! Phrases that this project does not use, because each has a plainer or a more exact word.
//!
//! The rules are in CONTRIBUTING.md under "Language".

use std::fs;
use std::path::Path;

use crate::support::repository::{all_files, root};

/// A phrase and what to write instead; `…` stands for one to four words.
const PHRASES: [(&str, &str); 59] = [
    // Words that nobody says any more.
    ("anew", "again"),
    ("for want of", "without, too little"),
    ("henceforth", "from now on"),
    ("hitherto", "until now"),
    ("lest", "so that ... not"),
    ("mend", "repair, fix"),
    ("mended", "repaired, fixed"),
    ("mends", "repairs, fixes"),
    ("thereby", "so, by this"),
    ("therein", "in it"),
    ("thereof", "of it"),
    ("whereby", "by which"),
    ("whoever", "anyone who, the user who"),
    // Sentences without a subject or with it at the end.
    ("so are those", "name the subject: \"... too\""),
    ("so is that", "name the subject: \"... too\""),
    ("where none is", "name what is missing"),
    ("where there is none", "if there is none"),
    ("where there is nothing", "if there is nothing"),
    ("none where", "none if"),
    ("which is where", "then, there; or name the place"),
    // Who says it, and where?
    ("are said", "are reported, are logged"),
    ("is said", "is reported, is logged"),
    ("can't be told", "is unknown"),
    // Riddles: name the thing.
    ("what came of", "the result of"),
    ("what comes of", "the result of"),
    ("what is not there", "missing files"),
    ("what is there", "existing files, the contents"),
    // The field has its own word, and this project uses only that one.
    ("begun", "start, started"),
    ("call off", "cancel"),
    ("called off", "cancelled"),
    ("calls off", "cancels"),
    ("far side", "worker"),
    ("near side", "client"),
    ("gave back", "restored, replayed, freed"),
    ("gave … back", "restored, replayed, freed"),
    ("get back", "are restored, are replayed"),
    ("gets … back", "is restored, is replayed"),
    ("give back", "restore, replay, free"),
    ("give … back", "restore, replay, free"),
    ("given back", "restored, replayed, freed"),
    ("given … back", "restored, replayed, freed"),
    ("gives back", "restores, replays, frees"),
    ("gives … back", "restores, replays, frees"),
    ("giving back", "restoring, replaying, freeing"),
    ("giving … back", "restoring, replaying, freeing"),
    ("going on beside", "continuing without"),
    ("leave out", "exclude, skip"),
    ("leave … out", "exclude, skip, omit"),
    ("leaves out", "excludes, skips"),
    ("leaves … out", "excludes, skips, omits"),
    ("leaving out", "excluding, skipping"),
    ("left out", "excluded, skipped"),
    ("patience", "timeout"),
    ("set aside", "quarantined"),
    ("set … aside", "quarantine"),
    ("sets aside", "quarantines"),
    ("sets … aside", "quarantines"),
    // Words that a replacement in all files put into the wrong sentences.
    ("is options", "name the verb"),
    ("was request", "was requested"),
];

/// Files that quote the phrases.
const QUOTES: [&str; 1] = ["tests/it/docs/prose.rs"];

/// Values that keys have a digest of: another word would change the keys.
const STORED: [(&str, &str); 1] = [("src/cargo/key/mod.rs", "left out")];

/// The words of a text on one line, each after one blank, and where its lines begin in it.
fn joined(text: &str) -> (String, Vec<usize>) {
    let mut words = String::new();
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(words.len());
        let line = line.trim_start().trim_start_matches(['/', '#', '!', '|']);
        for word in line.split_whitespace() {
            words.push(' ');
            words.push_str(&word.to_ascii_lowercase());
        }
    }
    (words, starts)
}

/// Where a phrase stands in a text as words of its own, by lines.
fn lines_with(phrase: &str, words: &str, starts: &[usize]) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (first, last) = phrase.split_once(" … ").unwrap_or((phrase, ""));
    let found = words.match_indices(first).filter(|(at, _)| {
        let rest = &words[at + first.len()..];
        let mut ends = rest.split(' ').skip(2).take(4);
        !words[..*at].ends_with(is_word)
            && !rest.starts_with(is_word)
            && (last.is_empty() || ends.any(|word| word.trim_end_matches(|c| !is_word(c)) == last))
    });
    found
        .map(|(at, _)| starts.partition_point(|start| *start <= at))
        .collect()
}

#[test]
fn a_phrase_is_found_across_lines_and_only_as_whole_words() {
    let (words, starts) = joined("/// What\n/// is\n/// there, called\n/// off by_lest.\nlest\n");
    assert_eq!(lines_with("what is there", &words, &starts), [1]);
    assert_eq!(lines_with("called off", &words, &starts), [3]);
    assert_eq!(lines_with("lest", &words, &starts), [5]);
    let (words, starts) = joined("\nIt sets the damaged\nentries aside; set aside\n");
    assert_eq!(lines_with("sets … aside", &words, &starts), [2]);
    assert!(lines_with("set … aside", &words, &starts).is_empty());
}

#[test]
fn texts_use_none_of_the_phrases() {
    let mut found = Vec::new();
    for path in all_files() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if QUOTES.contains(&name) || is_foreign(Path::new(name)) {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let (words, starts) = joined(&text);
        for (phrase, instead) in PHRASES {
            if STORED.contains(&(name, phrase)) {
                continue;
            }
            for line in lines_with(phrase, &words, &starts) {
                found.push(format!("{name}:{line}: \"{phrase}\": write {instead}"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "see \"Language\" in CONTRIBUTING.md\n{}",
        found.join("\n")
    );
}

#[test]
fn lines_of_documents_fit_into_120_columns() {
    // These cannot be broken.
    let is_whole = |line: &str| line.starts_with(['|', '<', '!']);
    let mut long = Vec::new();
    for path in all_files() {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let mut is_code = false;
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            if !is_code && !is_whole(line) && line.chars().count() > 120 {
                long.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Texts of others, recorded data and generated files.
fn is_foreign(name: &Path) -> bool {
    let foreign = ["Cargo.lock", "LICENSE", "tests/data", "src/demo/project"];
    foreign.iter().any(|foreign| name.starts_with(foreign))
}
