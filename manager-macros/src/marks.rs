//! The attributes that mark a method's job: `#[ipc_command]`, `#[every(…)]`, `#[on_frame(…)]`, `#[on_settings]`,
//! `#[self_check]`.
//!
//! They are left out when the user's item is emitted again; one that is left standing somewhere else
//! is an attribute macro of its own, which says where it belongs.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, ImplItem, ImplItemFn, ItemImpl, ItemTrait, Meta, Path, Signature, TraitItem, TraitItemFn,
};

use crate::docs;
use crate::mistakes::Mistakes;

/// What a marked method is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Job {
    Command,
    Every,
    OnFrame,
    OnSettings,
    SelfCheck,
}

const JOBS: &[(&str, Job)] = &[
    ("ipc_command", Job::Command),
    ("every", Job::Every),
    ("on_frame", Job::OnFrame),
    ("on_settings", Job::OnSettings),
    ("self_check", Job::SelfCheck),
];

/// A method with its mark.
pub(crate) struct Marked {
    pub(crate) job: Job,
    pub(crate) meta: Meta,
    pub(crate) signature: Signature,
    /// The text of its doc comment.
    pub(crate) doc: String,
    /// Its `#[cfg(…)]` attributes.
    pub(crate) conditions: Vec<Attribute>,
}

/// The marked methods of a block.
pub(crate) fn of_block(block: &ItemImpl, mistakes: &mut Mistakes) -> Vec<Marked> {
    let methods = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(ImplItemFn { attrs, sig, .. }) => Some((attrs, sig)),
        _ => None,
    });
    methods.filter_map(|(attributes, signature)| marked(attributes, signature, mistakes)).collect()
}

/// The marked methods of a trait.
pub(crate) fn of_trait(role: &ItemTrait, mistakes: &mut Mistakes) -> Vec<Marked> {
    let methods = role.items.iter().filter_map(|item| match item {
        TraitItem::Fn(TraitItemFn { attrs, sig, .. }) => Some((attrs, sig)),
        _ => None,
    });
    methods.filter_map(|(attributes, signature)| marked(attributes, signature, mistakes)).collect()
}

fn marked(attributes: &[Attribute], signature: &Signature, mistakes: &mut Mistakes) -> Option<Marked> {
    let mut marks = attributes.iter().filter_map(|attribute| Some((attribute, job_of(attribute.path())?)));
    let (mark, job) = marks.next()?;
    for (second, _) in marks {
        let what = format!("method `{}` has two jobs", signature.ident);
        mistakes.add(second, what, "keep one of its attributes");
    }
    let conditions = docs::conditions(attributes).into_iter().cloned().collect();
    let doc = docs::text(attributes);
    Some(Marked { job, meta: mark.meta.clone(), signature: signature.clone(), doc, conditions })
}

/// Whether these tokens, from between the brackets of an attribute, are one of our marks.
pub(crate) fn is_mark(attribute: &TokenStream) -> bool {
    let meta = syn::parse2::<Meta>(attribute.clone());
    meta.is_ok_and(|meta| job_of(meta.path()).is_some())
}

fn job_of(path: &Path) -> Option<Job> {
    let last = path.segments.last()?;
    let is_ours = path.segments.len() == 1 || path.segments.first()?.ident == "labrig";
    JOBS.iter().find(|(name, _)| is_ours && last.ident == name).map(|(_, job)| *job)
}

/// What a mark says when it stands where nothing takes it off.
pub(crate) fn misplaced(name: &str, item: TokenStream) -> TokenStream {
    let (blocks, exception) = match name {
        "ipc_command" => (
            "a `#[manager]`, `#[scope]` or `#[role]` block",
            "; a method that overrides a role's needs no attribute",
        ),
        _ => ("a `#[manager]` block", ""),
    };
    let mut mistakes = Mistakes::default();
    let help = format!("write `#[manager(kind = \"motor\")]` above the `impl`{exception}");
    mistakes.add_at(Span::call_site(), format!("`#[{name}]` stands outside {blocks}"), help);
    let told = mistakes.tell();
    quote!(#told #item)
}
