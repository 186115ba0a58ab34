//! Which file uses which: each path in the source is resolved to the file that defines its item.
//!
//! `use` declarations are followed through re-exports. A re-export (`pub use`) alone uses nothing,
//! nor does a `mod` line. Methods are not resolved: a file uses the type that it names, not the
//! file with the `impl` block.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::paths::Module;
use super::source::FILES;

/// For each file the files that it uses, each with one path that names something in it.
pub(super) type Imports = BTreeMap<&'static str, BTreeMap<&'static str, String>>;

pub(super) static IMPORTS: LazyLock<Imports> = LazyLock::new(|| {
    let modules = Modules::of_all_files();
    let mut imports = Imports::new();
    for file in FILES.iter() {
        let used = imports.entry(&file.path).or_default();
        for name in &file.paths {
            if let Some(defined_in) = modules.file_of(&name.module, &name.path, 0)
                && defined_in != file.path
            {
                used.entry(defined_in)
                    .or_insert_with(|| name.path.join("::"));
            }
        }
    }
    imports
});

/// The modules by their paths, each with its file.
struct Modules(BTreeMap<&'static [String], (&'static Module, &'static str)>);

impl Modules {
    fn of_all_files() -> Self {
        let modules = FILES.iter().flat_map(|file| {
            let modules = file.modules.iter();
            modules.map(|module| (module.path.as_slice(), (module, file.path.as_str())))
        });
        Self(modules.collect())
    }

    /// The file that defines what `path` means in a module, unless that is a module or foreign.
    fn file_of(&self, module: &[String], path: &[String], depth: usize) -> Option<&'static str> {
        // Imports that import each other would never end.
        if depth > 20 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => return self.file_of(&[], rest, depth + 1),
            "self" => return self.file_of(module, rest, depth + 1),
            "super" => return self.file_of(module.split_last()?.1, rest, depth + 1),
            _ => {}
        }
        let &(declared, file) = self.0.get(module)?;
        if declared.items.contains(first) {
            return Some(file);
        }
        let child = [module, &path[..1]].concat();
        if self.0.contains_key(child.as_slice()) && !rest.is_empty() {
            return self.file_of(&child, rest, depth + 1);
        }
        if let Some(import) = declared.imports.get(first)
            && import[..] != path[..1]
        {
            return self.file_of(module, &[import, rest].concat(), depth + 1);
        }
        let mut globs = declared.globs.iter();
        globs.find_map(|glob| self.file_of(module, &[glob, path].concat(), depth + 1))
    }
}
