//! The macros of labrig: doors only, one room each behind them.
//!
//! They write registrations and glue, never logic. What they write refers to `::labrig::__private` and
//! the standard library alone, since a user's crate depends on labrig and serde only. Every macro
//! collects all mistakes before it speaks, and the user's own item is always emitted again, so that one
//! mistake gives one error. How each is used is told at its re-export in labrig.

mod body;
mod command;
mod docs;
mod fields;
mod glue;
mod manager;
mod marks;
mod mistakes;
mod options;
mod place;
mod procedure;
mod remote;
mod remote_glue;
mod rename;
mod role;
mod schema;
mod scope;
mod serde_options;
mod settings;
mod signals;
mod signature;
mod types;

use proc_macro::TokenStream;

/// See `labrig::Schema`.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn derive_schema(item: TokenStream) -> TokenStream {
    schema::derive(item.into()).into()
}

/// See `labrig::Signals`.
#[proc_macro_derive(Signals)]
pub fn derive_signals(item: TokenStream) -> TokenStream {
    signals::derive(item.into()).into()
}

/// See `labrig::Settings`.
#[proc_macro_derive(Settings)]
pub fn derive_settings(item: TokenStream) -> TokenStream {
    settings::derive(item.into()).into()
}

/// See `labrig::Command`.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(item: TokenStream) -> TokenStream {
    command::derive(item.into()).into()
}

/// See `labrig::manager`.
#[proc_macro_attribute]
pub fn manager(options: TokenStream, item: TokenStream) -> TokenStream {
    manager::expand(options.into(), item.into()).into()
}

/// See `labrig::scope`.
#[proc_macro_attribute]
pub fn scope(options: TokenStream, item: TokenStream) -> TokenStream {
    scope::expand(options.into(), item.into()).into()
}

/// See `labrig::role`.
#[proc_macro_attribute]
pub fn role(options: TokenStream, item: TokenStream) -> TokenStream {
    role::expand(options.into(), item.into()).into()
}

/// See `labrig::procedure`.
#[proc_macro_attribute]
pub fn procedure(options: TokenStream, item: TokenStream) -> TokenStream {
    procedure::expand(options.into(), item.into()).into()
}

/// See `labrig::remote`.
#[proc_macro_attribute]
pub fn remote(options: TokenStream, item: TokenStream) -> TokenStream {
    remote::expand(options.into(), item.into()).into()
}

/// See `labrig::ipc_command`.
#[proc_macro_attribute]
pub fn ipc_command(_: TokenStream, item: TokenStream) -> TokenStream {
    marks::misplaced("ipc_command", item.into()).into()
}

/// See `labrig::every`.
#[proc_macro_attribute]
pub fn every(_: TokenStream, item: TokenStream) -> TokenStream {
    marks::misplaced("every", item.into()).into()
}

/// See `labrig::self_check`.
#[proc_macro_attribute]
pub fn self_check(_: TokenStream, item: TokenStream) -> TokenStream {
    marks::misplaced("self_check", item.into()).into()
}

/// See `labrig::on_settings`.
#[proc_macro_attribute]
pub fn on_settings(_: TokenStream, item: TokenStream) -> TokenStream {
    marks::misplaced("on_settings", item.into()).into()
}

/// See `labrig::on_frame`.
#[proc_macro_attribute]
pub fn on_frame(_: TokenStream, item: TokenStream) -> TokenStream {
    marks::misplaced("on_frame", item.into()).into()
}
