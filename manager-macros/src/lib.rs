//! The macros of labrig: doors only, one room each behind them.
//!
//! They write registrations and glue, never logic. What they write refers to `::labrig::__private` and
//! the standard library alone, since a user's crate depends on labrig and serde only. Every macro
//! collects all mistakes before it speaks, and the user's own item is always emitted again, so that one
//! mistake gives one error. How each is used is told at its re-export in labrig.

mod command;
mod docs;
mod fields;
mod mistakes;
mod options;
mod rename;
mod schema;
mod serde_options;
mod types;

use proc_macro::TokenStream;

/// See `labrig::Schema`.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn derive_schema(item: TokenStream) -> TokenStream {
    schema::derive(item.into()).into()
}

/// See `labrig::Command`.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(item: TokenStream) -> TokenStream {
    command::derive(item.into()).into()
}
