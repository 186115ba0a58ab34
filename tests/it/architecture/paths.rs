//! What a file declares, imports and names, as its syntax tree says.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// What a module declares.
#[derive(Default)]
pub(super) struct Module {
    pub(super) path: Vec<String>,
    /// The items it defines, modules apart.
    pub(super) items: BTreeSet<String>,
    /// The names it imports, with their paths.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// The paths of its `use path::*`.
    pub(super) globs: Vec<Vec<String>>,
}

/// A path and the module in which it stands.
pub(super) struct UsedPath {
    pub(super) module: Vec<String>,
    pub(super) path: Vec<String>,
}

/// A module with the modules written out in it.
pub(super) fn modules_of(path: &[String], items: &[Item]) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut module = Module {
        path: path.to_vec(),
        ..Module::default()
    };
    for item in items {
        match item {
            Item::Mod(ItemMod { ident, content, .. }) => {
                if let Some((_, items)) = content {
                    modules.extend(modules_of(&[path, &[ident.to_string()]].concat(), items));
                }
            }
            _ => module.items.extend(defined_name(item)),
        }
    }
    // Imports inside of functions count as imports of the module.
    let mut uses = Uses(&mut module);
    for item in items {
        uses.visit_item(item);
    }
    modules.push(module);
    modules
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Enters the `use` declarations of an item into its module.
struct Uses<'m>(&'m mut Module);

impl Visit<'_> for Uses<'_> {
    fn visit_item_mod(&mut self, _: &ItemMod) {}

    fn visit_item_use(&mut self, item: &ItemUse) {
        for leaf in leaves(&item.tree) {
            match leaf.name {
                Some(name) => drop(self.0.imports.insert(name, leaf.path)),
                None => self.0.globs.push(leaf.path),
            }
        }
    }
}

/// One import of a `use` declaration.
struct Leaf {
    path: Vec<String>,
    /// The name that it gets; none for `*`.
    name: Option<String>,
}

fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let leaf = |path: Vec<String>, name: String| {
        vec![Leaf {
            path,
            name: Some(name),
        }]
    };
    match tree {
        UseTree::Name(name) => leaf(vec![name.ident.to_string()], name.ident.to_string()),
        UseTree::Rename(rename) => leaf(vec![rename.ident.to_string()], rename.rename.to_string()),
        UseTree::Glob(_) => vec![Leaf {
            path: Vec::new(),
            name: None,
        }],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Path(path) => {
            let mut leaves = leaves(&path.tree);
            for leaf in &mut leaves {
                // `use a::b::{self, c}`: `self` is `b`.
                if leaf.path == ["self"] {
                    leaf.path.clear();
                    if leaf.name.as_deref() == Some("self") {
                        leaf.name = Some(path.ident.to_string());
                    }
                }
                leaf.path.insert(0, path.ident.to_string());
            }
            leaves
        }
    }
}

/// All paths that a file uses.
pub(super) fn paths_used_in(module: Vec<String>, file: &syn::File) -> Vec<UsedPath> {
    let mut used = UsedPaths {
        module,
        paths: Vec::new(),
    };
    used.visit_file(file);
    used.paths
}

struct UsedPaths {
    module: Vec<String>,
    paths: Vec<UsedPath>,
}

impl UsedPaths {
    fn push(&mut self, path: Vec<String>) {
        self.paths.push(UsedPath {
            module: self.module.clone(),
            path,
        });
    }

    /// Paths in tokens that are not parsed: arguments of macros, and texts in attributes.
    fn push_tokens(&mut self, tokens: &str) {
        let tokens = tokens.replace(" :: ", "::");
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
        for word in tokens.split(|c: char| !is_part(c)) {
            let parts: Vec<String> = word.split("::").map(str::to_owned).collect();
            if parts
                .iter()
                .all(|part| !part.is_empty() && !part.contains(':'))
            {
                self.push(parts);
            }
        }
    }
}

impl Visit<'_> for UsedPaths {
    fn visit_item_mod(&mut self, item: &ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            for leaf in leaves(&item.tree) {
                self.push(leaf.path);
            }
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.push(segments.map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &Macro) {
        self.push_tokens(&without_texts(&call.tokens.to_string()));
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        if let Meta::List(list) = &attribute.meta
            && list.path.is_ident("serde")
        {
            self.push_tokens(&list.tokens.to_string());
        }
    }
}

/// Tokens without the contents of their string literals.
fn without_texts(tokens: &str) -> String {
    let mut code = String::new();
    let mut is_text = false;
    let tokens = tokens.replace("'\"'", "");
    let mut characters = tokens.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_text = !is_text,
            '\\' if is_text => drop(characters.next()),
            _ if !is_text => code.push(character),
            _ => {}
        }
    }
    code
}
