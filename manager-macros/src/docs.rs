//! What an item says about itself: its doc comment, its path, its line, its `cfg` attributes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of the `///` comments: lines trimmed, joined by line breaks.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines: Vec<_> = attributes.iter().filter_map(line).collect();
    lines.join("\n").trim().to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    let trimmed = || text.value().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    pair.path.is_ident("doc").then(trimmed)
}

/// An expression: the full path of the item named `name` in the module where the macro stands.
pub(crate) fn path(name: &str) -> TokenStream {
    quote!(::core::concat!(::core::module_path!(), "::", #name))
}

/// The name as it is read, without `r#`.
pub(crate) fn name(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The source line of a span, from 1.
pub(crate) fn line_of(span: Span) -> u32 {
    u32::try_from(span.start().line).unwrap_or(0)
}

/// The `#[cfg(…)]` attributes, for everything that refers to the item.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}
