//! The registry: everything that the programs of a rig contain, as a plain value.
//!
//! It is made of manifests, so tests build their own. It changes nothing and starts nothing: it is asked
//! whether a plan can work ([`validate`](CommandRegistry::validate)), and bound to one that can
//! ([`prove`](CommandRegistry::prove)), as often as anyone likes.

use std::path::PathBuf;

use super::description::{HandlerDescription, KindDescription, Manifest, ScopeDescription};
use super::registration;
use super::routes::RouteTable;
use super::validate;
use super::view::View;
use crate::config::{Fault, RigPlan};
use crate::wire::CommandSpec;

/// What one program contains.
#[derive(Clone, Debug)]
pub struct ProgramManifest {
    /// The program; `None` is the one that asks, which is the coordinator's.
    pub program: Option<PathBuf>,
    /// What is linked into it.
    pub manifest: Manifest,
}

/// Kinds, scopes and commands of all programs of a rig.
#[derive(Clone, Debug, Default)]
pub struct CommandRegistry {
    programs: Vec<ProgramManifest>,
}

impl CommandRegistry {
    /// A registry of these programs. Two manifests of one program count as one.
    pub fn new(programs: impl IntoIterator<Item = ProgramManifest>) -> Self {
        let mut registry = Self::default();
        for ProgramManifest { program, manifest } in programs {
            match registry.programs.iter_mut().find(|known| known.program == program) {
                Some(known) => {
                    known.manifest.kinds.extend(manifest.kinds);
                    known.manifest.scopes.extend(manifest.scopes);
                    known.manifest.methods.extend(manifest.methods);
                }
                None => registry.programs.push(ProgramManifest { program, manifest }),
            }
        }
        registry.programs.sort_by(|a, b| a.program.cmp(&b.program));
        registry
    }

    /// A registry of what is linked into this program.
    pub fn of_this_program() -> Self {
        Self::new([ProgramManifest { program: None, manifest: registration::manifest() }])
    }

    /// Every fault of the registry in this plan: the rules of `DESIGN.md`, all of them, in no order.
    ///
    /// `given` are the paths of the scope types of which the program gives a value; others must be `Default`.
    pub fn validate(&self, plan: &RigPlan, given: &[String]) -> Vec<Fault> {
        validate::validate(&View::new(self, plan), given)
    }

    /// The routes of a plan, as far as they are clear. What has a fault is left out or taken at its first party.
    pub fn bind(&self, plan: &RigPlan) -> RouteTable {
        RouteTable::new(&View::new(self, plan))
    }

    /// The routes of a plan that can work.
    ///
    /// # Errors
    /// Every fault there is. Nothing has changed then; a mended plan or registry can be asked again.
    pub fn prove(&self, plan: &RigPlan, given: &[String]) -> Result<RouteTable, Vec<Fault>> {
        let faults = self.validate(plan, given);
        if faults.is_empty() { Ok(self.bind(plan)) } else { Err(faults) }
    }

    /// Every command that is linked into a program of the rig, by name, each once.
    pub fn specs(&self) -> Vec<&CommandSpec> {
        let mut specs: Vec<_> = self.handlers().map(|(_, handler)| &handler.command).collect();
        specs.sort_by_key(|spec| (&spec.name, &spec.path, spec.id));
        specs.dedup_by_key(|spec| (&spec.path, spec.id));
        specs
    }

    /// The methods of values that programs of the rig know; one that is not the same everywhere, as often as it differs.
    pub fn methods(&self) -> impl Iterator<Item = &CommandSpec> {
        self.programs.iter().flat_map(|program| &program.manifest.methods)
    }

    /// The command that a method handles, given the kind's name, or the scope's type.
    pub fn command_for_handler(&self, owner: &str, method: &str) -> Option<&CommandSpec> {
        let kinds = self.kinds().filter(|(_, kind)| kind.kind == owner).flat_map(|(_, kind)| &kind.handlers);
        let scopes = self.scopes().filter(|(_, scope)| scope.path == owner).flat_map(|(_, it)| &it.handlers);
        kinds.chain(scopes).find(|handler| handler.method == method).map(|handler| &handler.command)
    }

    /// The programs and what they contain, this one first.
    pub fn programs(&self) -> &[ProgramManifest] {
        &self.programs
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = (&ProgramManifest, &KindDescription)> {
        self.programs
            .iter()
            .flat_map(|program| program.manifest.kinds.iter().map(move |kind| (program, kind)))
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = (&ProgramManifest, &ScopeDescription)> {
        self.programs.iter().flat_map(|program| program.manifest.scopes.iter().map(move |it| (program, it)))
    }

    /// Every handler of every program, started or not.
    pub(super) fn handlers(&self) -> impl Iterator<Item = (&ProgramManifest, &HandlerDescription)> {
        let of_kinds =
            self.kinds().flat_map(|(program, kind)| kind.handlers.iter().map(move |it| (program, it)));
        let of_scopes =
            self.scopes().flat_map(|(program, it)| it.handlers.iter().map(move |it| (program, it)));
        of_kinds.chain(of_scopes)
    }
}
