//! Random workspaces.
//!
//! Every text has a number after `~` that edits change. Programs and tests print all that their
//! packages read.

use std::fmt::Write as _;

use super::scripts::Script;
use crate::cargo::fresh::support::Files;
use crate::support::rng::Rng;

/// The checkout, relative to the place of jobs.
pub(super) const CHECKOUT: &str = "repo/repo";

pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the place of jobs.
    pub(super) directory: String,
    pub(super) depends_on: Vec<usize>,
    pub(super) script: Option<Script>,
    /// Whether it uses the macros of the package `mac`.
    pub(super) uses_macro: bool,
}

pub(super) struct World {
    pub(super) files: Files,
    pub(super) packages: Vec<Package>,
    pub(super) uses_git: bool,
    /// Whether the target directory is beside the checkout, through `CARGO_TARGET_DIR`.
    pub(super) is_target_elsewhere: bool,
    pub(super) is_incremental: bool,
}

const MACRO: &str = r#"use proc_macro::TokenStream;
fn root() -> String { std::env::var("CARGO_MANIFEST_DIR").unwrap() }
fn literal(text: &str) -> TokenStream { format!("{:?}", format!("macro~10 {text}")).parse().unwrap() }
#[proc_macro]
pub fn assets(_: TokenStream) -> TokenStream {
    let mut all: Vec<_> = std::fs::read_dir(root() + "/assets").unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    let text: String = all.iter().map(|p| format!("{:?}={:?};", p.file_name().unwrap(), std::fs::read_to_string(p).unwrap())).collect();
    literal(&text)
}
#[proc_macro]
pub fn conf(_: TokenStream) -> TokenStream {
    literal(&std::fs::read_to_string(root() + "/conf.txt").unwrap_or_default())
}
"#;

/// Ways in which a library reads more than its own file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Module,
    ModuleByPath,
    ModuleByLink,
    Include,
    IncludeByAbsolutePath,
    IncludeGenerated,
    MacroReadsDirectory,
    MacroReadsFile,
}

use Source::{
    Include, IncludeByAbsolutePath, IncludeGenerated, MacroReadsDirectory, MacroReadsFile, Module,
    ModuleByLink, ModuleByPath,
};

/// Whether the links of a package, by any path in it, lead into the package `p0`.
fn leads_to_p0(path: &str) -> bool {
    ["p1", "p3"]
        .iter()
        .any(|name| path.starts_with(&format!("{CHECKOUT}/{name}")))
}

/// One of the targets of a link in the sources of a package.
pub(super) fn first_target(link: &str) -> &'static str {
    if leads_to_p0(link) {
        "../../p0/linked/module.rs"
    } else {
        "one.rs"
    }
}

/// The directory of the checkout in which steps generate files that git ignores.
pub(super) const GENERATED: &str = "repo/repo/gen/made.txt";

impl World {
    /// A workspace; `with_hidden` says whether builds have inputs that cargo does not know.
    pub(super) fn any(rng: &mut Rng, with_hidden: bool) -> Self {
        let mut world = Self {
            files: Files::default(),
            packages: Vec::new(),
            uses_git: rng.percent(60),
            is_target_elsewhere: rng.percent(20),
            is_incremental: rng.percent(50),
        };
        let count = 1 + rng.below(4);
        let directories: Vec<String> = (0..count)
            .map(|number| {
                let is_inside = number == 0 || rng.percent(75);
                let parent = if is_inside { CHECKOUT } else { "outside" };
                format!("{parent}/p{number}")
            })
            .collect();
        let mut patched = String::new();
        for number in 0..count {
            world.add_package(rng, number, &directories, with_hidden);
            if directories[number].starts_with("outside") {
                writeln!(
                    patched,
                    "p{number} = {{ path = \"../../outside/p{number}\" }}"
                )
                .unwrap();
            }
        }
        let names = world.packages.iter();
        let members: Vec<&str> = names
            .filter_map(|package| package.directory.strip_prefix("repo/repo/"))
            .collect();
        // A patch that nothing uses is only a warning.
        let root = format!(
            "[workspace]\nresolver = \"2\"\nmembers = {members:?}\n[patch.crates-io]\n{patched}"
        );
        let files = &mut world.files;
        files.set("repo/repo/Cargo.toml", root);
        files.set("repo/repo/.gitignore", "target\ngenerated.rs\n/made\n/gen");
        files.set("repo/repo/README.md", "read me ~10");
        files.set("repo/repo/common/absolute.txt", "absolute ~10");
        files.set("repo/repo/common/outside.txt", "outside ~10");
        files.set(
            "repo/repo/p0/linked/module.rs",
            "pub const V: &str = \"linked~10\";",
        );
        files.set(
            "repo/repo/shared/module.rs",
            "pub const V: &str = \"shared~10\";",
        );
        world
    }

    fn add_package(
        &mut self,
        rng: &mut Rng,
        number: usize,
        directories: &[String],
        with_hidden: bool,
    ) {
        let directory = directories[number].clone();
        let is_inside = directory.starts_with(CHECKOUT);
        // A package outside of the checkout depends on none that may be inside.
        let depends_on = (number + 1..directories.len())
            .filter(|_| is_inside && rng.percent(60))
            .collect();
        let script = rng
            .percent(65)
            .then(|| Script::any(rng, is_inside, self.uses_git, with_hidden));
        let mut package = Package {
            name: format!("p{number}"),
            directory,
            depends_on,
            script,
            uses_macro: false,
        };
        package.uses_macro = self.add_library(rng, &package, with_hidden);
        self.add_manifest(rng, &package, directories);
        self.add_programs(rng, &package);
        self.packages.push(package);
    }

    /// Adds the library of a package; returns whether it uses macros.
    fn add_library(&mut self, rng: &mut Rng, package: &Package, with_hidden: bool) -> bool {
        let is_inside = package.directory.starts_with(CHECKOUT);
        let mut kinds = vec![Module, ModuleByLink, Include];
        if is_inside {
            kinds.extend([ModuleByPath, IncludeByAbsolutePath, IncludeGenerated]);
            if with_hidden {
                kinds.extend([MacroReadsDirectory, MacroReadsFile]);
            }
        }
        let mut chosen: Vec<Source> = Vec::new();
        for _ in 0..rng.below(3) {
            let kind = *rng.pick(&kinds);
            if !chosen.contains(&kind) {
                chosen.push(kind);
            }
        }
        let (mut declared, mut used) = (String::new(), Vec::new());
        for kind in &chosen {
            let (more, expression) = self.add_source(*kind, &package.directory);
            declared.push_str(more);
            used.push(expression.to_owned());
        }
        if let Some(script) = package.script {
            let (more, expressions) =
                script.add(&mut self.files, &package.directory, &package.name);
            declared.push_str(&more);
            used.extend(expressions);
        }
        let mut pushes = String::new();
        for expression in &used {
            writeln!(pushes, "    all.push({expression}.to_string());").unwrap();
        }
        for other in &package.depends_on {
            writeln!(pushes, "    all.push(p{other}::text());").unwrap();
        }
        let library = format!(
            "{declared}pub fn text() -> String {{\n    let mut all = vec![String::from(\"{}~10\")];\n    \
             if cfg!(feature = \"extra\") {{ all.push(String::from(\"extra~10\")); }}\n{pushes}    all.join(\" \")\n}}\n",
            package.name
        );
        self.files
            .set(&format!("{}/src/lib.rs", package.directory), library);
        let macros = [MacroReadsDirectory, MacroReadsFile];
        chosen.iter().any(|it| macros.contains(it))
    }

    fn add_manifest(&mut self, rng: &mut Rng, package: &Package, directories: &[String]) {
        let mut more = String::from("[features]\nextra = []\n[dependencies]\n");
        for other in &package.depends_on {
            let directory = &directories[*other];
            let is_inside = directory.starts_with(CHECKOUT);
            let source = if is_inside {
                format!("{{ path = \"../p{other}\" }}")
            } else if rng.percent(50) {
                format!("{{ path = \"../../../{directory}\" }}")
            } else {
                "\"0.1\"".to_owned()
            };
            writeln!(more, "p{other} = {source}").unwrap();
        }
        if package.uses_macro {
            more.push_str("mac = { path = \"../mac\" }\n");
        }
        let files = std::mem::take(&mut self.files);
        self.files = files.with_package(&package.directory, &package.name, &more);
    }

    fn add_source(&mut self, kind: Source, directory: &str) -> (&'static str, &'static str) {
        let path = |name: &str| format!("{directory}/{name}");
        let files = &mut self.files;
        match kind {
            Module => {
                files.set(&path("src/part.rs"), "pub const V: &str = \"part~10\";");
                ("mod part;\n", "part::V")
            }
            ModuleByPath => (
                "#[path = \"../../shared/module.rs\"]\nmod shared;\n",
                "shared::V",
            ),
            ModuleByLink => {
                files.set(&path("src/one.rs"), "pub const V: &str = \"one~10\";");
                files.set(&path("src/two.rs"), "pub const V: &str = \"two~10\";");
                let link = path("src/current.rs");
                let linked = std::mem::take(files).with_link(&link, first_target(&link));
                *files = linked;
                ("mod current;\n", "current::V")
            }
            Include => {
                files.set(&path("data/included.txt"), "included ~10");
                ("", "include_str!(\"../data/included.txt\").trim()")
            }
            IncludeByAbsolutePath => (
                "",
                "include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../common/absolute.txt\")).trim()",
            ),
            IncludeGenerated => ("", "include_str!(\"../../gen/made.txt\").trim()"),
            MacroReadsDirectory => {
                self.add_macro();
                let assets = if leads_to_p0(directory) {
                    let files = std::mem::take(&mut self.files);
                    self.files = files.with_link(&path("assets"), "../p0/linked/assets");
                    "repo/repo/p0/linked/assets".to_owned()
                } else {
                    path("assets")
                };
                self.files.set(&format!("{assets}/a.txt"), "asset a ~10");
                self.files.set(&format!("{assets}/b.txt"), "asset b ~10");
                ("", "mac::assets!()")
            }
            MacroReadsFile => {
                self.add_macro();
                self.files.set(&path("conf.txt"), "conf ~10");
                ("", "mac::conf!()")
            }
        }
    }

    fn add_macro(&mut self) {
        let files = std::mem::take(&mut self.files);
        self.files = files
            .with_package("repo/repo/mac", "mac", "[lib]\nproc-macro = true")
            .with("repo/repo/mac/src/lib.rs", MACRO);
    }

    fn add_programs(&mut self, rng: &mut Rng, package: &Package) {
        let (name, directory) = (&package.name, &package.directory);
        let prints = |what: &str| format!("println!(\"{what}~10 {{}}\", {name}::text());");
        let program = |what: &str| format!("fn main() {{ {} }}", prints(what));
        let path = |file: &str| format!("{directory}/{file}");
        let has_main = package.name == "p0" || rng.percent(30);
        if has_main {
            self.files.set(&path("src/main.rs"), program("main"));
        }
        if rng.percent(25) {
            self.files
                .set(&path(&format!("src/bin/{name}_tool.rs")), program("tool"));
        }
        if rng.percent(25) {
            self.files.set(
                &path(&format!("examples/{name}_example.rs")),
                program("example"),
            );
        }
        if rng.percent(30) {
            let run = if has_main {
                format!(
                    "println!(\"{{:?}}\", std::process::Command::new(env!(\"CARGO_BIN_EXE_{name}\")).output());"
                )
            } else {
                String::new()
            };
            let test = format!("#[test]\nfn it() {{ {} {run} }}", prints("test"));
            self.files.set(&path("tests/it.rs"), test);
        }
    }
}
