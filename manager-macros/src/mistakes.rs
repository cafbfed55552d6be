//! The user's mistakes, collected so that all of them are told at once.
//!
//! Each points at the guilty token, says what is wrong in lowercase, and offers code to paste.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<syn::Error>);

impl Mistakes {
    /// A mistake at `tokens`.
    pub(crate) fn add(&mut self, tokens: &dyn ToTokens, what: impl Display, help: impl Display) {
        self.0.push(syn::Error::new_spanned(tokens.to_token_stream(), sentence(what, help)));
    }

    /// A mistake at a place that has no tokens of its own.
    pub(crate) fn add_at(&mut self, span: Span, what: impl Display, help: impl Display) {
        self.0.push(syn::Error::new(span, sentence(what, help)));
    }

    /// What the parser could not read.
    pub(crate) fn absorb(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub(crate) fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// The compiler errors that tell them.
    pub(crate) fn tell(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}

fn sentence(what: impl Display, help: impl Display) -> String {
    format!("{what}\nhelp: {help}")
}
