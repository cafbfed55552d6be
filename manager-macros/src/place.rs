//! Spans for what the macros write, so that the compiler's own errors point at what the user wrote.
//!
//! Spans cannot be joined on stable Rust, but an expression reaches from its first token to its last:
//! giving these the spans of the first and last token of a type makes the two look like one place.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

/// Where the user wrote something.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    first: Span,
    last: Span,
}

impl Place {
    /// The place of these tokens.
    pub(crate) fn of(tokens: &dyn ToTokens) -> Self {
        let mut spans = tokens.to_token_stream().into_iter().map(|token| token.span());
        let first = spans.next().unwrap_or_else(Span::call_site);
        Self { first, last: spans.last().unwrap_or(first) }
    }
}

/// The expression `<T as Trait>::item`, at the place of `T`.
pub(crate) fn qualified(ty: &dyn ToTokens, of_trait: &TokenStream, item: &str) -> TokenStream {
    let Place { first, last } = Place::of(ty);
    let (open, item) = (quote_spanned!(first=> <), Ident::new(item, last));
    quote!(#open #ty as #of_trait>::#item)
}

/// The expression `<Self as Trait>::item`, at the place of the trait.
pub(crate) fn of_self(of_trait: &dyn ToTokens, item: &str) -> TokenStream {
    let Place { first, last } = Place::of(of_trait);
    let (open, item) = (quote_spanned!(first=> <Self as), Ident::new(item, last));
    quote!(#open #of_trait>::#item)
}

/// The call `callee(arguments)`, at the place of `at`.
pub(crate) fn called(callee: &TokenStream, arguments: &TokenStream, at: &dyn ToTokens) -> TokenStream {
    let last = Place::of(at).last;
    let arguments = quote_spanned!(last=> (#arguments));
    quote!(#callee #arguments)
}

/// The call `Incoming::function::<T>(arguments)`, at the place of `T`.
pub(crate) fn of_incoming(function: &str, ty: &dyn ToTokens, arguments: &TokenStream) -> TokenStream {
    let Place { first, last } = Place::of(ty);
    let (root, function) = (quote_spanned!(first=> ::labrig), Ident::new(function, last));
    let (close, arguments) = (quote_spanned!(last=> >), quote_spanned!(last=> (#arguments)));
    quote!(#root::__private::Incoming::#function::<#ty #close #arguments)
}

/// A local's name and a reference to it, at the place of `at`. Both have one hygiene, whoever wrote `at`.
pub(crate) fn local(name: &str, at: &dyn ToTokens) -> (Ident, TokenStream) {
    let Place { first, last } = Place::of(at);
    let (name, reference) = (Ident::new(name, last), quote_spanned!(first=> &));
    let borrowed = quote!(#reference #name);
    (name, borrowed)
}

/// The call `(probe).fail()`, at the place of `error`.
pub(crate) fn fail(probe: &TokenStream, error: &dyn ToTokens) -> TokenStream {
    let Place { first, last } = Place::of(error);
    let (probe, call) = (quote_spanned!(first=> (#probe)), quote_spanned!(last=> fail()));
    quote!(#probe.#call)
}
