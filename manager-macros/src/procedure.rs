//! `#[procedure(kind = "…")]`: registers a kind of procedure. The block is emitted again as it is.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemImpl, LitStr};

use crate::body;
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};

const KNOWN: &[Known] = &[("kind", Takes::Text, "kind = \"focus_sweep\"")];
const EXAMPLE: &str = "write `#[procedure(kind = \"focus_sweep\")]`";

/// Emits the block, and what registers it.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let kind = kind(options, &mut mistakes);
    let block = read(&item, &mut mistakes);
    let registered = kind.zip(block).filter(|_| mistakes.none()).map(|(kind, block)| {
        let owner = &block.self_ty;
        let of = quote_spanned!(owner.span()=> ::labrig::__private::ProcedureRegistration::of::<#owner>);
        quote!(::labrig::__private::inventory::submit! { #of(#kind) })
    });
    let told = mistakes.tell();
    quote!(#item #told #registered)
}

fn kind(options: TokenStream, mistakes: &mut Mistakes) -> Option<LitStr> {
    let is_empty = options.is_empty();
    let options = Options::of_tokens(options, KNOWN, mistakes);
    let Some(kind) = options.text("kind") else {
        if is_empty || mistakes.none() {
            let what = "a procedure is launched by the name of its kind";
            mistakes.add_at(proc_macro2::Span::call_site(), what, EXAMPLE);
        }
        return None;
    };
    let name = kind.value();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain);
    if !is_name || name.len() > 60 {
        let what = format!(
            "`{name}` is no name of a kind: 1 to 60 of a-z, 0-9, `.` and `_`, beginning with a letter"
        );
        mistakes.add(kind, what, EXAMPLE);
        return None;
    }
    Some(kind.clone())
}

fn read(item: &TokenStream, mistakes: &mut Mistakes) -> Option<ItemImpl> {
    let help = "write it on `impl Procedure for … { … }`";
    let Ok(block) = body::read::<ItemImpl>(item) else {
        // What is no block at all is told; a block that is half typed the compiler tells better.
        if !body::is_introduced_by(item, "impl") {
            mistakes.add(item, "`#[procedure]` stands on a block", help);
        }
        return None;
    };
    let is_procedure = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "Procedure");
    if !block.trait_.as_ref().is_some_and(|(_, path, _)| is_procedure(path)) {
        mistakes.add(&block.self_ty, "`#[procedure]` stands on the block that says what the steps are", help);
        return None;
    }
    if let Some(parameter) = block.generics.params.first() {
        let what = "a kind of procedure has one type, and this block is generic";
        mistakes.add(parameter, what, "write a type without parameters for each kind");
        return None;
    }
    Some(block)
}
