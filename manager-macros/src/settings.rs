//! `#[derive(Settings)]`: a struct whose every field has a default.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields};

use crate::docs;
use crate::mistakes::Mistakes;
use crate::serde_options::{Place, SerdeOptions};

/// Writes `impl Settings`, or the mistakes with an impl that is never run.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut mistakes = Mistakes::default();
    check(&input, &mut mistakes);
    let implementation = input.generics.params.is_empty().then(|| implement(&input));
    let told = mistakes.tell();
    quote!(#told #implementation)
}

fn check(input: &DeriveInput, mistakes: &mut Mistakes) {
    let name = &input.ident;
    if let Some(parameter) = input.generics.params.first() {
        let what = format!("`{name}` is generic, and settings have one name and one type");
        mistakes.add(parameter, what, "write a struct without parameters");
    }
    let Data::Struct(data) = &input.data else {
        let help = "write a struct with a field for each setting; a field may be an enum";
        return mistakes.add(name, format!("`{name}` is no struct, so its settings have no names"), help);
    };
    let Fields::Named(fields) = &data.fields else {
        let what = format!("the settings of `{name}` have no names");
        return mistakes.add(name, what, "name them: `struct CameraSettings { exposure_ms: f64 }`");
    };
    if fields.named.is_empty() {
        mistakes.add(name, format!("`{name}` has no settings"), "add a field: `exposure_ms: f64`");
    }
    // What is wrong with serde's attributes otherwise is told by `derive(Schema)`.
    let all_have =
        SerdeOptions::read(&input.attrs, Place::Container, &mut Mistakes::default()).preset.is_some();
    fields.named.iter().for_each(|field| check_field(field, all_have, mistakes));
}

fn check_field(field: &Field, all_have: bool, mistakes: &mut Mistakes) {
    let serde = SerdeOptions::read(&field.attrs, Place::Field, &mut Mistakes::default());
    let Some(name) = &field.ident else { return };
    if serde.skip {
        mistakes.add(name, "a setting cannot be skipped", "remove `skip`, or the field");
    } else if serde.preset.is_none() && !all_have {
        let help = "write `#[serde(default = \"…\")]` above it, or `#[serde(default)]` above the struct";
        mistakes.add(name, format!("setting `{name}` has no default"), help);
    }
}

fn implement(input: &DeriveInput) -> TokenStream {
    let (name, line) = (&input.ident, docs::line_of(Span::call_site()));
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl ::labrig::__private::Settings for #name {
            const FILE: &'static str = ::core::file!();
            const LINE: u32 = #line;
        }
    }
}
