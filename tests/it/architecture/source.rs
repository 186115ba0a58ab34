//! The source of the library, parsed once for all rules.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, Meta, Signature};

use super::paths::{Module, UsedPath, modules_of, paths_used_in};
use crate::support::repository::{below_recursively, root};

/// A source file of the library. What only tests are compiled with is not in it.
pub(super) struct SourceFile {
    /// Its path below `src`, for example `tree/scan/walk.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// The names of the types that it defines, inside of functions too.
    pub(super) types: Vec<String>,
    /// Its functions and methods with the number of their parameters, `self` included.
    pub(super) functions: Vec<(String, usize)>,
    /// Its own module and the modules written out in it.
    pub(super) modules: Vec<Module>,
    pub(super) paths: Vec<UsedPath>,
}

impl SourceFile {
    fn parse(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(root().join("src")).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let mut syntax = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("src/{path} does not parse: {error}"));
        remove_tests(&mut syntax.items);
        let module = module_path(&path);
        let mut definitions = Definitions::default();
        definitions.visit_file(&syntax);
        Self {
            modules: modules_of(&module, &syntax.items),
            paths: paths_used_in(module, &syntax),
            types: definitions.types,
            functions: definitions.functions,
            path,
            text,
        }
    }

    /// The room: the first name below `src`.
    pub(super) fn room(&self) -> &str {
        room(&self.path)
    }

    /// The text up to the module of unit tests.
    pub(super) fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod ").next().unwrap()
    }
}

/// The room of a path below `src`.
pub(super) fn room(path: &str) -> &str {
    let (room, _) = path.split_once('/').unwrap_or((path, ""));
    room.trim_end_matches(".rs")
}

/// The files of the library. The demo's project and `main.rs` are crates of their own.
pub(super) static FILES: LazyLock<Vec<SourceFile>> = LazyLock::new(|| {
    let paths = below_recursively("src", "rs");
    let library = paths.iter().filter(|path| {
        let path = path.strip_prefix(root().join("src")).unwrap();
        !path.starts_with("demo/project/") && path != Path::new("main.rs")
    });
    library.map(|path| SourceFile::parse(path)).collect()
});

/// The module of a file, without `crate`: `["tree", "scan"]` for `tree/scan/mod.rs`.
fn module_path(file: &str) -> Vec<String> {
    let names = file.trim_end_matches(".rs").trim_end_matches("/mod");
    match names {
        "lib" => Vec::new(),
        _ => names.split('/').map(str::to_owned).collect(),
    }
}

fn remove_tests(items: &mut Vec<Item>) {
    items.retain(|item| !attributes(item).iter().any(is_cfg_test));
    for item in items {
        if let Item::Mod(ItemMod {
            content: Some((_, items)),
            ..
        }) = item
        {
            remove_tests(items);
        }
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list)
        if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[derive(Default)]
struct Definitions {
    types: Vec<String>,
    functions: Vec<(String, usize)>,
}

impl Visit<'_> for Definitions {
    fn visit_item(&mut self, item: &Item) {
        let name = match item {
            Item::Enum(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        self.types.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_signature(&mut self, signature: &Signature) {
        let name = signature.ident.to_string();
        self.functions.push((name, signature.inputs.len()));
        visit::visit_signature(self, signature);
    }
}
