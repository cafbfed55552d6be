//! The registrations of marked methods: expressions that call them by the uniform signatures of labrig.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, LitStr, Meta, Type};

use crate::docs;
use crate::marks::{Job, Marked};
use crate::mistakes::Mistakes;
use crate::options::{Known, Options, Takes};
use crate::place;
use crate::signature::{self, Method};
use crate::types;

const EVERY: &[Known] = &[
    ("milliseconds", Takes::Count, "milliseconds = 20"),
    ("seconds", Takes::Count, "seconds = 1"),
    ("microseconds", Takes::Count, "microseconds = 500"),
];
const ON_FRAME: &[Known] = &[("input", Takes::Text, "input = \"video\"")];

/// A handler, as far as other handlers must differ from it.
pub(crate) struct Served {
    pub(crate) method: syn::Ident,
    pub(crate) command: Type,
    pub(crate) conditions: Vec<Attribute>,
}

/// Everything a block or a role registers, as expressions.
#[derive(Default)]
pub(crate) struct Registrations {
    pub(crate) handlers: Vec<TokenStream>,
    pub(crate) timers: Vec<TokenStream>,
    pub(crate) frames: Vec<TokenStream>,
    pub(crate) checks: Vec<TokenStream>,
    pub(crate) settings: Vec<TokenStream>,
    pub(crate) served: Vec<Served>,
}

/// Where the methods are found, and what role they are of.
pub(crate) struct Owner {
    /// The path before `::method`.
    pub(crate) callee: TokenStream,
    /// An expression: the role's path, if they are of one.
    pub(crate) role: TokenStream,
    /// Whether timers, frame handlers and self-checks are allowed, and if not, why.
    pub(crate) handlers_only: Option<&'static str>,
}

impl Registrations {
    /// Reads the marked methods and writes what registers them.
    pub(crate) fn of(marked: &[Marked], owner: &Owner, mistakes: &mut Mistakes) -> Self {
        let mut registrations = Self::default();
        for method in marked {
            match (method.job, owner.handlers_only) {
                (Job::Command, _) => registrations.add_handler(method, owner, mistakes),
                (_, Some(reason)) => {
                    mistakes.add(&method.meta, reason, "move the method to the `#[manager]` block");
                }
                (Job::Every, None) => registrations.add_timer(method, owner, mistakes),
                (Job::OnFrame, None) => registrations.add_frame_handler(method, owner, mistakes),
                (Job::OnSettings, None) => registrations.add_settings(method, owner, mistakes),
                (Job::SelfCheck, None) => registrations.add_self_check(method, owner, mistakes),
            }
        }
        registrations.check_served_once(mistakes);
        registrations
    }

    fn add_handler(&mut self, marked: &Marked, owner: &Owner, mistakes: &mut Mistakes) {
        if !matches!(marked.meta, Meta::Path(_)) {
            mistakes.add(
                &marked.meta,
                "`#[ipc_command]` has no options",
                "write them on the command: `#[command(…)]`",
            );
        }
        let Some(method) = signature::handler(&marked.signature, mistakes) else { return };
        let Some(command) = method.command.clone() else { return };
        self.handlers.push(handler(marked, &method, &command, owner));
        self.served.push(Served { method: method.name, command, conditions: marked.conditions.clone() });
    }

    fn add_timer(&mut self, marked: &Marked, owner: &Owner, mistakes: &mut Mistakes) {
        let period = period(&marked.meta, mistakes);
        let Some(method) = signature::timer(&marked.signature, mistakes) else { return };
        self.timers.push(timer(marked, &method, period.unwrap_or_default(), owner));
    }

    fn add_frame_handler(&mut self, marked: &Marked, owner: &Owner, mistakes: &mut Mistakes) {
        let input = input(marked, mistakes);
        let Some(method) = signature::frame_handler(&marked.signature, mistakes) else { return };
        self.frames.push(frame_handler(marked, &method, &input, owner));
    }

    fn add_self_check(&mut self, marked: &Marked, owner: &Owner, mistakes: &mut Mistakes) {
        if !matches!(marked.meta, Meta::Path(_)) {
            let help = "write `#[self_check]`; the method's name and doc text are those of the check";
            mistakes.add(&marked.meta, "`#[self_check]` has no options", help);
        }
        let Some(method) = signature::self_check(&marked.signature, mistakes) else { return };
        self.checks.push(self_check(marked, &method, owner));
    }

    fn add_settings(&mut self, marked: &Marked, owner: &Owner, mistakes: &mut Mistakes) {
        if !matches!(marked.meta, Meta::Path(_)) {
            let help = "write `#[on_settings]`; which settings they are is said by the method";
            mistakes.add(&marked.meta, "`#[on_settings]` has no options", help);
        }
        if !self.settings.is_empty() {
            let help = "put them into one struct, whose fields may be structs";
            mistakes.add(&marked.meta, "a manager kind has one set of settings", help);
        }
        let Some(method) = signature::settings_handler(&marked.signature, mistakes) else { return };
        let Some(settings) = method.command.clone() else { return };
        self.settings.push(settings_handler(marked, &method, &settings, owner));
    }

    /// Two handlers of one command are told here when both name it alike; the compiler tells the rest.
    fn check_served_once(&self, mistakes: &mut Mistakes) {
        for (index, served) in self.served.iter().enumerate() {
            let command = signature::written(&served.command);
            let is_same = |earlier: &&Served| {
                signature::written(&earlier.command) == command
                    && earlier.conditions.is_empty()
                    && served.conditions.is_empty()
            };
            if let Some(earlier) = self.served[..index].iter().find(is_same) {
                let what = format!("`{}` and `{}` both handle `{command}`", earlier.method, served.method);
                mistakes.add(&served.command, what, "keep one of them, or give each a command of its own");
            }
        }
    }

    /// An item: two handlers of one command, under whatever names, do not compile. `owner` declares `__Owner`.
    pub(crate) fn served_once(&self, owner: &TokenStream) -> TokenStream {
        let claims = self.served.iter().map(|Served { command, conditions, .. }| {
            quote_spanned!(command.span()=> #(#conditions)* impl OneHandlerOf<#command> for __Owner {})
        });
        quote! {
            #[allow(dead_code, unused)]
            const _: () = {
                trait OneHandlerOf<Command> {}
                #owner
                #(#claims)*
            };
        }
    }
}

fn handler(marked: &Marked, method: &Method, command: &Type, owner: &Owner) -> TokenStream {
    let (conditions, callee, role) = (&marked.conditions, &owner.callee, &owner.role);
    let (name, written_name) = (&method.name, docs::name(&method.name));
    let line = docs::line_of(marked.signature.ident.span());
    let context = method.takes_context.then(|| quote!(, __context));
    let of_command = quote!(::labrig::__private::Command);
    let spec = place::qualified(command, &of_command, "spec");
    let end = end(&method.returns, &place::qualified(command, &of_command, "Reply"));
    let read = place::of_incoming("command", command, &quote!(&__incoming));
    let (reply, borrowed) = place::local("__reply", command);
    let answer = place::of_incoming("reply", command, &quote!(&__incoming, #borrowed));
    quote! {
        #(#conditions)*
        ::labrig::__private::Handler {
            command: #spec,
            method: #written_name,
            file: ::core::file!(),
            line: #line,
            role: #role,
            invoke: |__owner, __incoming, __context| {
                let __command = #read?;
                let __returned = #callee::#name(__owner, __command #context);
                let #reply = #end?;
                #answer
            },
        }
    }
}

fn timer(marked: &Marked, method: &Method, period: Duration, owner: &Owner) -> TokenStream {
    let (conditions, callee) = (&marked.conditions, &owner.callee);
    let (name, written_name) = (&method.name, docs::name(&method.name));
    let context = method.takes_context.then(|| quote!(, __context));
    let (end, micros) =
        (end(&method.returns, &quote!(())), u64::try_from(period.as_micros()).unwrap_or(u64::MAX));
    quote! {
        #(#conditions)*
        ::labrig::__private::Timer {
            method: #written_name,
            period: ::core::time::Duration::from_micros(#micros),
            run: |__owner, __context| {
                let __returned = #callee::#name(__owner #context);
                #end
            },
        }
    }
}

fn frame_handler(marked: &Marked, method: &Method, input: &str, owner: &Owner) -> TokenStream {
    let (conditions, callee) = (&marked.conditions, &owner.callee);
    let (name, written_name) = (&method.name, docs::name(&method.name));
    let line = docs::line_of(marked.signature.ident.span());
    let context = method.takes_context.then(|| quote!(, __context));
    let end = end(&method.returns, &quote!(()));
    quote! {
        #(#conditions)*
        ::labrig::__private::FrameHandler {
            method: #written_name,
            input: #input,
            file: ::core::file!(),
            line: #line,
            run: |__owner, __frame, __context| {
                let __returned = #callee::#name(__owner, __frame #context);
                #end
            },
        }
    }
}

fn self_check(marked: &Marked, method: &Method, owner: &Owner) -> TokenStream {
    let (conditions, callee, doc) = (&marked.conditions, &owner.callee, &marked.doc);
    let (name, written_name) = (&method.name, docs::name(&method.name));
    let line = docs::line_of(marked.signature.ident.span());
    let context = method.takes_context.then(|| quote!(, __context));
    let end = end(&method.returns, &quote!(()));
    quote! {
        #(#conditions)*
        ::labrig::__private::SelfCheckMethod {
            method: #written_name,
            doc: #doc,
            file: ::core::file!(),
            line: #line,
            run: |__owner, __context| {
                let __returned = #callee::#name(__owner #context);
                #end
            },
        }
    }
}

fn settings_handler(marked: &Marked, method: &Method, settings: &Type, owner: &Owner) -> TokenStream {
    let (conditions, callee) = (&marked.conditions, &owner.callee);
    let (name, written_name) = (&method.name, docs::name(&method.name));
    let context = method.takes_context.then(|| quote!(, __context));
    let read = quote_spanned!(settings.span()=> ::labrig::__private::read_settings::<#settings>);
    let end = end(&method.returns, &quote!(()));
    let describe = quote_spanned!(settings.span()=> of::<#settings>);
    quote! {
        #(#conditions)*
        ::labrig::__private::SettingsHandler {
            method: #written_name,
            describe: ::labrig::__private::SettingsDescription::#describe,
            apply: |__owner, __json, __context| {
                let __settings = #read(__json)?;
                let __returned = #callee::#name(__owner, &__settings #context);
                #end
            },
        }
    }
}

/// An expression: what became of the call, in the words of labrig. Its types stand where the user wrote
/// them, so that a reply that does not fit, or an error that cannot cross, is shown there.
pub(crate) fn end(returns: &Type, reply: &TokenStream) -> TokenStream {
    let into_outcome =
        place::qualified(returns, &quote!(::labrig::__private::Outcome<#reply>), "into_outcome");
    let outcome = place::called(&into_outcome, &quote!(__returned, __context.keeper()), returns);
    let error: &dyn ToTokens = match types::error_of(returns) {
        Some(error) => error,
        None => returns,
    };
    let fail = place::fail(&quote!(&&&&::labrig::__private::ErrorProbe::of(__error)), error);
    quote!(#outcome?.map_err(|__error| #fail))
}

fn period(meta: &Meta, mistakes: &mut Mistakes) -> Option<Duration> {
    let found = mistakes.count();
    let options = Options::of_meta(meta, EVERY, mistakes);
    if let Some(second) = options.keys().nth(1) {
        mistakes.add(second, "a timer has one period", "keep one of them: `#[every(milliseconds = 20)]`");
    }
    if options.keys().next().is_none() && mistakes.count() == found {
        mistakes.add(meta, "a timer needs a period", "write `#[every(milliseconds = 20)]`");
    }
    let seconds = options.count("seconds").map(Duration::from_secs);
    let milliseconds = options.count("milliseconds").map(Duration::from_millis);
    seconds.or(milliseconds).or(options.count("microseconds").map(Duration::from_micros))
}

/// The input a frame handler is bound to: as given, or the method's name without `on_`.
fn input(marked: &Marked, mistakes: &mut Mistakes) -> String {
    let options = Options::of_meta(&marked.meta, ON_FRAME, mistakes);
    match options.text("input") {
        Some(text) => {
            check_input(text, mistakes);
            text.value()
        }
        None => {
            let name = docs::name(&marked.signature.ident);
            name.strip_prefix("on_").unwrap_or(&name).to_owned()
        }
    }
}

fn check_input(text: &LitStr, mistakes: &mut Mistakes) {
    let name = text.value();
    let allowed =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(allowed) {
        let help = "begin with a letter, go on with a-z, 0-9, `_` and `-`: `input = \"video\"`";
        mistakes.add(text, format!("`{name}` cannot be the name of an input"), help);
    }
}
