//! What the macros write, seen from a user's crate: schemas, command specs, and blocks of handlers.
#![forbid(unsafe_code)]

mod blocks;
mod commands;
mod errors;
mod names;
mod roles;
mod schemas;
mod scopes;
mod shared;
mod signals;
mod surroundings;

use labrig::registry::{Handler, Incoming};
use labrig::wire::{CodecId, Command, Failure, TypeSchema, codec};

/// A context for handlers that are called by hand.
fn context() -> labrig::registry::Context {
    labrig::__private::detached_context("by hand")
}

/// Calls the handler of `command` in `handlers`, with the bytes of one codec, as a worker does.
fn call_by<M, C: Command>(
    handlers: &[Handler<M>],
    owner: &mut M,
    command: &C,
    by: CodecId,
) -> Result<C::Reply, Box<Failure>> {
    let payload = codec::encode(command, by).expect("a command of a test can be written");
    let serves = |handler: &&Handler<M>| (handler.command)().id == C::spec().id;
    let handler = handlers.iter().find(serves).expect("the command has a handler");
    let incoming = Incoming { payload: &payload, attached: None, codec: by, wants_reply: true };
    let bytes = (handler.invoke)(owner, incoming, &mut context())?;
    Ok(codec::decode(&bytes, by, &TypeSchema::of::<C::Reply>()).expect("the reply can be read"))
}

/// As [`call_by`], by postcard.
fn call<M, C: Command>(
    handlers: &[Handler<M>],
    owner: &mut M,
    command: &C,
) -> Result<C::Reply, Box<Failure>> {
    call_by(handlers, owner, command, CodecId::Postcard)
}
