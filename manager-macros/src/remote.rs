//! `#[remote]`: the methods of a value that can be called from other processes.
//!
//! Every method of the block can be called from elsewhere, and nothing else of the type can. What is written for them
//! is in `remote_glue`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, Meta, Pat, ReturnType, Signature, Type};

use crate::body;
use crate::docs;
use crate::manager::{check_block, read_block};
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};
use crate::remote_glue;
use crate::signature;
use crate::types;

const KNOWN: &[Known] = &[
    ("write", Takes::Nothing, "write"),
    ("deadline_ms", Takes::Count, "deadline_ms = 500"),
    ("connected", Takes::Nothing, "connected"),
    ("disconnected", Takes::Nothing, "disconnected"),
];

/// What every handle has itself, so that no method of a value is reached by that name.
const OF_HANDLES: &[&str] = &[
    "borrow",
    "borrow_mut",
    "clone",
    "clone_from",
    "clone_into",
    "deref",
    "eq",
    "fmt",
    "hash",
    "into",
    "is_read_only",
    "ne",
    "owner",
    "read_only",
    "serialize",
    "to_owned",
    "to_string",
    "try_into",
    "type_id",
];

/// A method that can be called from elsewhere.
pub(crate) struct RemoteMethod {
    pub(crate) name: Ident,
    pub(crate) doc: String,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) arguments: Vec<(Ident, Type)>,
    pub(crate) takes_context: bool,
    pub(crate) returns: Type,
    /// What its caller gets: the value of a `Result`, and a handle in the place of what stays.
    pub(crate) reply: Type,
    pub(crate) writes: bool,
    pub(crate) deadline_ms: Option<u64>,
}

/// A method that is told who holds the value.
pub(crate) struct Hook {
    pub(crate) name: Ident,
    pub(crate) is_connected: bool,
}

/// Emits the block without our attributes, its proxy, and what registers its methods.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    if body::is_introduced_by(&item, "fn") && !body::is_introduced_by(&item, "impl") {
        return misplaced(&item);
    }
    let mut mistakes = Mistakes::default();
    if !options.is_empty() {
        mistakes.add(&options, "`#[remote]` on a block has no options", "write them on its methods");
    }
    let written = read_block(&item, "remote", &mut mistakes).and_then(|block| {
        let (methods, hooks) = read_methods(&block, &mut mistakes);
        let methods = check_names(methods, &mut mistakes);
        let is_usable = check_block(&block, "remote", &mut mistakes);
        is_usable.then(|| remote_glue::write(&block, &methods, &hooks, mistakes.none()))
    });
    let (block, told) = (body::without(&item, &is_mark), mistakes.tell());
    quote!(#block #told #written)
}

/// Whether these tokens, from between the brackets of an attribute, are `remote` with or without options.
fn is_mark(attribute: &TokenStream) -> bool {
    syn::parse2::<Meta>(attribute.clone()).is_ok_and(|meta| is_ours(&meta))
}

fn is_ours(meta: &Meta) -> bool {
    let path = meta.path();
    path.is_ident("remote")
        || (path.segments.len() == 2
            && path.segments[0].ident == "labrig"
            && path.segments[1].ident == "remote")
}

fn misplaced(item: &TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let help = "write `#[remote]` above the `impl` of the value's type, whose methods may be called then";
    mistakes.add_at(Span::call_site(), "`#[remote]` stands outside a `#[remote]` block", help);
    let told = mistakes.tell();
    quote!(#told #item)
}

fn read_methods(block: &ItemImpl, mistakes: &mut Mistakes) -> (Vec<RemoteMethod>, Vec<Hook>) {
    let (mut methods, mut hooks) = (Vec::new(), Vec::new());
    for item in &block.items {
        let ImplItem::Fn(method) = item else {
            let help = "move it to another `impl` block of the type";
            mistakes.add(item, "a `#[remote]` block holds methods only", help);
            continue;
        };
        let options = options(method, mistakes);
        if options.has("connected") || options.has("disconnected") {
            hooks.extend(read_hook(&method.sig, &options, mistakes));
        } else {
            methods.extend(read_method(method, &options, mistakes));
        }
    }
    if methods.is_empty() && mistakes.none() {
        let what = "this block exposes no method";
        mistakes.add(&block.self_ty, what, "write one: `fn height(&self, profile: Vec<f32>) -> f64 { … }`");
    }
    (methods, hooks)
}

fn options(method: &ImplItemFn, mistakes: &mut Mistakes) -> Options {
    let mut options = Options::default();
    for attribute in method.attrs.iter().filter(|attribute| is_ours(&attribute.meta)) {
        let more = Options::of_meta(&attribute.meta, KNOWN, mistakes);
        options.extend(more, mistakes);
    }
    options
}

fn read_method(method: &ImplItemFn, options: &Options, mistakes: &mut Mistakes) -> Option<RemoteMethod> {
    let (found, signature) = (mistakes.count(), &method.sig);
    signature::check_qualifiers(signature, "remote method", mistakes);
    check_receiver(signature, options.has("write"), mistakes);
    let (arguments, takes_context) = read_arguments(signature, mistakes);
    let returns = signature::returned(signature, mistakes);
    let reply = reply_of(signature, &returns, mistakes);
    (mistakes.count() == found).then(|| RemoteMethod {
        name: signature.ident.clone(),
        doc: docs::text(&method.attrs),
        conditions: docs::conditions(&method.attrs).into_iter().cloned().collect(),
        arguments,
        takes_context,
        returns,
        reply,
        writes: options.has("write"),
        deadline_ms: options.count("deadline_ms"),
    })
}

fn check_receiver(signature: &Signature, writes: bool, mistakes: &mut Mistakes) {
    let name = &signature.ident;
    let Some(receiver) = signature.receiver() else {
        let what = format!("`{name}` has no receiver, and a handle is one of a value that is there");
        return mistakes.add(name, what, "move it to another `impl` block of the type");
    };
    if receiver.reference.is_none() {
        let what = format!("remote method `{name}` takes its value away, and other handles need it too");
        mistakes.add(receiver, what, format!("write `fn {name}(&self, …)`"));
    } else if receiver.mutability.is_some() && !writes {
        let what = format!("remote method `{name}` changes its value, and read-only handles must not");
        mistakes.add(receiver, what, format!("write `#[remote(write)]` above `fn {name}`"));
    }
}

/// The arguments that travel, and whether a context follows them.
fn read_arguments(signature: &Signature, mistakes: &mut Mistakes) -> (Vec<(Ident, Type)>, bool) {
    let (mut arguments, mut takes_context) = (Vec::new(), false);
    for argument in &signature.inputs {
        let FnArg::Typed(typed) = argument else { continue };
        if takes_context {
            let help = "write `context: &mut Context` last";
            mistakes.add(typed, "a remote method takes its context after everything else", help);
        } else if signature::is_context(&typed.ty) {
            takes_context = true;
        } else if types::is_borrowed(&typed.ty) {
            let what = "an argument is borrowed, and what travels to another process is owned there";
            let help = "own it: `Vec<f32>` for `&[f32]`, `String` for `&str`";
            mistakes.add(&typed.ty, what, help);
        } else if let Pat::Ident(pattern) = &*typed.pat {
            arguments.push((pattern.ident.clone(), (*typed.ty).clone()));
        } else {
            mistakes.add(&typed.pat, "an argument has no name", "write `profile: Vec<f32>`");
        }
    }
    (arguments, takes_context)
}

/// What the caller of a method gets.
fn reply_of(signature: &Signature, returns: &Type, mistakes: &mut Mistakes) -> Type {
    let is_result = |segment: &syn::PathSegment| segment.ident.to_string().ends_with("Result");
    let value = match types::last_segment(returns).filter(|segment| is_result(segment)) {
        Some(_) => types::first_argument(returns).unwrap_or(returns),
        None => returns,
    };
    if !matches!(signature.output, ReturnType::Default) && types::is_borrowed(value) {
        let what = format!("remote method `{}` returns something borrowed", signature.ident);
        mistakes.add(value, what, "return what the caller is to own");
    }
    match types::first_argument(value).filter(|_| types::is_named(value, "Remote")) {
        Some(kept) => syn::parse_quote!(::labrig::__private::RemoteRef<#kept>),
        None => value.clone(),
    }
}

fn read_hook(signature: &Signature, options: &Options, mistakes: &mut Mistakes) -> Option<Hook> {
    let (found, name) = (mistakes.count(), &signature.ident);
    let typed = |argument: &FnArg| matches!(argument, FnArg::Typed(_));
    if signature.receiver().is_none() || signature.inputs.iter().filter(|it| typed(it)).count() != 1 {
        let help = format!("write `fn {name}(&mut self, holder: &str)`");
        mistakes.add(name, "a hook is told who holds the value, and nothing else", help);
    }
    if !matches!(signature.output, ReturnType::Default) {
        let what = format!("hook `{name}` answers nobody, so nobody would see what it returns");
        mistakes.add(&signature.output, what, "return nothing");
    }
    if let [first, second, ..] = options.keys().collect::<Vec<_>>().as_slice() {
        let what = format!("hook `{name}` is `{first}`, and `{second}` does not go with that");
        mistakes.add(second, what, "keep one of them");
    }
    let is_connected = options.has("connected");
    (mistakes.count() == found).then(|| Hook { name: name.clone(), is_connected })
}

/// Leaves out those whose names are taken, so that nothing else breaks over them.
fn check_names(methods: Vec<RemoteMethod>, mistakes: &mut Mistakes) -> Vec<RemoteMethod> {
    let starts: Vec<_> = methods.iter().map(|method| format!("start_{}", docs::name(&method.name))).collect();
    let mut is_free = |method: &RemoteMethod| {
        let (found, name) = (mistakes.count(), docs::name(&method.name));
        if OF_HANDLES.contains(&name.as_str()) {
            let what = format!("a handle has `{name}` itself, so no caller would reach this one");
            mistakes.add(&method.name, what, format!("give it another name: `{name}_of_value`"));
        }
        if starts.contains(&name) {
            let what = format!("`{name}` is how callers begin another method without waiting for it");
            mistakes.add(&method.name, what, "give it another name");
        }
        mistakes.count() == found
    };
    methods.into_iter().filter(|method| is_free(method)).collect()
}
