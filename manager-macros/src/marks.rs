//! The attributes that mark a method's job: `#[ipc_command]`, `#[every(…)]`, `#[on_frame(…)]`.
//!
//! They are taken off before the user's item is emitted again; one that is left standing somewhere else
//! is an attribute macro of its own, which says where it belongs.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, ImplItem, ImplItemFn, ItemImpl, Meta, Path, Signature};

use crate::docs;
use crate::mistakes::Mistakes;

/// What a marked method is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Job {
    Command,
    Every,
    OnFrame,
}

const JOBS: &[(&str, Job)] =
    &[("ipc_command", Job::Command), ("every", Job::Every), ("on_frame", Job::OnFrame)];

/// A method with its mark.
pub(crate) struct Marked {
    pub(crate) job: Job,
    pub(crate) meta: Meta,
    pub(crate) signature: Signature,
    /// Its `#[cfg(…)]` attributes.
    pub(crate) conditions: Vec<Attribute>,
}

/// Takes the marks off the methods of a block.
pub(crate) fn take_from_block(block: &mut ItemImpl, mistakes: &mut Mistakes) -> Vec<Marked> {
    let methods = block.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(ImplItemFn { attrs, sig, .. }) => Some((attrs, sig)),
        _ => None,
    });
    methods.filter_map(|(attributes, signature)| take(attributes, signature, mistakes)).collect()
}

/// Takes the mark off a method, if it has one.
pub(crate) fn take(
    attributes: &mut Vec<Attribute>,
    signature: &Signature,
    mistakes: &mut Mistakes,
) -> Option<Marked> {
    let (marks, others): (Vec<_>, Vec<_>) =
        attributes.drain(..).partition(|attribute| job_of(attribute.path()).is_some());
    *attributes = others;
    let name = &signature.ident;
    for second in marks.iter().skip(1) {
        mistakes.add(second, format!("method `{name}` has two jobs"), "keep one of its attributes");
    }
    let mark = marks.into_iter().next()?;
    let conditions = docs::conditions(attributes).into_iter().cloned().collect();
    Some(Marked { job: job_of(mark.path())?, meta: mark.meta, signature: signature.clone(), conditions })
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
