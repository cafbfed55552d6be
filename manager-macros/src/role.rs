//! `#[role]`: handlers that several kinds share, as a trait whose methods they may override.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{ItemTrait, TraitItem, TraitItemFn, parse_quote};

use crate::docs;
use crate::glue::{Owner, Registrations};
use crate::marks::{self, Marked};
use crate::mistakes::Mistakes;

const HANDLERS_ONLY: &str = "a role shares handlers only; timers and frame handlers belong to each kind";

/// Emits the trait without our attributes, and with two hidden methods that hand its handlers on.
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
    let place = Owner {
        callee: quote!(<Self as #name>),
        role: quote!(::core::option::Option::Some(<Self as #name>::__labrig_role())),
        handlers_only: Some(HANDLERS_ONLY),
    };
    let registrations = Registrations::of(&marked, &place, &mut mistakes);
    let owner = quote!(struct #name; type __Owner = #name;);
    let once = mistakes.none().then(|| registrations.served_once(&owner));
    add_hidden_methods(&mut role, &registrations, mistakes.none());
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

fn add_hidden_methods(role: &mut ItemTrait, registrations: &Registrations, is_right: bool) {
    let (handlers, path) = (&registrations.handlers, docs::path(&docs::name(&role.ident)));
    let list = if is_right {
        quote! {
            use ::labrig::__private::{FailNot as _, FailText as _, FailTyped as _, FailTypedDebug as _};
            ::std::vec::Vec::from([#(#handlers),*])
        }
    } else {
        quote!(::core::unreachable!())
    };
    role.items.push(parse_quote! {
        #[doc(hidden)]
        fn __labrig_role() -> &'static str
        where
            Self: ::core::marker::Sized,
        {
            #path
        }
    });
    role.items.push(parse_quote! {
        #[doc(hidden)]
        #[allow(unused_imports, deprecated, clippy::all, clippy::pedantic)]
        fn __labrig_handlers() -> ::std::vec::Vec<::labrig::__private::Handler<Self>>
        where
            Self: ::core::marker::Sized,
        {
            #list
        }
    });
}
