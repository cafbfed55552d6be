//! `#[scope]`: the handlers that live in the coordinator process.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::body;
use crate::docs;
use crate::glue::Registrations;
use crate::manager::{check_block, owner_path, read_block, registrations, table};
use crate::mistakes::Mistakes;

const HANDLERS_ONLY: &str = "a scope has handlers only: no devices, hence no timers, frames or self-checks";

/// Emits the block without our attributes, and what registers it.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    if !options.is_empty() {
        mistakes.add(&options, "`#[scope]` has no options", "write `#[scope]`");
    }
    let registered = read_block(&item, "scope", &mut mistakes).and_then(|block| {
        let registrations = registrations(&block, Some(HANDLERS_ONLY), &mut mistakes);
        let is_usable = check_block(&block, "scope", &mut mistakes);
        is_usable.then(|| handles(&block, &registrations, mistakes.none()))
    });
    let (block, told) = (body::unmarked(&item), mistakes.tell());
    quote!(#block #told #registered)
}

fn handles(block: &ItemImpl, registrations: &Registrations, is_right: bool) -> TokenStream {
    let owner = &block.self_ty;
    let (line, path) = (docs::line_of(block.impl_token.span), owner_path(owner));
    let table =
        if is_right { table(registrations, std::iter::empty()) } else { quote!(::core::unreachable!()) };
    let submission = is_right.then(|| {
        let once = registrations.served_once(&quote!(type __Owner = #owner;));
        quote! {
            #once
            ::labrig::__private::inventory::submit! { ::labrig::__private::ScopeRegistration::of::<#owner>() }
        }
    });
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(unused_imports, unused_mut, deprecated, clippy::all, clippy::pedantic)]
        impl ::labrig::__private::ScopeHandles for #owner {
            const FILE: &'static str = ::core::file!();
            const LINE: u32 = #line;
            const PATH: &'static str = #path;
            fn table() -> ::labrig::__private::HandlerTable<Self> { #table }
            fn default_value() -> ::core::option::Option<Self> {
                use ::labrig::__private::{HasDefault as _, HasNoDefault as _};
                (&&<::labrig::__private::DefaultProbe<Self> as ::core::default::Default>::default()).value()
            }
        }
        #submission
    }
}
