//! `#[derive(Schema)]`: what a type looks like on the wire.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, GenericParam, Generics, Variant, parse_quote};

use crate::docs;
use crate::fields::{self, Around};
use crate::mistakes::Mistakes;
use crate::serde_options::{Place, SerdeOptions};

/// Writes `impl Schema`, or the mistakes with an impl that is never run.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut mistakes = Mistakes::default();
    let description = describe(&input, &mut mistakes);
    let body = if mistakes.none() { description } else { quote!(::core::unreachable!()) };
    let implementation = implement(&input, &body);
    let told = mistakes.tell();
    quote!(#told #implementation)
}

fn implement(input: &DeriveInput, body: &TokenStream) -> TokenStream {
    let (name, bounded) = (&input.ident, with_bounds(&input.generics));
    let (parameters, _, conditions) = bounded.split_for_impl();
    let (_, arguments, _) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(unused_imports, unused_variables, deprecated, clippy::all, clippy::pedantic)]
        impl #parameters ::labrig::__private::Schema for #name #arguments #conditions {
            fn schema(__builder: &mut ::labrig::__private::SchemaBuilder) -> ::labrig::__private::Node {
                use ::labrig::__private::{HasDefault as _, HasNoDefault as _, HasNoText as _, HasText as _};
                #body
            }
        }
    }
}

fn with_bounds(generics: &Generics) -> Generics {
    let mut bounded = generics.clone();
    for parameter in bounded.type_params_mut() {
        parameter.bounds.push(parse_quote!(::labrig::__private::Schema));
    }
    bounded
}

/// A body: the node that names the type, described the first time it is met.
fn describe(input: &DeriveInput, mistakes: &mut Mistakes) -> TokenStream {
    let serde = SerdeOptions::read(&input.attrs, Place::Container, mistakes);
    fields::refuse_options(&input.attrs, "the type", mistakes);
    let around = Around {
        rename_all: serde.rename_all,
        preset: serde.preset.is_some(),
        transparent: serde.transparent,
        generic: !input.generics.params.is_empty(),
    };
    let found = mistakes.count();
    let shape = match &input.data {
        Data::Struct(data) => fields::shape(&data.fields, around, mistakes),
        Data::Enum(data) => enumeration(data, &serde, around, mistakes),
        Data::Union(data) => refuse_union(&data.union_token, mistakes),
    };
    if mistakes.count() == found {
        refuse_lifetimes(&input.generics, mistakes);
    }
    let preset = serde.preset.as_ref().filter(|_| !around.generic).map(|preset| {
        let value = fields::preset_value(preset, &parse_quote!(Self));
        quote!(let __preset: ::core::option::Option<Self> = #value;)
    });
    let (path, doc) = (path(input), docs::text(&input.attrs));
    quote! {
        let __path = #path;
        __builder.named(&__path, #doc, |__builder| { #preset #shape })
    }
}

/// An expression: the type's path, with the identities of its arguments.
fn path(input: &DeriveInput) -> TokenStream {
    let base = docs::path(&docs::name(&input.ident));
    let arguments: Vec<_> = input.generics.params.iter().filter_map(argument).collect();
    if arguments.is_empty() {
        return base;
    }
    quote! {{
        let __arguments: ::std::vec::Vec<::std::string::String> = ::std::vec::Vec::from([#(#arguments),*]);
        ::std::format!("{}<{}>", #base, __arguments.join(", "))
    }}
}

fn argument(parameter: &GenericParam) -> Option<TokenStream> {
    match parameter {
        GenericParam::Type(parameter) => {
            let name = &parameter.ident;
            Some(quote!(<#name as ::labrig::__private::Schema>::schema(__builder).identity()))
        }
        GenericParam::Const(parameter) => {
            let name = &parameter.ident;
            Some(quote!(::std::string::ToString::to_string(&#name)))
        }
        GenericParam::Lifetime(_) => None,
    }
}

fn enumeration(
    data: &DataEnum,
    serde: &SerdeOptions,
    around: Around,
    mistakes: &mut Mistakes,
) -> TokenStream {
    let variants: Vec<_> =
        data.variants.iter().map(|variant| describe_variant(variant, serde, around, mistakes)).collect();
    quote!(::labrig::__private::Shape::Enum(::std::vec::Vec::from([#(#variants),*])))
}

fn describe_variant(
    variant: &Variant,
    container: &SerdeOptions,
    around: Around,
    mistakes: &mut Mistakes,
) -> TokenStream {
    let serde = SerdeOptions::read(&variant.attrs, Place::Variant, mistakes);
    fields::refuse_options(&variant.attrs, "a variant", mistakes);
    let written = docs::name(&variant.ident);
    let name = match (serde.name, container.rename_all) {
        (Some(renamed), _) => renamed,
        (None, Some(rule)) => rule.of_variant(&written),
        (None, None) => written,
    };
    let rename_all = serde.rename_all.or(container.rename_all_fields);
    let within = Around { rename_all, preset: false, transparent: false, ..around };
    let (doc, shape) = (docs::text(&variant.attrs), fields::shape(&variant.fields, within, mistakes));
    quote! {
        ::labrig::__private::Variant {
            name: ::std::string::String::from(#name),
            doc: ::std::string::String::from(#doc),
            shape: #shape,
        }
    }
}

fn refuse_union(union_token: &syn::Token![union], mistakes: &mut Mistakes) -> TokenStream {
    mistakes.add(union_token, "a union does not say which of its fields holds the value", "write an `enum`");
    TokenStream::new()
}

/// Said only when no field has been blamed already.
fn refuse_lifetimes(generics: &Generics, mistakes: &mut Mistakes) {
    if let Some(lifetime) = generics.lifetimes().next() {
        let what = "a value from another process owns its data and has no lifetime";
        mistakes.add(lifetime, what, format!("remove `{}`", lifetime.lifetime));
    }
}
