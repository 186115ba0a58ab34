//! Random changes of a tree, as commits and steps make them.

use super::world::first_target;
use crate::cargo::fresh::support::Files;
use crate::cargo::fresh::support::files::Node;
use crate::support::rng::Rng;

/// New contents of some paths, or none of paths that go; and what it is in words.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) what: String,
    pub(super) nodes: Vec<(String, Option<Node>)>,
}

/// Directories whose files builds list.
const LISTED: [&str; 3] = ["/assets/", "/files/", "/watched/"];
/// Names of inputs that cargo does not know.
const HIDDEN: [&str; 4] = [
    "/assets/",
    "/conf.txt",
    "/hidden.txt",
    "/common/outside.txt",
];

/// Files that links lead to.
const LINKED: [&str; 3] = ["/src/one.rs", "/src/two.rs", "/linked/"];

const BROKEN: &str = "compile_error!(\"broken\");\n";

impl Change {
    /// A change of a tree.
    pub(super) fn any(rng: &mut Rng, files: &Files) -> Self {
        // Most broken builds are repaired at once, so that later jobs have outputs to compare.
        if let Some(path) = broken(files).filter(|_| rng.percent(80)) {
            return repaired(files, path);
        }
        let change = match rng.below(100) {
            0..50 => edit(rng, files),
            50..60 => swap(rng, files),
            60..70 => add(rng, files),
            70..78 => remove(rng, files),
            78..84 => rename(rng, files),
            84..92 => retarget(rng, files),
            92..96 => Some(break_library(rng, files)),
            _ => None,
        };
        change.unwrap_or_else(|| edit(rng, files).expect("a file with a number"))
    }

    /// All differences of a tree from another one.
    pub(super) fn between(from: &Files, to: &Files, what: &str) -> Self {
        let gone = from.0.keys().filter(|path| !to.0.contains_key(*path));
        let mut nodes: Vec<_> = gone.map(|path| (path.clone(), None)).collect();
        let new =
            to.0.iter()
                .filter(|(path, node)| from.0.get(*path) != Some(node));
        nodes.extend(new.map(|(path, node)| (path.clone(), Some(node.clone()))));
        Self {
            what: what.to_owned(),
            nodes,
        }
    }

    pub(super) fn apply(&self, files: &mut Files) {
        for (path, node) in &self.nodes {
            match node {
                Some(node) => drop(files.0.insert(path.clone(), node.clone())),
                None => drop(files.0.remove(path)),
            }
        }
    }

    /// Whether cargo can miss the change although its times are those of now: an input that it
    /// does not know, a link, or a file that is gone.
    pub(super) fn is_hidden_from_cargo(&self) -> bool {
        self.nodes.iter().any(|(path, node)| {
            !matches!(node, Some(Node::Text(_))) || HIDDEN.iter().any(|it| path.contains(it))
        })
    }
}

fn texts(files: &Files) -> Vec<(&String, &String)> {
    let texts = files.0.iter().filter_map(|(path, node)| match node {
        Node::Text(text) => Some((path, text)),
        Node::Link(_) => None,
    });
    texts.collect()
}

/// Another number in a file, of as many digits.
fn edit(rng: &mut Rng, files: &Files) -> Option<Change> {
    let texts: Vec<_> = texts(files)
        .into_iter()
        .filter(|(_, text)| text.contains('~'))
        .collect();
    if texts.is_empty() {
        return None;
    }
    let (mut path, mut text) = *rng.pick(&texts);
    let number = 10 + rng.below(90);
    // Few files are read through links, and each way to read one should be changed often. The
    // number decides: another random one would change what the kept seeds stand for.
    let linked: Vec<_> = texts
        .iter()
        .filter(|(path, _)| LINKED.iter().any(|it| path.contains(it)))
        .collect();
    if number < 40 && !linked.is_empty() {
        (path, text) = *linked[number % linked.len()];
    }
    let at = text.find('~').unwrap() + 1;
    let text = format!("{}{number}{}", &text[..at], &text[at + 2..]);
    Some(Change {
        what: format!("edit {path} to {number}"),
        nodes: vec![(path.clone(), Some(Node::Text(text)))],
    })
}

fn is_data(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "txt")
}

fn swap(rng: &mut Rng, files: &Files) -> Option<Change> {
    let texts: Vec<_> = texts(files)
        .into_iter()
        .filter(|(path, _)| is_data(path))
        .collect();
    if texts.len() < 2 {
        return None;
    }
    let (one, other) = (*rng.pick(&texts), *rng.pick(&texts));
    Some(Change {
        what: format!("swap {} and {}", one.0, other.0),
        nodes: vec![
            (one.0.clone(), Some(Node::Text(other.1.clone()))),
            (other.0.clone(), Some(Node::Text(one.1.clone()))),
        ],
    })
}

/// A new file in a directory that builds list, a file that a build script waits for, a program.
fn add(rng: &mut Rng, files: &Files) -> Option<Change> {
    let number = rng.below(4);
    let mut paths: Vec<(String, String)> = Vec::new();
    for (path, text) in texts(files) {
        for listed in LISTED {
            if let Some((package, _)) = path.split_once(listed) {
                let name = format!("{package}{listed}new{number}.txt");
                paths.push((name, format!("new ~{}\n", 10 + number)));
            }
        }
        if let Some(package) = path
            .strip_suffix("/build.rs")
            .filter(|_| text.contains("maybe.txt"))
        {
            paths.push((format!("{package}/maybe.txt"), "maybe ~10\n".to_owned()));
        }
        if let Some(package) = path.strip_suffix("/src/main.rs") {
            let program = format!("fn main() {{ println!(\"extra~1{number}\") }}\n");
            // Programs of one name would overwrite each other.
            let (_, name) = package.rsplit_once('/').unwrap();
            let path = format!("{package}/src/bin/{name}_extra{number}.rs");
            paths.push((path, program));
        }
    }
    if paths.is_empty() {
        return None;
    }
    let (path, text) = rng.pick(&paths).clone();
    Some(Change {
        what: format!("add {path}"),
        nodes: vec![(path, Some(Node::Text(text)))],
    })
}

/// Files without which builds succeed.
fn removable(files: &Files) -> Vec<(&String, &String)> {
    let is_removable = |path: &str| {
        LISTED
            .iter()
            .any(|listed| path.contains(listed) && !path.ends_with("/a.txt"))
            || path.ends_with("/maybe.txt")
            || path.contains("/src/bin/")
    };
    let mut found = texts(files);
    found.retain(|(path, _)| is_removable(path));
    found
}

fn remove(rng: &mut Rng, files: &Files) -> Option<Change> {
    let removable = removable(files);
    (!removable.is_empty()).then(|| {
        let (path, _) = *rng.pick(&removable);
        Change {
            what: format!("remove {path}"),
            nodes: vec![(path.clone(), None)],
        }
    })
}

fn rename(rng: &mut Rng, files: &Files) -> Option<Change> {
    let mut named = removable(files);
    named.retain(|(path, _)| is_data(path) && !path.ends_with("/maybe.txt"));
    (!named.is_empty()).then(|| {
        let (path, text) = *rng.pick(&named);
        let (directory, _) = path.rsplit_once('/').unwrap();
        let new = format!("{directory}/renamed{}.txt", rng.below(3));
        Change {
            what: format!("rename {path} to {new}"),
            nodes: vec![(path.clone(), None), (new, Some(Node::Text(text.clone())))],
        }
    })
}

/// Another target of a link, or a file in its place, or a link in place of the file.
fn retarget(rng: &mut Rng, files: &Files) -> Option<Change> {
    let paths = files.0.keys().filter(|path| path.ends_with("/current.rs"));
    let paths: Vec<&String> = paths.collect();
    if paths.is_empty() {
        return None;
    }
    let path = *rng.pick(&paths);
    let node = match rng.below(3) {
        0 => Node::Link(first_target(path).to_owned()),
        1 => Node::Link("two.rs".to_owned()),
        _ => Node::Text("pub const V: &str = \"own~10\";\n".to_owned()),
    };
    Some(Change {
        what: format!("make {path} {node:?}"),
        nodes: vec![(path.clone(), Some(node))],
    })
}

fn broken(files: &Files) -> Option<&String> {
    let mut texts = texts(files).into_iter();
    texts
        .find(|(_, text)| text.ends_with(BROKEN))
        .map(|(path, _)| path)
}

fn break_library(rng: &mut Rng, files: &Files) -> Change {
    let mut libraries = texts(files);
    libraries.retain(|(path, text)| path.ends_with("/lib.rs") && !text.ends_with(BROKEN));
    let (path, text) = *rng.pick(&libraries);
    Change {
        what: format!("break {path}"),
        nodes: vec![(path.clone(), Some(Node::Text(format!("{text}{BROKEN}"))))],
    }
}

fn repaired(files: &Files, path: &str) -> Change {
    let Node::Text(text) = &files.0[path] else {
        unreachable!("a library is a file")
    };
    let text = text.strip_suffix(BROKEN).unwrap().to_owned();
    Change {
        what: format!("repair {path}"),
        nodes: vec![(path.to_owned(), Some(Node::Text(text)))],
    }
}
