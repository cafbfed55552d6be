//! `#[derive(Command)]`: what a command is called, how it is delivered, what answers it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, GenericParam, Type, parse_quote};

use crate::docs;
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};
use crate::types;

/// What `#[command(…)]` knows.
const KNOWN: &[Known] = &[
    ("reply", Takes::Type, "reply = Settled"),
    ("direct", Takes::Nothing, "direct"),
    ("broadcast", Takes::Nothing, "broadcast"),
    ("scope", Takes::Nothing, "scope"),
    ("name", Takes::Text, "name = \"MoveTo\""),
    ("audience", Takes::Text, "audience = \"all\""),
    ("scriptable", Takes::Nothing, "scriptable"),
    ("drop_oldest", Takes::Nothing, "drop_oldest"),
    ("keep_latest", Takes::Nothing, "keep_latest"),
    ("deadline_ms", Takes::Count, "deadline_ms = 500"),
    ("idempotent", Takes::Nothing, "idempotent"),
    ("hazardous", Takes::Nothing, "hazardous"),
    ("journaled", Takes::Nothing, "journaled"),
];

/// Writes `impl Command`, or the mistakes with an impl that is never run.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut mistakes = Mistakes::default();
    let options = read_options(&input, &mut mistakes);
    check_item(&input, &mut mistakes);
    check_name(&options, &mut mistakes);
    check_delivery(&options, &mut mistakes);
    check_overflow(&options, &mut mistakes);
    let is_plain = input.generics.params.is_empty();
    let implementation = is_plain.then(|| implement(&input, &options, mistakes.none()));
    let told = mistakes.tell();
    quote!(#told #implementation)
}

fn read_options(input: &DeriveInput, mistakes: &mut Mistakes) -> Options {
    let mut options = Options::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("command")) {
        let more = Options::of_meta(&attribute.meta, KNOWN, mistakes);
        options.extend(more, mistakes);
    }
    options
}

fn check_item(input: &DeriveInput, mistakes: &mut Mistakes) {
    let name = &input.ident;
    if let Data::Union(data) = &input.data {
        mistakes.add(
            &data.union_token,
            "a union does not say which of its fields holds the value",
            "write an `enum`",
        );
    }
    for parameter in &input.generics.params {
        let (what, help) = match parameter {
            GenericParam::Lifetime(_) => (
                format!("command `{name}` borrows, and it outlives the call that sends it"),
                "own the data, and remove the lifetime",
            ),
            _ => (
                format!("command `{name}` is generic, and a command has one name and one fingerprint"),
                "write one command type for each use",
            ),
        };
        mistakes.add(parameter, what, help);
    }
}

fn check_name(options: &Options, mistakes: &mut Mistakes) {
    let Some(text) = options.text("name") else { return };
    let name = text.value();
    let begins_well = name.chars().next().is_some_and(|first| first.is_ascii_alphabetic());
    if !begins_well || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        let what = format!("`{name}` cannot be typed as a command's name");
        mistakes.add(
            text,
            what,
            "begin with a letter, go on with letters, digits and `_`: `name = \"MoveTo\"`",
        );
    }
}

fn check_delivery(options: &Options, mistakes: &mut Mistakes) {
    let given: Vec<_> = options.keys().filter(|key| is_delivery(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        let what = format!("a command is delivered in one way, not both `{first}` and `{second}`");
        mistakes.add(second, what, "keep one of them; `direct` is the default");
    }
    let Some(audience) = options.text("audience") else { return };
    if !options.has("broadcast")
        && let Some(key) = options.key("audience")
    {
        let help = format!("write `broadcast, audience = \"{}\"`", audience.value());
        mistakes.add(key, "only a broadcast has an audience", help);
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if audience.value().is_empty() || !audience.value().chars().all(allowed) {
        let what = format!("`{}` cannot be the name of a group", audience.value());
        mistakes.add(audience, what, "write `audience = \"all\"`, or the name of a group in the config");
    }
}

fn is_delivery(key: &Ident) -> bool {
    ["direct", "broadcast", "scope"].iter().any(|delivery| key == delivery)
}

/// A queue may only displace commands that nobody waits for.
fn check_overflow(options: &Options, mistakes: &mut Mistakes) {
    let given: Vec<_> = options.keys().filter(|key| *key == "drop_oldest" || *key == "keep_latest").collect();
    if let [first, second] = given.as_slice() {
        mistakes.add(second, format!("`{first}` and `{second}` exclude each other"), "keep one of them");
    }
    let Some(policy) = given.first() else { return };
    let reply = options.key("reply").filter(|_| options.ty("reply").is_some_and(|ty| !types::is_unit(ty)));
    if let Some(reply) = reply {
        let what = format!("a command that `{policy}` displaces is never answered, and this one has a reply");
        mistakes.add(reply, what, format!("remove `reply`, or `{policy}`"));
    }
    if let Some(delivery) = options.keys().find(|key| *key == "broadcast" || *key == "scope") {
        let what =
            format!("`{policy}` is about the queue of one manager, and `{delivery}` does not name one");
        mistakes.add(policy, what, format!("remove `{policy}`, or `{delivery}`"));
    }
}

fn implement(input: &DeriveInput, options: &Options, is_right: bool) -> TokenStream {
    let name = &input.ident;
    let reply: Type = options.ty("reply").cloned().unwrap_or_else(|| parse_quote!(()));
    let delivery = delivery(options);
    let spec = if is_right { spec(input, options) } else { quote!(::core::unreachable!()) };
    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(deprecated, clippy::all, clippy::pedantic)]
        impl ::labrig::__private::Command for #name {
            type Reply = #reply;
            type Delivery = ::labrig::__private::#delivery;
            fn spec() -> &'static ::labrig::__private::CommandSpec {
                #spec
            }
        }
    }
}

/// The delivery's type, at the place of the option that names it.
fn delivery(options: &Options) -> Ident {
    match options.keys().find(|key| is_delivery(key)) {
        Some(key) if *key == "broadcast" => Ident::new("Broadcast", key.span()),
        Some(key) if *key == "scope" => Ident::new("ScopeLevel", key.span()),
        Some(key) => Ident::new("Direct", key.span()),
        None => Ident::new("Direct", Span::call_site()),
    }
}

/// An expression: the command's spec, made once.
fn spec(input: &DeriveInput, options: &Options) -> TokenStream {
    let path = docs::path(&docs::name(&input.ident));
    let name = options.text("name").map_or_else(|| docs::name(&input.ident), syn::LitStr::value);
    let (doc, line) = (docs::text(&input.attrs), docs::line_of(input.ident.span()));
    let audience = options.text("audience").map(syn::LitStr::value).unwrap_or_default();
    let script = options.has("scriptable");
    let overflow = match (options.has("drop_oldest"), options.has("keep_latest")) {
        (true, _) => quote!(DropOldest),
        (_, true) => quote!(KeepLatest),
        _ => quote!(Refuse),
    };
    let deadline_ms = match options.count("deadline_ms") {
        Some(limit) => quote!(::core::option::Option::Some(#limit)),
        None => quote!(::core::option::Option::None),
    };
    let idempotent = options.has("idempotent");
    let hazardous = options.has("hazardous");
    let journaled = options.has("journaled");
    quote! {
        static SPEC: ::std::sync::OnceLock<::labrig::__private::CommandSpec> = ::std::sync::OnceLock::new();
        SPEC.get_or_init(|| {
            ::labrig::__private::CommandSpec::of::<Self>(::labrig::__private::CommandOptions {
                name: #name,
                path: #path,
                doc: #doc,
                audience: #audience,
                overflow: ::labrig::__private::Overflow::#overflow,
                script: #script,
                file: ::core::file!(),
                line: #line,
                deadline_ms: #deadline_ms,
                idempotent: #idempotent,
                hazardous: #hazardous,
                journaled: #journaled,
            })
        })
    }
}
