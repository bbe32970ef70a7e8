//! Compares the public items of the library with `tests/public_api.txt`, so that no change goes unnoticed.
//!
//! `UPDATE_PUBLIC_API=1 cargo test --test library public_api` updates the list. The test reads only
//! the sources, so items that a macro generates are listed as the macro and its calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, TraitItem, Type, UseTree, Visibility, parse_quote};

/// The path of a module from the root of the library.
type ModulePath = Vec<String>;

/// The library's modules, private ones included.
#[derive(Default)]
struct Library(BTreeMap<ModulePath, Vec<Item>>);

impl Library {
    fn read() -> Self {
        let mut library = Self::default();
        library.add(Vec::new(), &root().join("src/lib.rs"), &root().join("src"));
        library
    }

    /// Adds the module in `file` and its submodules in `dir`.
    fn add(&mut self, path: ModulePath, file: &Path, dir: &Path) {
        let items = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items;
        for item in &items {
            let Item::Mod(module) = item else { continue };
            if module.content.is_some() || module.attrs.iter().any(is_cfg_without_feature) {
                continue;
            }
            let name = module.ident.to_string();
            let below = dir.join(&name);
            let file = [below.join("mod.rs"), below.with_extension("rs")].into_iter().find(|file| file.exists());
            self.add([path.clone(), vec![name]].concat(), &file.unwrap(), &below);
        }
        self.0.insert(path, items);
    }

    /// Returns the item `name` of the module at `path`, and the path of the module that defines it.
    fn find(&self, path: &[String], name: &str) -> Option<(ModulePath, &Item)> {
        let items = self.0.get(path)?;
        if let Some(item) = items.iter().find(|item| name_of(item).as_deref() == Some(name)) {
            return Some((path.to_vec(), item));
        }
        uses_of(items).into_iter().find(|used| used.name == name).and_then(|used| {
            let (original, module) = used.path.split_last()?;
            self.find(&self.module(path, module)?, original)
        })
    }

    /// Resolves the module path `used` within the module at `path`.
    fn module(&self, path: &[String], used: &[String]) -> Option<ModulePath> {
        let mut module = path.to_vec();
        for (index, segment) in used.iter().enumerate() {
            match segment.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => _ = module.pop(),
                name => module.push(name.to_owned()),
            }
            if index == 0 && !self.0.contains_key(&module) {
                return None;
            }
        }
        self.0.contains_key(&module).then_some(module)
    }

    /// Returns the implementations for the type `name` of the module at `path`.
    fn impls_of(&self, path: &ModulePath, name: &str) -> Vec<Item> {
        let mut impls = Vec::new();
        for (module, items) in &self.0 {
            for item in items {
                let Item::Impl(block) = item else { continue };
                let Some(of) = last_segment(&block.self_ty) else { continue };
                let defined = self.find(module, &of).map(|(module, item)| (module, name_of(item)));
                if defined == Some((path.clone(), Some(name.to_owned()))) {
                    impls.extend(public_impl(block));
                }
            }
        }
        impls
    }

    /// Returns the public items of the module at `path`.
    fn public_items(&self, path: &ModulePath) -> Vec<Item> {
        let mut public = Vec::new();
        for item in &self.0[path] {
            match item {
                Item::Use(used) if is_public(&used.vis) => {
                    for used in uses_of(std::slice::from_ref(item)) {
                        public.extend(self.reexported(path, &used));
                    }
                }
                // Inline modules are hidden from the documentation: they serve this project's tests.
                Item::Mod(module) if is_public(&module.vis) && module.content.is_none() => {
                    let below = self.public_items(&[path.clone(), vec![module.ident.to_string()]].concat());
                    let (name, attributes) = (&module.ident, module.attrs.iter());
                    let attributes = attributes.filter(|attribute| attribute.path().is_ident("cfg"));
                    public.push(parse_quote!(#(#attributes)* pub mod #name { #(#below)* }));
                }
                Item::Macro(_) => public.push(public_macro(item)),
                item => public.extend(self.with_impls(path, item)),
            }
        }
        public
    }

    /// Returns the items that a `pub use` makes public: items of a private module, or the `use` itself if the
    /// module is public.
    fn reexported(&self, path: &ModulePath, used: &Used) -> Vec<Item> {
        let (original, module) = used.path.split_last().unwrap();
        let module = self.module(path, module).unwrap_or_else(|| panic!("unknown module of {}", used.path.join("::")));
        let path = used.path.join("::");
        let renamed = if *original == used.name { String::new() } else { format!(" as {}", used.name) };
        let reexport = syn::parse_str(&format!("pub use {path}{renamed};")).unwrap();
        if self.is_public_module(&module) {
            return vec![reexport];
        }
        let Some((module, found)) = self.find(&module, original) else {
            return [self.generating_macros(&module, original), vec![reexport]].concat();
        };
        let items = self.with_impls(&module, found);
        if renamed.is_empty() { items } else { [vec![reexport], items].concat() }
    }

    /// Returns the macro call that generates the item `name`. The macro's definition precedes it if it is the first
    /// call.
    fn generating_macros(&self, path: &ModulePath, name: &str) -> Vec<Item> {
        let macros = self.0[path].iter().filter(|item| matches!(item, Item::Macro(_)));
        let (definitions, calls): (Vec<_>, Vec<_>) =
            macros.partition(|item| matches!(item, Item::Macro(item) if item.ident.is_some()));
        let names = |item: &Item| matches!(item, Item::Macro(item) if item.mac.tokens.to_string().ends_with(name));
        let call = calls.iter().position(|item| names(item)).unwrap_or_else(|| panic!("unknown item {name}"));
        let definitions = definitions.into_iter().filter(|_| call == 0);
        let impls = self.0[path].iter().filter_map(|item| match item {
            Item::Impl(block) if last_segment(&block.self_ty).as_deref() == Some(name) => public_impl(block),
            _ => None,
        });
        definitions.chain([calls[call]]).map(public_macro).chain(impls).collect()
    }

    fn is_public_module(&self, path: &[String]) -> bool {
        (0..path.len()).all(|depth| {
            self.0[&path[..depth].to_vec()]
                .iter()
                .any(|item| matches!(item, Item::Mod(module) if module.ident == path[depth] && is_public(&module.vis)))
        })
    }

    fn with_impls(&self, path: &ModulePath, item: &Item) -> Vec<Item> {
        let Some(item) = public_item(item) else { return Vec::new() };
        let impls = name_of(&item).map(|name| self.impls_of(path, &name)).unwrap_or_default();
        std::iter::once(item).chain(impls).collect()
    }
}

/// Returns true if the attribute limits its item to tests or to one system.
fn is_cfg_without_feature(attribute: &Attribute) -> bool {
    let condition = attribute.meta.require_list().map(|list| list.tokens.to_string());
    attribute.path().is_ident("cfg") && condition.is_ok_and(|condition| !condition.starts_with("feature"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn last_segment(path: &Type) -> Option<String> {
    let Type::Path(path) = path else { return None };
    path.path.segments.last().map(|segment| segment.ident.to_string())
}

/// A name imported by a `use`, and its path.
struct Used {
    name: String,
    path: Vec<String>,
}

fn uses_of(items: &[Item]) -> Vec<Used> {
    let mut all = Vec::new();
    for item in items {
        if let Item::Use(item) = item {
            add_uses(&item.tree, Vec::new(), &mut all);
        }
    }
    all
}

fn add_uses(tree: &UseTree, mut before: Vec<String>, all: &mut Vec<Used>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            add_uses(&path.tree, before, all);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_uses(tree, before.clone(), all)),
        UseTree::Name(name) => {
            before.push(name.ident.to_string());
            all.push(Used { name: name.ident.to_string(), path: before });
        }
        UseTree::Rename(rename) => {
            before.push(rename.ident.to_string());
            all.push(Used { name: rename.rename.to_string(), path: before });
        }
        UseTree::Glob(_) => panic!("a glob hides the public items"),
    }
}

/// Removes the attributes that do not affect users of the item.
fn keep_attributes(attributes: &mut Vec<Attribute>) {
    let is_conditional_derive = |attribute: &Attribute| {
        let list = attribute.meta.require_list().map(|list| list.tokens.to_string());
        attribute.path().is_ident("cfg_attr") && list.is_ok_and(|list| list.contains("derive"))
    };
    attributes.retain(|attribute| {
        let is_kept = ["derive", "non_exhaustive", "cfg"].iter().any(|name| attribute.path().is_ident(name));
        is_kept || is_conditional_derive(attribute)
    });
}

/// Returns a macro or a macro call without its documentation.
fn public_macro(item: &Item) -> Item {
    let mut item = item.clone();
    if let Item::Macro(item) = &mut item {
        keep_attributes(&mut item.attrs);
    }
    item
}

/// Returns the public part of an item, if it is public.
fn public_item(item: &Item) -> Option<Item> {
    let mut item = item.clone();
    let (visibility, attributes) = match &mut item {
        Item::Const(item) => (&item.vis, &mut item.attrs),
        Item::Enum(item) => {
            item.variants.iter_mut().for_each(|variant| {
                keep_attributes(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| keep_attributes(&mut field.attrs));
            });
            (&item.vis, &mut item.attrs)
        }
        Item::Fn(item) => {
            item.block = parse_quote!({});
            (&item.vis, &mut item.attrs)
        }
        Item::Static(item) => {
            item.expr = parse_quote!(_);
            (&item.vis, &mut item.attrs)
        }
        Item::Struct(item) => {
            keep_public_fields(&mut item.fields);
            (&item.vis, &mut item.attrs)
        }
        Item::Trait(item) => {
            item.items.iter_mut().for_each(bare_trait_item);
            (&item.vis, &mut item.attrs)
        }
        Item::Type(item) => (&item.vis, &mut item.attrs),
        _ => return None,
    };
    keep_attributes(attributes);
    is_public(visibility).then_some(item)
}

/// Replaces all private fields with a single one, `_private`.
fn keep_public_fields(fields: &mut Fields) {
    fields.iter_mut().for_each(|field| keep_attributes(&mut field.attrs));
    let all = fields.len();
    match fields {
        Fields::Named(named) => {
            named.named = named.named.iter().filter(|field| is_public(&field.vis)).cloned().collect();
            if named.named.len() < all {
                named.named.push(parse_quote!(_private: _));
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in unnamed.unnamed.iter_mut().filter(|field| !is_public(&field.vis)) {
                field.ty = parse_quote!(_);
            }
        }
        Fields::Unit => {}
    }
}

fn bare_trait_item(item: &mut TraitItem) {
    if let TraitItem::Fn(function) = item {
        keep_attributes(&mut function.attrs);
        function.default = function.default.as_ref().map(|_| parse_quote!({}));
    }
}

/// Returns the header of a trait implementation, or the public functions and constants of an inherent one.
fn public_impl(block: &ItemImpl) -> Option<Item> {
    let mut block = block.clone();
    block.attrs.clear();
    if block.trait_.is_some() {
        block.items.clear();
        return Some(Item::Impl(block));
    }
    block.items.retain(|item| match item {
        ImplItem::Fn(function) => is_public(&function.vis),
        ImplItem::Const(constant) => is_public(&constant.vis),
        _ => false,
    });
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            keep_attributes(&mut function.attrs);
            function.block = parse_quote!({});
        }
        if let ImplItem::Const(constant) = item {
            keep_attributes(&mut constant.attrs);
        }
    }
    (!block.items.is_empty()).then_some(Item::Impl(block))
}

#[test]
fn public_items_match_the_list() {
    let items = Library::read().public_items(&Vec::new());
    let found = prettyplease::unparse(&syn::File { shebang: None, frontmatter: None, attrs: Vec::new(), items });
    let listed_in = root().join("tests/public_api.txt");
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&listed_in, &found).unwrap();
    }
    let listed = fs::read_to_string(listed_in).unwrap();
    let differs = found.lines().zip(listed.lines()).find(|(found, listed)| found != listed);
    assert!(
        found == listed,
        "the public items changed, first at (found, listed): {differs:?}\n\
         If this is intended, update the list with `UPDATE_PUBLIC_API=1 cargo test --test library public_api`, and CHANGELOG.md."
    );
}

/// Adds the names of the enums, options and reports among `items` that users could match or build exhaustively.
fn add_exhaustive(items: &[Item], names: &mut Vec<String>) {
    for item in items {
        let (name, attributes) = match item {
            Item::Mod(module) => {
                let (_, items) = module.content.as_ref().unwrap();
                add_exhaustive(items, names);
                continue;
            }
            Item::Enum(item) => (item.ident.to_string(), &item.attrs),
            Item::Struct(item) => (item.ident.to_string(), &item.attrs),
            _ => continue,
        };
        let may_grow = matches!(item, Item::Enum(_)) || name.ends_with("Options") || name.ends_with("Report");
        if may_grow && !attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive")) {
            names.push(name);
        }
    }
}

#[test]
fn enums_options_and_reports_are_non_exhaustive() {
    let mut exhaustive = Vec::new();
    add_exhaustive(&Library::read().public_items(&Vec::new()), &mut exhaustive);
    assert_eq!(exhaustive, [""; 0]);
}
