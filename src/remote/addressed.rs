//! A scope that addresses one manager.

use super::call_error::CallError;
use super::pending_reply::PendingReply;
use super::scope::{Goal, Scope};
use crate::wire::{Command, Kind, OneHandler, Refusal};

/// A scope that addresses one manager.
#[derive(Clone, Copy)]
pub struct Addressed<'a> {
    pub(super) scope: &'a Scope,
    pub(super) manager: &'a str,
}

impl Addressed<'_> {
    /// As [`Scope::request`], to this manager.
    ///
    /// # Errors
    /// [`Refusal`], among others when the manager has no handler for the command.
    pub fn request<C: Command<Delivery: OneHandler>>(
        &self,
        command: C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        self.scope.request_at(self.target(), &command)
    }

    /// As [`Scope::call`], to this manager.
    ///
    /// # Errors
    /// Any [`CallError`], among others a refusal when the manager has no handler for the command.
    pub fn call<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<C::Reply, CallError> {
        self.scope.call_at(self.target(), &command)
    }

    /// As [`Scope::send`], to this manager.
    ///
    /// # Errors
    /// [`Refusal`], among others when the manager has no handler for the command.
    pub fn send<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<(), Refusal> {
        self.scope.offer(C::spec(), Kind::Send, self.target(), &command, None).map(drop)
    }

    fn target(&self) -> Goal<'_> {
        Goal::Named(self.manager)
    }
}
