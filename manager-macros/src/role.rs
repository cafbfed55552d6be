//! `#[role]`: handlers that several kinds share, as a trait whose methods they may override.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ItemTrait;

use crate::body;
use crate::docs;
use crate::glue::{Owner, Registrations};
use crate::marks;
use crate::mistakes::Mistakes;

/// The hidden method; its name is read by those who forget `#[role]`.
pub(crate) const HIDDEN: &str = "__marked_with_labrig_role";
const HANDLERS_ONLY: &str =
    "a role shares handlers only; timers, frame handlers and self-checks belong to each kind";

/// Emits the trait without our attributes, and with a hidden method that hands its handlers on.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    if !options.is_empty() {
        mistakes.add(&options, "`#[role]` has no options", "write `#[role]`");
    }
    let Some(role) = read(&item, &mut mistakes) else {
        let (item, told) = (body::unmarked(&item), mistakes.tell());
        return quote!(#item #told);
    };
    if !role.generics.params.is_empty() {
        let what = format!("role `{}` is generic, and it is played once by a kind", role.ident);
        mistakes.add(&role.generics, what, "write a role without parameters");
    }
    let name = &role.ident;
    let path = docs::path(&docs::name(name));
    let owner = Owner {
        callee: quote!(<Self as #name>),
        role: quote!(::core::option::Option::Some(#path)),
        handlers_only: Some(HANDLERS_ONLY),
    };
    let marked = marks::of_trait(&role, &mut mistakes);
    let registrations = Registrations::of(&marked, &owner, &mut mistakes);
    let claimant = quote!(struct #name; type __Owner = #name;);
    let once = mistakes.none().then(|| registrations.served_once(&claimant));
    let hidden = hidden_method(&registrations, &path, mistakes.none());
    let (role, told) = (body::extended(&body::unmarked(&item), &hidden), mistakes.tell());
    quote!(#role #told #once)
}

fn read(item: &TokenStream, mistakes: &mut Mistakes) -> Option<ItemTrait> {
    if !body::is_introduced_by(item, "trait") {
        let help = "write it on `trait Acquires: Manager { … }`, the trait with the shared handlers";
        mistakes.add_at(Span::call_site(), "`#[role]` stands on a trait", help);
        return None;
    }
    body::read(item).map_err(|error| mistakes.absorb(error)).ok()
}

/// The method that gives the role's path and its handlers; with mistakes, one that is never run.
fn hidden_method(registrations: &Registrations, path: &TokenStream, is_right: bool) -> TokenStream {
    let (handlers, hidden) = (&registrations.handlers, format_ident!("{HIDDEN}"));
    let body = if is_right {
        quote! {
            use ::labrig::__private::{FailNot as _, FailText as _, FailTyped as _, FailTypedDebug as _};
            (#path, ::std::vec::Vec::from([#(#handlers),*]))
        }
    } else {
        quote!(::core::unreachable!())
    };
    quote! {
        #[doc(hidden)]
        #[allow(unused_imports, deprecated, clippy::all, clippy::pedantic)]
        fn #hidden() -> (&'static str, ::std::vec::Vec<::labrig::__private::Handler<Self>>)
        where
            Self: ::core::marker::Sized,
        {
            #body
        }
    }
}
