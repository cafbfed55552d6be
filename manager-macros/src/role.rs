//! `#[role]`: handlers that several kinds share, as a trait whose methods they may override.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{ItemTrait, TraitItem, TraitItemFn, parse_quote};

use crate::docs;
use crate::glue::{Owner, Registrations};
use crate::marks::{self, Marked};
use crate::mistakes::Mistakes;

/// The hidden method; its name is read by those who forget `#[role]`.
pub(crate) const HIDDEN: &str = "__marked_with_labrig_role";
const HANDLERS_ONLY: &str = "a role shares handlers only; timers and frame handlers belong to each kind";

/// Emits the trait without our attributes, and with a hidden method that hands its handlers on.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let Ok(mut role) = syn::parse2::<ItemTrait>(item.clone()) else {
        let help = "write it on `trait Acquires: Manager { … }`, the trait with the shared handlers";
        mistakes.add_at(Span::call_site(), "`#[role]` stands on a trait", help);
        let told = mistakes.tell();
        return quote!(#item #told);
    };
    if !options.is_empty() {
        mistakes.add(&options, "`#[role]` has no options", "write `#[role]`");
    }
    if !role.generics.params.is_empty() {
        let what = format!("role `{}` is generic, and it is played once by a kind", role.ident);
        mistakes.add(&role.generics, what, "write a role without parameters");
    }
    let marked = take_marks(&mut role, &mut mistakes);
    let name = &role.ident;
    let path = docs::path(&docs::name(name));
    let place = Owner {
        callee: quote!(<Self as #name>),
        role: quote!(::core::option::Option::Some(#path)),
        handlers_only: Some(HANDLERS_ONLY),
    };
    let registrations = Registrations::of(&marked, &place, &mut mistakes);
    let owner = quote!(struct #name; type __Owner = #name;);
    let once = mistakes.none().then(|| registrations.served_once(&owner));
    add_hidden_method(&mut role, &registrations, mistakes.none());
    let told = mistakes.tell();
    quote!(#role #told #once)
}

fn take_marks(role: &mut ItemTrait, mistakes: &mut Mistakes) -> Vec<Marked> {
    let methods = role.items.iter_mut().filter_map(|item| match item {
        TraitItem::Fn(TraitItemFn { attrs, sig, .. }) => Some((attrs, sig)),
        _ => None,
    });
    methods.filter_map(|(attributes, signature)| marks::take(attributes, signature, mistakes)).collect()
}

/// Adds the method that gives the role's path and its handlers; with mistakes, one that is never run.
fn add_hidden_method(role: &mut ItemTrait, registrations: &Registrations, is_right: bool) {
    let (handlers, path) = (&registrations.handlers, docs::path(&docs::name(&role.ident)));
    let body = if is_right {
        quote! {
            use ::labrig::__private::{FailNot as _, FailText as _, FailTyped as _, FailTypedDebug as _};
            (#path, ::std::vec::Vec::from([#(#handlers),*]))
        }
    } else {
        quote!(::core::unreachable!())
    };
    let hidden = format_ident!("{HIDDEN}");
    role.items.push(parse_quote! {
        #[doc(hidden)]
        #[allow(unused_imports, deprecated, clippy::all, clippy::pedantic)]
        fn #hidden() -> (&'static str, ::std::vec::Vec<::labrig::__private::Handler<Self>>)
        where
            Self: ::core::marker::Sized,
        {
            #body
        }
    });
}
