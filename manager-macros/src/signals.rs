//! `#[derive(Signals)]`: how a set of signals, or an enum that is one, becomes words of shared memory.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DataEnum, DataStruct, DeriveInput, Field, Fields, spanned::Spanned};

use crate::docs;
use crate::mistakes::Mistakes;
use crate::serde_options::{Place, SerdeOptions};

/// Writes `impl SignalValue` and, for a struct, `impl Signals`; or the mistakes with impls that are never run.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut mistakes = Mistakes::default();
    check_plain(&input, &mut mistakes);
    let words = match &input.data {
        Data::Struct(data) => of_struct(&input, data, &mut mistakes),
        Data::Enum(data) => of_enum(&input, data, &mut mistakes),
        Data::Union(data) => {
            let help = "write a struct with named fields";
            mistakes.add(&data.union_token, "a union does not say which of its fields holds the value", help);
            Words::default()
        }
    };
    let is_plain = input.generics.params.is_empty();
    let implementation = is_plain.then(|| implement(&input, &words, mistakes.none()));
    let told = mistakes.tell();
    quote!(#told #implementation)
}

/// Expressions and bodies: how many words, how they are put, how they are taken.
#[derive(Default)]
struct Words {
    count: TokenStream,
    put: TokenStream,
    take: TokenStream,
}

fn check_plain(input: &DeriveInput, mistakes: &mut Mistakes) {
    if let Some(parameter) = input.generics.params.first() {
        let what = format!("`{}` is generic, and signals have one name and one type", input.ident);
        mistakes.add(parameter, what, "write a type without parameters for each use");
    }
}

fn of_struct(input: &DeriveInput, data: &DataStruct, mistakes: &mut Mistakes) -> Words {
    let Fields::Named(fields) = &data.fields else {
        let what = format!("the signals of `{}` have no names", input.ident);
        mistakes.add(&input.ident, what, "name them: `struct MotorSignals { height_um: f64 }`");
        return Words::default();
    };
    let fields: Vec<&Field> = fields.named.iter().collect();
    if fields.is_empty() {
        let what = format!("`{}` has no signals", input.ident);
        mistakes.add(&input.ident, what, "add a field: `height_um: f64`");
    }
    fields.iter().for_each(|field| refuse_skip(field, mistakes));
    let (types, names): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.ty, &field.ident)).unzip();
    let parts: Vec<_> = (0..fields.len()).map(|index| format_ident!("__part_{index}")).collect();
    let value =
        |ty: &&syn::Type| quote::quote_spanned!(ty.span()=> <#ty as ::labrig::__private::SignalValue>);
    let values: Vec<_> = types.iter().map(value).collect();
    Words {
        count: quote!(0 #(+ #values::WORDS)*),
        put: quote!(#(#values::put(&self.#names, __put);)*),
        take: quote! {
            #(let #parts = #values::take(__next);)*
            ::core::option::Option::Some(Self { #(#names: #parts?),* })
        },
    }
}

/// A field that the schema leaves out would be missing where values are found by the schema.
fn refuse_skip(field: &Field, mistakes: &mut Mistakes) {
    // What is wrong with serde's attributes otherwise is told by `derive(Schema)`.
    let serde = SerdeOptions::read(&field.attrs, Place::Field, &mut Mistakes::default());
    if serde.skip {
        mistakes.add(&field.ident, "a signal cannot be skipped", "remove `skip`, or the field");
    }
}

fn of_enum(input: &DeriveInput, data: &DataEnum, mistakes: &mut Mistakes) -> Words {
    if data.variants.is_empty() {
        let what = format!("`{}` has no values", input.ident);
        mistakes.add(&input.ident, what, "add a variant: `Idle`");
    }
    for variant in data.variants.iter().filter(|variant| variant.fields != Fields::Unit) {
        let what = format!("variant `{}` carries something, and a signal has a fixed size", variant.ident);
        mistakes.add(&variant.fields, what, "remove its fields, and publish what it carries as signals");
    }
    let names: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let numbers: Vec<_> = (0_u64..).take(names.len()).collect();
    Words {
        count: quote!(1),
        put: quote!(__put(match *self { #(Self::#names => #numbers),* });),
        take: quote! {
            match __next() {
                #(#numbers => ::core::option::Option::Some(Self::#names),)*
                _ => ::core::option::Option::None,
            }
        },
    }
}

fn implement(input: &DeriveInput, words: &Words, is_right: bool) -> TokenStream {
    let name = &input.ident;
    let unreachable = || quote!(::core::unreachable!());
    let (count, put, take) = match is_right {
        true => (words.count.clone(), words.put.clone(), words.take.clone()),
        false => (quote!(0), unreachable(), unreachable()),
    };
    let is_set = matches!(input.data, Data::Struct(_));
    let line = docs::line_of(Span::call_site());
    let set = is_set.then(|| {
        quote! {
            #[automatically_derived]
            #[diagnostic::do_not_recommend]
            impl ::labrig::__private::Signals for #name {
                const FILE: &'static str = ::core::file!();
                const LINE: u32 = #line;
            }
        }
    });
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(unused_variables, deprecated, clippy::all, clippy::pedantic)]
        impl ::labrig::__private::SignalValue for #name {
            const WORDS: usize = #count;
            #[inline]
            fn put(&self, __put: &mut impl ::core::ops::FnMut(u64)) { #put }
            #[inline]
            fn take(__next: &mut impl ::core::ops::FnMut() -> u64) -> ::core::option::Option<Self> { #take }
        }
        #set
    }
}
