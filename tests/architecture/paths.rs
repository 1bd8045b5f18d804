//! The rooms that a file names: the second segment of every path that begins
//! with the package itself, `super` and `self` resolved. Modules for tests only
//! are left out: a test may stand on anything.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ItemMod, Macro, UseTree,
    visit::{self, Visit},
};

/// Where a file is, and what counts as its package.
pub(crate) struct File<'a> {
    /// Its module path, without the package.
    pub(crate) module: &'a [String],
    /// The first segments that mean the package.
    pub(crate) own_names: &'a [&'a str],
}

/// The rooms that a parsed file names.
pub(crate) fn paths(parsed: &syn::File, file: &File<'_>) -> BTreeSet<String> {
    let mut finder = Finder { file, depth: 0, rooms: BTreeSet::new() };
    finder.visit_file(parsed);
    finder.rooms
}

struct Finder<'a> {
    file: &'a File<'a>,
    /// How many modules written out in the file are around.
    depth: usize,
    rooms: BTreeSet<String>,
}

impl Finder<'_> {
    fn take(&mut self, segments: &[String]) {
        let Some(first) = segments.first() else { return };
        if self.file.own_names.contains(&first.as_str()) {
            self.rooms.extend(segments.get(1).cloned());
        } else if first == "super" {
            let up = segments.iter().take_while(|segment| *segment == "super").count();
            let Some(left) = (self.file.module.len() + self.depth).checked_sub(up) else { return };
            // Out of the room: what follows is another one.
            if left == 0 && self.file.own_names.contains(&"crate") {
                self.rooms.extend(segments.get(up).cloned());
            }
        }
    }

    fn take_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.take_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_tree(tree, before);
                }
            }
            UseTree::Name(name) => self.take_with(before, name.ident.to_string()),
            UseTree::Rename(rename) => self.take_with(before, rename.ident.to_string()),
            UseTree::Glob(_) => self.take_with(before, "*".to_owned()),
        }
    }

    fn take_with(&mut self, before: &[String], last: String) {
        let segments: Vec<String> = before.iter().cloned().chain([last]).collect();
        self.take(&segments);
    }

    /// Paths in what a macro is given, which is no syntax yet.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.take(&std::mem::take(&mut segments));
                    }
                    segments.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.take(&std::mem::take(&mut segments));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.take_tokens(group.stream());
                    }
                }
            }
        }
        self.take(&segments);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.take_tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        self.take_tokens(mac.tokens.clone());
        visit::visit_macro(self, mac);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_test(&item.attrs) {
            return;
        }
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }
}

/// `#[cfg(test)]`, also with other conditions, and `#[test]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.is_ident("test")
            || path.is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| {
                    list.tokens
                        .clone()
                        .into_iter()
                        .any(|token| matches!(token, TokenTree::Ident(ident) if ident == "test"))
                })
    })
}
