//! The messages of a source file.
//!
//! A text counts as a message in `#[error("...")]`, among the arguments of a call in [`MESSAGE_CALLS`], and in
//! a function or a `Display` in [`MESSAGE_TEXTS`]. Each argument of a format becomes `…`.

use std::collections::BTreeMap;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Lit, LitStr, Token};

/// Functions, methods and variants that take a message.
pub(super) const MESSAGE_CALLS: [&str; 14] = [
    "warn",
    "warning",
    "problem",
    "fail",
    "log",
    "cache_failed",
    "log_not_saved",
    "log_not_reserved",
    "invalid",
    "defect",
    "damaged",
    "usage_error",
    "context",
    "error",
];

/// Macros of the crate anyhow that take a message.
const MACROS: [&str; 2] = ["anyhow", "bail"];

/// Functions and types all of whose texts are messages.
pub(super) const MESSAGE_TEXTS: [&str; 13] = [
    "into_dirs",
    "parse_warning",
    "stop_message",
    "translate_paths",
    "into_manifest",
    "parse_duration",
    "parse_size",
    "parse_freshness",
    "parse_keep_count",
    "AccessRefusal",
    "SiteRefusal",
    "SkipReason",
    "StaleUnit",
];

/// Arguments of a call in [`MESSAGE_CALLS`] whose message is found where it is created.
const FORWARDED: [&str; 11] = [
    "error",
    "errors",
    "warning",
    "annotation",
    "refusal",
    "notice",
    "reason",
    "problem",
    "why",
    "what",
    "message",
];

/// The messages of a source file.
#[derive(Default)]
pub(super) struct Messages {
    pub(super) messages: Vec<Message>,
    /// Functions with a call in [`MESSAGE_CALLS`] whose message can't be found.
    pub(super) unseen: Vec<String>,
}

/// A message in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) text: String,
    /// What to do, if the program stores that separately.
    pub(super) advice: Option<String>,
    /// The call that it is given to, or the function or type that it is of; empty for `#[error]`.
    pub(super) call: String,
}

/// Reads a source file, its tests apart.
pub(super) fn read(source: &str) -> Messages {
    let file = syn::parse_file(source).unwrap();
    let mut reader = Reader::default();
    reader.visit_file(&file);
    reader.said
}

/// Reads a source file in which every text is a message.
pub(super) fn read_all(source: &str) -> Messages {
    let names = Names::new();
    let mut texts = Texts::new(&names);
    for item in &syn::parse_file(source).unwrap().items {
        match item {
            syn::Item::Const(constant) => texts.visit_expr(&constant.expr),
            syn::Item::Fn(function) => texts.visit_block(&function.block),
            _ => {}
        }
    }
    let mut reader = Reader::default();
    reader.take_all("", &texts.found);
    reader.said
}

/// The texts that a name may have, and whether one of them is a message created elsewhere.
type Names = BTreeMap<String, (Vec<String>, bool)>;

#[derive(Default)]
struct Reader {
    said: Messages,
    names: Names,
    /// The function that is being read.
    function: String,
}

impl Reader {
    fn take(&mut self, call: &str, text: &str, advice: Option<String>) {
        let text = filled_in(text);
        let words = text
            .split(' ')
            .filter(|word| word.contains(char::is_alphabetic));
        // A text of less than two words, or with such a start, is a part of a message; one with a
        // mark is a result.
        if words.count() > 1 && !text.starts_with([',', ' ', '~', '✅']) {
            self.said.messages.push(Message {
                text,
                advice,
                call: call.to_owned(),
            });
        }
    }

    fn take_all(&mut self, call: &str, texts: &[String]) {
        texts.iter().for_each(|text| self.take(call, text, None));
    }

    fn take_call(&mut self, name: &str, arguments: &Punctuated<Expr, Token![,]>) {
        let read = |argument| Texts::of(argument, &self.names);
        let (found, passes_on): (Vec<_>, Vec<bool>) = arguments
            .iter()
            .map(read)
            .map(|texts| (texts.found, texts.passes_on))
            .unzip();
        // A finding of the doctor: the check, what was found, what to do.
        if let ([_, found, advice], "warning" | "problem") = (found.as_slice(), name) {
            let advice = advice.first().map(|text| filled_in(text));
            return found
                .iter()
                .for_each(|text| self.take("finding", text, advice.clone()));
        }
        let found = found.concat();
        if found.is_empty() && !passes_on.contains(&true) {
            self.said.unseen.push(self.function.clone());
        }
        if name == "context" {
            // The cause follows.
            let texts: Vec<String> = found.iter().map(|text| format!("{text}: …")).collect();
            return self.take_all(name, &texts);
        }
        self.take_all(name, &found);
    }

    fn enter(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.function = signature.ident.to_string();
        self.names
            .retain(|name, _| name.chars().all(|character| !character.is_lowercase()));
        if MESSAGE_TEXTS.contains(&self.function.as_str()) {
            let mut texts = Texts::new(&self.names);
            texts.visit_block(block);
            let found = texts.found;
            let function = self.function.clone();
            self.take_all(&function, &found);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_of_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("error") {
            return;
        }
        let first = attribute
            .meta
            .require_list()
            .unwrap()
            .tokens
            .clone()
            .into_iter()
            .next()
            .unwrap();
        // `#[error(transparent)]` has no text.
        if let Ok(text) = syn::parse_str::<LitStr>(&first.to_string()) {
            self.take("", &text.value(), None);
        }
    }

    fn visit_item_const(&mut self, constant: &'ast syn::ItemConst) {
        let Texts {
            found, passes_on, ..
        } = Texts::of(&constant.expr, &self.names);
        self.names
            .insert(constant.ident.to_string(), (found, passes_on));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init) {
            let Texts {
                found, passes_on, ..
            } = Texts::of(&init.expr, &self.names);
            self.names
                .insert(name.ident.to_string(), (found, passes_on));
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.enter(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.enter(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_display = item
            .trait_
            .as_ref()
            .is_some_and(|trait_| ends_with(&trait_.0, &["Display"]));
        if let syn::Type::Path(shown) = &*item.self_ty
            && is_display
            && ends_with(&shown.path, &MESSAGE_TEXTS)
        {
            let mut texts = Texts::new(&self.names);
            texts.visit_item_impl(item);
            let found = texts.found;
            self.take_all(
                &shown.path.segments.last().unwrap().ident.to_string(),
                &found,
            );
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(function) = &*call.func
            && ends_with(&function.path, &MESSAGE_CALLS)
        {
            self.take_call(
                &function.path.segments.last().unwrap().ident.to_string(),
                &call.args,
            );
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_log = |argument: &Expr| matches!(argument, Expr::Path(mark) if mark.path.segments[0].ident == "Mark");
        let says = match call.method.to_string().as_str() {
            // Other methods are called `log`, too.
            "log" => call.args.first().is_some_and(is_log),
            // That of anyhow; the library's own takes an action and a path.
            "context" => call.args.len() == 1,
            method => MESSAGE_CALLS.contains(&method) && !call.args.is_empty(),
        };
        if says {
            self.take_call(&call.method.to_string(), &call.args);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let parsed = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        if ends_with(&call.path, &MACROS)
            && let Some(text) = parsed.iter().flatten().next()
        {
            let name = call.path.segments.last().unwrap().ident.to_string();
            self.take_call(&name, &Punctuated::from_iter([text.clone()]));
        }
        parsed
            .iter()
            .flatten()
            .for_each(|argument| Visit::visit_expr(&mut *self, argument));
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        if matches!(&*assign.left, Expr::Field(syn::ExprField { member: syn::Member::Named(name), .. }) if name == "error")
        {
            let found = Texts::of(&assign.right, &self.names).found;
            self.take_all("", &found);
        }
        visit::visit_expr_assign(self, assign);
    }
}

/// The texts and formats in an expression, without the arguments of formats.
struct Texts<'n> {
    found: Vec<String>,
    /// Whether it contains a message that was created elsewhere.
    passes_on: bool,
    names: &'n Names,
}

impl<'n> Texts<'n> {
    fn new(names: &'n Names) -> Self {
        Self {
            found: Vec::new(),
            passes_on: false,
            names,
        }
    }

    fn of(expr: &Expr, names: &'n Names) -> Self {
        let mut texts = Self::new(names);
        texts.visit_expr(expr);
        texts
    }
}

impl<'ast> Visit<'ast> for Texts<'_> {
    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.found.push(text.value());
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        // Texts of a file that [`read_all`] reads.
        self.passes_on |= path.path.segments[0].ident == "messages";
        let name = path.path.segments.last().unwrap().ident.to_string();
        let (found, passes_on) = self.names.get(&name).cloned().unwrap_or_default();
        self.found.extend(found);
        self.passes_on |= passes_on
            || [&FORWARDED[..], &MESSAGE_TEXTS]
                .concat()
                .contains(&name.as_str());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let parsed = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        let format = parsed
            .into_iter()
            .flatten()
            .find_map(|argument| match argument {
                Expr::Lit(syn::ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            });
        self.found.extend(format);
    }
}

fn ends_with(path: &syn::Path, names: &[&str]) -> bool {
    path.segments
        .last()
        .is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

/// A format with `…` for each argument.
fn filled_in(format: &str) -> String {
    let mut text = String::new();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' if characters.peek() == Some(&character) => text.extend(characters.next()),
            '{' => {
                characters.by_ref().find(|it| *it == '}');
                text.push('…');
            }
            other => text.push(other),
        }
    }
    text
}
