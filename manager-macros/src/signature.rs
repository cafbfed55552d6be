//! What a marked method may look like, and what is wrong with one that does not.

use std::fmt::Display;

use proc_macro2::Ident;
use syn::{FnArg, PatType, Receiver, ReturnType, Signature, Type, parse_quote};

use crate::mistakes::Mistakes;
use crate::types;

/// A method that can be called by what the macros write.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// The command it takes, or the settings; none for timers, frame handlers and self-checks.
    pub(crate) command: Option<Type>,
    pub(crate) takes_context: bool,
    /// What it returns; `()` at the method's name when nothing is written.
    pub(crate) returns: Type,
}

/// Reads `fn name(&mut self, command: T, context: &mut Context) -> R`.
pub(crate) fn handler(signature: &Signature, mistakes: &mut Mistakes) -> Option<Method> {
    let found = mistakes.count();
    check_qualifiers(signature, "handler", mistakes);
    let arguments: Vec<_> = typed(signature).collect();
    let command = arguments.first().filter(|first| !is_context(&first.ty)).map(|first| (*first.ty).clone());
    let usage = usage(signature, command.as_ref());
    check_receiver(signature, "handler", &usage, mistakes);
    match (&command, arguments.first()) {
        (Some(command), _) => check_command(signature, command, mistakes),
        (None, blamed) => blame_no_command(signature, blamed.copied(), &arguments, &usage, mistakes),
    }
    if command.is_some() {
        let help = "put it into the command, or write one handler for each command";
        check_context(signature, &arguments[1..], help, mistakes);
    }
    let takes_context = arguments.len() == 2;
    let returns = returned(signature, mistakes);
    (mistakes.count() == found).then(|| Method {
        name: signature.ident.clone(),
        command,
        takes_context,
        returns,
    })
}

/// Reads `fn name(&mut self, context: &mut Context)`.
pub(crate) fn timer(signature: &Signature, mistakes: &mut Mistakes) -> Option<Method> {
    let name = &signature.ident;
    let usage = format!("write `fn {name}(&mut self, context: &mut Context)`; the context is optional");
    tick(signature, "timer", 0, &usage, mistakes)
}

/// Reads `fn name(&mut self, context: &mut Context) -> Result<(), E>`.
pub(crate) fn self_check(signature: &Signature, mistakes: &mut Mistakes) -> Option<Method> {
    let name = &signature.ident;
    let usage = format!(
        "write `fn {name}(&mut self, context: &mut Context) -> Result<(), …>`; the context is optional"
    );
    tick(signature, "self-check", 0, &usage, mistakes)
}

/// Reads `fn name(&mut self, settings: &T, context: &mut Context) -> Result<(), E>`; its `T` stands for a command.
pub(crate) fn settings_handler(signature: &Signature, mistakes: &mut Mistakes) -> Option<Method> {
    let name = &signature.ident;
    let usage = format!(
        "write `fn {name}(&mut self, settings: &CameraSettings, context: &mut Context) -> Result<(), …>`; \
         the context is optional"
    );
    let first = typed(signature).next().filter(|first| !is_context(&first.ty)).map(|first| &*first.ty);
    let Some(Type::Reference(settings)) = first.map(types::plain) else {
        mistakes.add(name, format!("settings handler `{name}` does not borrow its settings first"), usage);
        return None;
    };
    let method = tick(signature, "settings handler", 1, &usage, mistakes)?;
    Some(Method { command: Some((*settings.elem).clone()), ..method })
}

/// Reads `fn name(&mut self, frame: &Frame, context: &mut Context)`.
pub(crate) fn frame_handler(signature: &Signature, mistakes: &mut Mistakes) -> Option<Method> {
    let name = &signature.ident;
    let usage = format!(
        "write `fn {name}(&mut self, frame: &Frame, context: &mut Context)`; the context is optional"
    );
    if !typed(signature).next().is_some_and(|first| is_frame(&first.ty)) {
        let what = format!("frame handler `{name}` does not take a frame first");
        match typed(signature).next() {
            Some(first) => mistakes.add(&first.ty, what, &usage),
            None => mistakes.add(name, what, &usage),
        }
        check_qualifiers(signature, "frame handler", mistakes);
        return None;
    }
    tick(signature, "frame handler", 1, &usage, mistakes)
}

/// A method that answers nobody with a value, with `before` arguments before its context.
fn tick(
    signature: &Signature,
    job: &str,
    before: usize,
    usage: &str,
    mistakes: &mut Mistakes,
) -> Option<Method> {
    let found = mistakes.count();
    check_qualifiers(signature, job, mistakes);
    check_receiver(signature, job, usage, mistakes);
    let arguments: Vec<_> = typed(signature).collect();
    let after = &arguments[before.min(arguments.len())..];
    check_context(signature, after, usage, mistakes);
    let returns = returned(signature, mistakes);
    if !answers_nobody(&returns) {
        let name = &signature.ident;
        let what = match job {
            "self-check" => format!("self-check `{name}` tells nothing but whether it passed"),
            "settings handler" => {
                format!("settings handler `{name}` tells nothing but whether it takes them")
            }
            _ => format!("{job} `{name}` answers nobody, so nobody would see what it returns"),
        };
        mistakes.add(&returns, what, "return nothing, or `Result<(), …>`");
    }
    let takes_context = !after.is_empty();
    (mistakes.count() == found).then(|| Method {
        name: signature.ident.clone(),
        command: None,
        takes_context,
        returns,
    })
}

fn typed(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

pub(crate) fn check_qualifiers(signature: &Signature, job: &str, mistakes: &mut Mistakes) {
    let name = &signature.ident;
    if let Some(token) = &signature.asyncness {
        let what = format!(
            "{job} `{name}` is async, and a manager runs one method at a time on a thread of its own"
        );
        mistakes.add(
            token,
            what,
            format!("write `fn {name}`, and wait with `context.call(…)` or `context.sleep(…)`"),
        );
    }
    if let Some(token) = &signature.unsafety {
        let what = format!("{job} `{name}` is unsafe, and no far caller can uphold its conditions");
        mistakes.add(token, what, format!("write `fn {name}`, and check what it needs inside"));
    }
    if let Some(abi) = &signature.abi {
        mistakes.add(abi, format!("{job} `{name}` is called by Rust alone"), format!("write `fn {name}`"));
    }
    if !signature.generics.params.is_empty() {
        let what = format!("{job} `{name}` is generic, and it is registered once, for one type");
        mistakes.add(&signature.generics, what, format!("write `fn {name}` without parameters in `<…>`"));
    }
}

fn check_receiver(signature: &Signature, job: &str, usage: &str, mistakes: &mut Mistakes) {
    let name = &signature.ident;
    match signature.receiver() {
        None => mistakes.add(name, format!("{job} `{name}` has no receiver"), usage),
        Some(receiver) if !is_by_reference(receiver) => {
            let what = format!("{job} `{name}` takes its owner away, and the next call needs it too");
            mistakes.add(receiver, what, usage);
        }
        Some(_) => {}
    }
}

fn is_by_reference(receiver: &Receiver) -> bool {
    receiver.reference.is_some()
        || matches!(types::plain(&receiver.ty), Type::Reference(inner) if types::is_named(&inner.elem, "Self"))
}

fn blame_no_command(
    signature: &Signature,
    blamed: Option<&PatType>,
    arguments: &[&PatType],
    usage: &str,
    mistakes: &mut Mistakes,
) {
    let name = &signature.ident;
    match (blamed, arguments.get(1)) {
        (Some(context), Some(_)) => {
            mistakes.add(context, format!("handler `{name}` takes its context before its command"), usage);
        }
        _ => mistakes.add(name, format!("handler `{name}` takes no command"), usage),
    }
}

fn check_command(signature: &Signature, command: &Type, mistakes: &mut Mistakes) {
    let name = &signature.ident;
    let (what, help) = match types::plain(command) {
        Type::Path(_) | Type::Macro(_) => return,
        Type::Reference(reference) => (
            format!("handler `{name}` borrows its command, and nobody else owns it"),
            format!("write `command: {}`", written(&reference.elem)),
        ),
        Type::ImplTrait(_) => (
            format!("handler `{name}` takes `impl Trait`, and it is registered for one command"),
            "name the command: `command: MoveTo`".to_owned(),
        ),
        _ => (
            format!("handler `{name}` takes something that is no command"),
            "write a type that derives `Command`: `command: MoveTo`".to_owned(),
        ),
    };
    mistakes.add(command, what, help);
}

/// What follows the command or the frame: nothing, or one context.
fn check_context(signature: &Signature, after: &[&PatType], usage: &str, mistakes: &mut Mistakes) {
    let name = &signature.ident;
    let Some(context) = after.first() else { return };
    let is_mutable =
        matches!(types::plain(&context.ty), Type::Reference(reference) if reference.mutability.is_some());
    if !is_context(&context.ty) {
        mistakes.add(&context.ty, format!("`{name}` takes something that is not its context"), usage);
    } else if !is_mutable {
        let what = format!("`{name}` must borrow its context mutably");
        mistakes.add(&context.ty, what, "write `context: &mut Context`");
    }
    if let Some(third) = after.get(1) {
        mistakes.add(third, format!("`{name}` takes too many arguments"), usage);
    }
}

pub(crate) fn is_context(ty: &Type) -> bool {
    is_reference_to(ty, "Context") || types::is_named(ty, "Context")
}

fn is_frame(ty: &Type) -> bool {
    is_reference_to(ty, "Frame")
}

fn is_reference_to(ty: &Type, name: &str) -> bool {
    matches!(types::plain(ty), Type::Reference(reference) if types::is_named(&reference.elem, name))
}

pub(crate) fn returned(signature: &Signature, mistakes: &mut Mistakes) -> Type {
    match &signature.output {
        ReturnType::Default => {
            let place = signature.ident.span();
            Type::Verbatim(quote::quote_spanned!(place=> ()))
        }
        ReturnType::Type(_, ty) => {
            if let Type::ImplTrait(_) = types::plain(ty) {
                let what = format!("`{}` returns `impl Trait`, and its reply has one type", signature.ident);
                mistakes.add(ty, what, "name the type that the command declares as its reply");
                return parse_quote!(());
            }
            (**ty).clone()
        }
    }
}

fn answers_nobody(returns: &Type) -> bool {
    match types::plain(returns) {
        Type::Verbatim(_) => true,
        other if types::is_unit(other) => true,
        other => {
            let is_result =
                types::last_segment(other).is_some_and(|last| last.ident.to_string().ends_with("Result"));
            is_result
                && types::first_argument(other)
                    .is_none_or(|value| types::is_unit(value) || !is_plain_value(other))
        }
    }
}

/// Whether the first argument of a result is its value: an alias may take its error alone.
fn is_plain_value(result: &Type) -> bool {
    types::is_named(result, "Result")
}

/// The signature as it should be, with as much of the user's own as can be kept.
fn usage(signature: &Signature, command: Option<&Type>) -> String {
    let (name, output) = (&signature.ident, &signature.output);
    let command = match command.map(types::plain) {
        Some(Type::Reference(reference)) => written(&reference.elem),
        Some(named @ Type::Path(_)) => written(named),
        _ => "MoveTo".to_owned(),
    };
    let returns = match output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, ty) => format!(" -> {}", written(ty)),
    };
    format!(
        "write `fn {name}(&mut self, command: {command}){returns}`; `context: &mut Context` may follow the command"
    )
}

/// A type as people write it.
pub(crate) fn written(ty: &Type) -> String {
    spaced_as_written(quote::quote!(#ty))
}

fn spaced_as_written(tokens: impl Display) -> String {
    let mut text = tokens.to_string();
    for (apart, together) in
        [(" :: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ","), ("& ", "&"), (":: ", "::")]
    {
        text = text.replace(apart, together);
    }
    text
}
