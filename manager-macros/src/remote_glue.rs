//! What `#[remote]` writes: for each method a command of its arguments and the two ways to call it, on a proxy to which
//! every handle derefs; and the registration of what runs them where the value is.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemImpl, Type};

use crate::docs;
use crate::glue;
use crate::place;
use crate::remote::{Hook, RemoteMethod};
use crate::types;

/// The value's type, in the words that are needed of it.
struct Value<'a> {
    ty: &'a Type,
    name: String,
    proxy: Ident,
}

/// The items that follow the block; with mistakes, those without which other code would not compile.
pub(crate) fn write(
    block: &ItemImpl,
    methods: &[RemoteMethod],
    hooks: &[Hook],
    is_right: bool,
) -> TokenStream {
    let segment = types::last_segment(&block.self_ty);
    let name = segment.map(|segment| docs::name(&segment.ident)).unwrap_or_default();
    let value = Value { ty: &block.self_ty, proxy: format_ident!("{name}Proxy"), name };
    let calls: TokenStream = match is_right {
        true => methods.iter().map(|method| calls(&value, method)).collect(),
        // Callers are not to be told of what is missing because of the mistakes.
        false => methods.iter().map(|method| hollow_calls(&value, method)).collect(),
    };
    let methods = if is_right { methods } else { &[] };
    let (proxy, submission) = (proxy(&value), is_right.then(|| submission(&value)));
    let (described, serves) =
        (described(&value, methods, !hooks.is_empty()), serves(&value, block, methods, hooks));
    quote! {
        #proxy
        #[allow(deprecated, private_interfaces, clippy::all, clippy::pedantic)]
        const _: () = { #calls #described #serves #submission };
    }
}

/// The proxy's type, beside the value's.
fn proxy(Value { name, proxy, .. }: &Value<'_>) -> TokenStream {
    let doc = format!("The methods of a far [`{name}`], on every handle to one. Written by `#[remote]`.");
    let remote = quote!(::labrig::__private);
    quote! {
        #[doc = #doc]
        pub struct #proxy(#remote::RemoteHandle);

        #[automatically_derived]
        impl #remote::RemoteProxy for #proxy {
            fn over(handle: #remote::RemoteHandle) -> Self { Self(handle) }
            fn handle(&self) -> &#remote::RemoteHandle { &self.0 }
        }

    }
}

/// What is known of the value wherever there is a handle to one.
fn described(value: &Value<'_>, methods: &[RemoteMethod], has_hooks: bool) -> TokenStream {
    let Value { ty, name, proxy } = value;
    let private = quote!(::labrig::__private);
    let ids = methods.iter().map(|method| {
        let (conditions, command) = (&method.conditions, command(value, method));
        quote!(#(#conditions)* <#command as #private::Command>::spec().id)
    });
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #private::RemoteValue for #ty {
            type Proxy = #proxy;
            const NAME: &'static str = #name;
            const PATH: &'static str = ::core::concat!(::core::module_path!(), "::", #name);
            fn fingerprint() -> u64 {
                static FINGERPRINT: ::std::sync::OnceLock<u64> = ::std::sync::OnceLock::new();
                *FINGERPRINT.get_or_init(|| #private::fingerprint_of(Self::PATH, &[#(#ids),*]))
            }
            fn has_hooks() -> bool { #has_hooks }
        }
    }
}

/// The command of a method's arguments: its name and its fields.
fn command(value: &Value<'_>, method: &RemoteMethod) -> Ident {
    let camel: String = docs::name(&method.name).split('_').map(capitalised).collect();
    Ident::new(&format!("{}{camel}", value.name), method.name.span())
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A method's command, and the ways to call it.
fn calls(value: &Value<'_>, method: &RemoteMethod) -> TokenStream {
    let (conditions, command) = (&method.conditions, command(value, method));
    let (fields, types): (Vec<_>, Vec<_>) = method.arguments.iter().map(|(name, ty)| (name, ty)).unzip();
    let private = quote!(::labrig::__private);
    let serde = "::labrig::__private::serde";
    let (reply, spec) = (&method.reply, spec(value, method));
    let methods = proxied(value, method, &|of| quote!(self.0.#of(#command { #(#fields),* })));
    let writes = method.writes;
    quote! {
        #(#conditions)*
        #[derive(#private::serde::Serialize, #private::serde::Deserialize, ::labrig::Schema)]
        #[serde(crate = #serde)]
        struct #command { #(#fields: #types),* }

        #(#conditions)*
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #private::Command for #command {
            type Reply = #reply;
            type Delivery = #private::OfValue;
            fn spec() -> &'static #private::CommandSpec { #spec }
        }

        #(#conditions)*
        #[automatically_derived]
        impl #private::RemoteCommand for #command { const WRITES: bool = #writes; }

        #methods
    }
}

fn hollow_calls(value: &Value<'_>, method: &RemoteMethod) -> TokenStream {
    proxied(value, method, &|_| quote!(::core::unreachable!()))
}

/// The two ways to call a method, on the proxy.
fn proxied(value: &Value<'_>, method: &RemoteMethod, body: &dyn Fn(Ident) -> TokenStream) -> TokenStream {
    let (conditions, proxy, name) = (&method.conditions, &value.proxy, &method.name);
    let (fields, types): (Vec<_>, Vec<_>) = method.arguments.iter().map(|(name, ty)| (name, ty)).unzip();
    let start = Ident::new(&format!("start_{}", docs::name(name)), name.span());
    let (call, begin) = (body(Ident::new("call", name.span())), body(Ident::new("start", name.span())));
    let reply = &method.reply;
    let doc = format!(
        "{}\n\nAsks the process that has the value, and waits for the answer for as long as the call may take.\n\n\
         # Errors\nAny `CallError`; of kind `StaleHandle` when the value is gone.",
        method.doc
    );
    let start_doc = format!(
        "As [`{0}`](Self::{0}), without waiting for it.\n\n\
         # Errors\n`Refusal`, when it is known at once that it will not run.",
        docs::name(name)
    );
    quote! {
        #(#conditions)*
        #[allow(unused_variables)]
        impl #proxy {
            #[doc = #doc]
            pub fn #name(&self, #(#fields: #types),*) -> ::core::result::Result<#reply, ::labrig::CallError> {
                #call
            }
            #[doc = #start_doc]
            pub fn #start(
                &self,
                #(#fields: #types),*
            ) -> ::core::result::Result<::labrig::PendingReply<#reply>, ::labrig::Refusal> {
                #begin
            }
        }
    }
}

/// An expression: the spec of a method's command, made once.
fn spec(value: &Value<'_>, method: &RemoteMethod) -> TokenStream {
    let (name, doc) = (format!("{}::{}", value.name, docs::name(&method.name)), &method.doc);
    let line = docs::line_of(method.name.span());
    let deadline_ms = match method.deadline_ms {
        Some(limit) => quote!(::core::option::Option::Some(#limit)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        static SPEC: ::std::sync::OnceLock<::labrig::__private::CommandSpec> = ::std::sync::OnceLock::new();
        SPEC.get_or_init(|| {
            ::labrig::__private::CommandSpec::of::<Self>(::labrig::__private::CommandOptions {
                name: #name,
                path: ::core::concat!(::core::module_path!(), "::", #name),
                doc: #doc,
                audience: "",
                overflow: ::labrig::__private::Overflow::Refuse,
                script: false,
                file: ::core::file!(),
                line: #line,
                deadline_ms: #deadline_ms,
                idempotent: false,
                hazardous: false,
                journaled: false,
            })
        })
    }
}

/// What runs a method where its value is.
fn served(value: &Value<'_>, method: &RemoteMethod) -> TokenStream {
    let (conditions, command, ty, name) =
        (&method.conditions, command(value, method), value.ty, &method.name);
    let line = docs::line_of(name.span());
    let fields: Vec<_> = method.arguments.iter().map(|(name, _)| name).collect();
    let places: Vec<_> = (0..fields.len()).map(|at| format_ident!("__argument_{at}")).collect();
    let context = method.takes_context.then(|| quote!(__context));
    let end = glue::end(&method.returns, &quote!(<#command as ::labrig::__private::Command>::Reply));
    let (written, writes) = (docs::name(name), method.writes);
    let answer = place::of_incoming("reply", &command, &quote!(&__incoming, &__reply));
    let private = quote!(::labrig::__private);
    quote! {
        #(#conditions)*
        #private::RemoteMethod {
            command: <#command as #private::Command>::spec,
            method: #written,
            file: ::core::file!(),
            line: #line,
            writes: #writes,
            invoke: |__value, __incoming, __context| {
                let __owner = #private::value_as::<#ty>(__value)?;
                let #command { #(#fields: #places),* } = #private::Incoming::command::<#command>(&__incoming)?;
                let __returned = <#ty>::#name(__owner, #(#places,)* #context);
                let __reply = #end?;
                #answer
            },
        }
    }
}

fn serves(value: &Value<'_>, block: &ItemImpl, methods: &[RemoteMethod], hooks: &[Hook]) -> TokenStream {
    let methods = methods.iter().map(|method| served(value, method));
    let (ty, line) = (value.ty, docs::line_of(block.impl_token.span));
    let hook = |is_connected| {
        let named = hooks.iter().filter(|hook| hook.is_connected == is_connected).map(|hook| &hook.name);
        let calls = named.map(|name| quote_spanned!(name.span()=> <#ty>::#name(__owner, __holder);));
        quote!(#(#calls)*)
    };
    let (connected, disconnected) = (hook(true), hook(false));
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl ::labrig::__private::ServesRemote for #ty {
            const FILE: &'static str = ::core::file!();
            const LINE: u32 = #line;
            fn methods() -> ::std::vec::Vec<::labrig::__private::RemoteMethod> {
                #[allow(unused_imports)]
                use ::labrig::__private::{FailNot as _, FailText as _, FailTyped as _, FailTypedDebug as _};
                ::std::vec::Vec::from([#(#methods),*])
            }
            #[allow(unused_variables)]
            fn held(__owner: &mut Self, __holder: &str, __is_connected: bool) {
                if __is_connected { #connected } else { #disconnected }
            }
        }
    }
}

fn submission(value: &Value<'_>) -> TokenStream {
    let ty = value.ty;
    let of = quote_spanned!(ty.span()=> of::<#ty>());
    quote!(::labrig::__private::inventory::submit! { ::labrig::__private::RemoteRegistration::#of })
}
