//! A registry as one plan uses it: rules and routes count what is started, not what is merely linked.

use std::collections::BTreeMap;
use std::path::Path;

use super::description::{HandlerDescription, InputDescription, KindDescription, ScopeDescription};
use super::table::{CommandRegistry, ProgramManifest};
use crate::config::{InputPlan, ManagerPlan, RigPlan};
use crate::wire::CommandSpec;

/// What of a registry a plan starts.
pub(super) struct View<'a> {
    pub(super) registry: &'a CommandRegistry,
    pub(super) plan: &'a RigPlan,
    /// The kinds that are started.
    pub(super) started: Vec<Started<'a>>,
    /// The scopes of the coordinator's program.
    pub(super) scopes: Vec<&'a ScopeDescription>,
}

/// A kind that is started, and the managers of it.
pub(super) struct Started<'a> {
    pub(super) program: Option<&'a Path>,
    pub(super) kind: &'a KindDescription,
    pub(super) managers: Vec<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(registry: &'a CommandRegistry, plan: &'a RigPlan) -> Self {
        let here = registry.programs().iter().filter(|program| program.program.is_none());
        let scopes = here.flat_map(|program| &program.manifest.scopes).collect();
        let mut view = Self { registry, plan, started: Vec::new(), scopes };
        for (index, manager) in plan.managers.iter().enumerate() {
            view.start(index, manager);
        }
        view
    }

    fn start(&mut self, index: usize, manager: &'a ManagerPlan) {
        let Some(program) = self.program_of(manager) else { return };
        let Some(kind) = program.manifest.kinds.iter().find(|kind| kind.kind == manager.kind) else { return };
        let program = program.program.as_deref();
        let known = |started: &&mut Started<'_>| started.program == program && started.kind.kind == kind.kind;
        match self.started.iter_mut().find(known) {
            Some(started) => started.managers.push(index),
            None => self.started.push(Started { program, kind, managers: vec![index] }),
        }
    }

    /// What the program that plays the manager contains; `None` when it could not be asked.
    pub(super) fn program_of(&self, manager: &ManagerPlan) -> Option<&'a ProgramManifest> {
        let registry: &'a CommandRegistry = self.registry;
        registry.programs().iter().find(|known| known.program == manager.program)
    }

    /// The kind of the manager at that place, where it is known.
    pub(super) fn started_as(&self, manager: usize) -> Option<&Started<'a>> {
        self.started.iter().find(|started| started.managers.contains(&manager))
    }

    /// The handlers of the kinds that are started.
    pub(super) fn kind_handlers(&self) -> impl Iterator<Item = (&Started<'a>, &'a HandlerDescription)> {
        self.started.iter().flat_map(|started| started.kind.handlers.iter().map(move |it| (started, it)))
    }

    /// The handlers of the scope.
    pub(super) fn scope_handlers(
        &self,
    ) -> impl Iterator<Item = (&'a ScopeDescription, &'a HandlerDescription)> {
        self.scopes.iter().flat_map(|scope| scope.handlers.iter().map(move |handler| (*scope, handler)))
    }

    /// Every input of every manager whose kind is known, each once.
    pub(super) fn feeds(&self) -> Vec<Feed<'a>> {
        let managers =
            self.started.iter().flat_map(|started| started.managers.iter().map(|it| (*it, started.kind)));
        managers.flat_map(|(manager, kind)| self.feeds_of(manager, kind)).collect()
    }

    fn feeds_of(&self, manager: usize, kind: &'a KindDescription) -> Vec<Feed<'a>> {
        let plan = self.plan;
        let inputs: BTreeMap<_, _> = kind.inputs.iter().rev().map(|input| (&input.name, input)).collect();
        let feed = |input: &'a InputDescription| {
            let bound = plan.managers[manager].inputs.iter().find(|bound| bound.input == input.name);
            let stream = plan.stream(bound.map_or(&input.name, |bound| &bound.stream));
            Feed { manager, input, bound, stream }
        };
        inputs.into_values().map(feed).collect()
    }

    /// The command of that name among what is started.
    pub(super) fn command(&self, name: &str) -> Option<&'a CommandSpec> {
        let of_kinds = self.kind_handlers().map(|(_, handler)| &handler.command);
        let of_scope = self.scope_handlers().map(|(_, handler)| &handler.command);
        of_kinds.chain(of_scope).find(|command| command.name == name)
    }
}

/// An input of a manager, and the stream that feeds it.
pub(super) struct Feed<'a> {
    pub(super) manager: usize,
    pub(super) input: &'a InputDescription,
    /// How the config binds it; by its name when it does not.
    pub(super) bound: Option<&'a InputPlan>,
    pub(super) stream: Option<usize>,
}

impl Started<'_> {
    /// The kind as reports name it.
    pub(super) fn label(&self) -> String {
        match self.program {
            None => format!("kind `{}`", self.kind.kind),
            Some(program) => format!("kind `{}` of `{}`", self.kind.kind, program.display()),
        }
    }

    /// Whether the kind is labrig's own, from which no rig may demand handlers.
    pub(super) fn is_builtin(&self) -> bool {
        self.kind.path.starts_with("labrig::")
    }
}

/// A program as reports name it.
pub(super) fn program_name(program: Option<&Path>) -> String {
    program.map_or_else(|| "this program".to_owned(), |program| format!("`{}`", program.display()))
}
