//! `#[manager(kind = "…", roles(…), signals(…), shares(…))]`: the handlers, timers, frame handlers, settings and self-checks
//! of a manager kind.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Ident, ItemImpl, LitStr, Path, Type};

use crate::body;
use crate::docs;
use crate::glue::{Owner, Registrations};
use crate::marks;
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};
use crate::place;
use crate::role;
use crate::signature;
use crate::types;

const KNOWN: &[Known] = &[
    ("kind", Takes::Text, "kind = \"motor\""),
    ("roles", Takes::Paths, "roles(Acquires)"),
    ("signals", Takes::Paths, "signals(MotorSignals)"),
    ("shares", Takes::Named, "shares(tracks = RowRing::<Track>::declare(4096))"),
];

/// Emits the block without our attributes, and what registers it.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let registered = read_block(&item, "manager", &mut mistakes).and_then(|block| {
        let options = Options::of_tokens(options, KNOWN, &mut mistakes);
        let kind = kind(&options, &mut mistakes);
        let roles = listed_once(&options, "roles", "role", &mut mistakes);
        let signals = listed_once(&options, "signals", "set of signals", &mut mistakes);
        let registrations = registrations(&block, None, &mut mistakes);
        let shares = shared_once(&options, &mut mistakes);
        let is_usable = check_block(&block, "manager", &mut mistakes);
        let declared = Declared { kind: &kind, roles, signals, shares };
        is_usable.then(|| handles(&block, &declared, &registrations, mistakes.none()))
    });
    let (block, told) = (body::unmarked(&item), mistakes.tell());
    quote!(#block #told #registered)
}

/// What the marked methods of an inherent block register.
pub(crate) fn registrations(
    block: &ItemImpl,
    handlers_only: Option<&'static str>,
    mistakes: &mut Mistakes,
) -> Registrations {
    let marked = marks::of_block(block, mistakes);
    let owner = Owner { callee: quote!(Self), role: quote!(::core::option::Option::None), handlers_only };
    Registrations::of(&marked, &owner, mistakes)
}

/// Reads the block that an attribute stands on.
pub(crate) fn read_block(item: &TokenStream, macro_name: &str, mistakes: &mut Mistakes) -> Option<ItemImpl> {
    if !body::is_introduced_by(item, "impl") {
        let what = format!("`#[{macro_name}]` stands on an `impl` block");
        let help = "write it on `impl Motor { … }`, the block with the handlers";
        mistakes.add_at(Span::call_site(), what, help);
        return None;
    }
    body::read(item).map_err(|error| mistakes.absorb(error)).ok()
}

/// Whether the block is an inherent one of a single type.
pub(crate) fn check_block(block: &ItemImpl, macro_name: &str, mistakes: &mut Mistakes) -> bool {
    let found = mistakes.count();
    let owner = signature::written(&block.self_ty);
    if let Some((_, path, _)) = &block.trait_ {
        let what = format!("`#[{macro_name}]` stands on the type's own block, not on that of a trait");
        mistakes.add(path, what, format!("write the handlers in `impl {owner} {{ … }}`"));
    }
    if !block.generics.params.is_empty() {
        let what = format!("`{owner}` is generic, and a handler block is registered once, for one type");
        mistakes.add(&block.generics, what, "write the block for a type without parameters");
    }
    if types::last_segment(&block.self_ty).is_none() {
        mistakes.add(&block.self_ty, "handlers belong to a type with a name", "write `impl Motor { … }`");
    }
    mistakes.count() == found
}

fn kind(options: &Options, mistakes: &mut Mistakes) -> String {
    let Some(kind) = options.text("kind") else {
        if !options.has("kind") && mistakes.none() {
            let what = "a manager kind needs the name by which a config asks for it";
            mistakes.add_at(Span::call_site(), what, "write `#[manager(kind = \"motor\")]`");
        }
        return String::new();
    };
    check_kind(kind, mistakes);
    kind.value()
}

fn check_kind(text: &LitStr, mistakes: &mut Mistakes) {
    let name = text.value();
    let allowed =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter);
    if name.len() > 60
        || !name.starts_with(|first: char| first.is_ascii_lowercase())
        || !name.chars().all(allowed)
    {
        let help = "1 to 60 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter: `kind = \"motor\"`";
        mistakes.add(text, format!("`{name}` cannot be the name of a kind"), help);
    }
}

/// The paths of an option, each of which is to be there once.
fn listed_once<'a>(options: &'a Options, key: &str, what: &str, mistakes: &mut Mistakes) -> &'a [Path] {
    let paths = options.paths(key);
    for (index, path) in paths.iter().enumerate() {
        if paths[..index].contains(path) {
            mistakes.add(path, format!("this {what} is listed twice"), "keep one of them");
        }
    }
    paths
}

/// The objects that are shared, each of which has a name of its own.
fn shared_once<'a>(options: &'a Options, mistakes: &mut Mistakes) -> &'a [(Ident, Expr)] {
    let shares = options.named("shares");
    for (index, (name, _)) in shares.iter().enumerate() {
        if shares[..index].iter().any(|(other, _)| other == name) {
            let help = "give one of them another name: it is read as `manager.name`";
            mistakes.add(name, format!("`{name}` is shared twice"), help);
        }
    }
    shares
}

/// What the options of a block declare.
struct Declared<'a> {
    kind: &'a str,
    roles: &'a [Path],
    signals: &'a [Path],
    shares: &'a [(Ident, Expr)],
}

/// An expression: the descriptions of shared objects.
fn shared(shares: &[(Ident, Expr)]) -> TokenStream {
    let shares = shares.iter().map(|(name, spec)| {
        let (text, line) = (docs::name(name), docs::line_of(name.span()));
        let new = quote_spanned!(spec.span()=> new(#text, #spec, ::core::file!(), #line));
        quote!(::labrig::__private::SharedDescription::#new)
    });
    quote!(::std::vec::Vec::from([#(#shares),*]))
}

/// The items that register the block; with mistakes, an impl that is never run.
fn handles(
    block: &ItemImpl,
    &Declared { kind, roles, signals, shares }: &Declared<'_>,
    registrations: &Registrations,
    is_right: bool,
) -> TokenStream {
    let owner = &block.self_ty;
    let (line, path) = (docs::line_of(block.impl_token.span), owner_path(owner));
    let unreachable = quote!(::core::unreachable!());
    let (table, role_paths, sets, shares) = if is_right {
        let roles = roles.iter().map(|role| place::of_self(role, role::HIDDEN));
        let sets = signals.iter().map(|set| {
            let describe = quote_spanned!(set.span()=> of::<#set>());
            quote!(::labrig::__private::SignalSetDescription::#describe)
        });
        let sets = quote!(::std::vec::Vec::from([#(#sets),*]));
        let table = table(registrations, roles.clone());
        (table, quote!(::std::vec::Vec::from([#(#roles().0),*])), sets, shared(shares))
    } else {
        (unreachable.clone(), unreachable.clone(), unreachable.clone(), unreachable)
    };
    let submission = is_right.then(|| {
        let once = registrations.served_once(&quote!(type __Owner = #owner;));
        quote! {
            #once
            ::labrig::__private::inventory::submit! { ::labrig::__private::KindRegistration::of::<#owner>() }
        }
    });
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(unused_imports, unused_mut, deprecated, clippy::all, clippy::pedantic)]
        impl ::labrig::__private::Handles for #owner {
            const KIND: &'static str = #kind;
            const FILE: &'static str = ::core::file!();
            const LINE: u32 = #line;
            const PATH: &'static str = #path;
            fn table() -> ::labrig::__private::HandlerTable<Self> { #table }
            fn roles() -> ::std::vec::Vec<&'static str> { #role_paths }
            fn signals() -> ::std::vec::Vec<::labrig::__private::SignalSetDescription> { #sets }
            fn shares() -> ::std::vec::Vec<::labrig::__private::SharedDescription> { #shares }
        }
        #submission
    }
}

/// An expression: the path of the type whose block this is.
pub(crate) fn owner_path(owner: &Type) -> TokenStream {
    let segment = types::last_segment(owner);
    docs::path(&segment.map(|segment| docs::name(&segment.ident)).unwrap_or_default())
}

/// The body of `table`; `roles` are the hidden methods that hand on the handlers of roles.
pub(crate) fn table(registrations: &Registrations, roles: impl Iterator<Item = TokenStream>) -> TokenStream {
    let Registrations { handlers, timers, frames, checks, settings, .. } = registrations;
    quote! {
        use ::labrig::__private::{FailNot as _, FailText as _, FailTyped as _, FailTypedDebug as _};
        let mut __table: ::labrig::__private::HandlerTable<Self> = ::labrig::__private::HandlerTable {
            handlers: ::std::vec::Vec::from([#(#handlers),*]),
            timers: ::std::vec::Vec::from([#(#timers),*]),
            frames: ::std::vec::Vec::from([#(#frames),*]),
            checks: ::std::vec::Vec::from([#(#checks),*]),
            settings: ::std::vec::Vec::from([#(#settings),*]),
        };
        #(__table.handlers.extend(#roles().1);)*
        __table
    }
}
