//! From a plan that was proved to a blueprint: names become places, tables become JSON.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::blueprint::{
    Blueprint, Limits, ManagerBlueprint, ReaderBlueprint, StartupCommand, StreamBlueprint,
};
use super::router::Route;
use crate::config::{ManagerPlan, ReadMode, RigPlan, Startup, StreamPlan, check};
use crate::registry::{CommandRegistry, HandlerDescription, KindDescription};
use crate::shm;
use crate::transport::Child;
use crate::wire::{CommandId, CommandSpec, Node};

/// What a manager may send in a second when its config does not say.
const DEFAULT_LIMITS: Limits = Limits { envelopes_per_s: 1_000_000, bytes_per_s: 1 << 30 };

/// How a manager's process is started.
pub(super) fn child_of(manager: &ManagerPlan) -> Child {
    Child {
        program: manager.program.clone(),
        args: manager.args.clone(),
        label: format!("labrig:{}", manager.name),
        env: manager.environment.set.clone(),
        env_remove: manager.environment.remove.clone(),
        library_path: manager.environment.library_path.clone(),
        working_dir: manager.environment.working_dir.clone(),
    }
}

/// Draws the blueprint of a plan without faults.
pub(super) fn draw(plan: &RigPlan, registry: &CommandRegistry, run_dir: PathBuf) -> Blueprint {
    let drawing = Drawing { plan, registry };
    Blueprint {
        rig: plan.name.clone(),
        run_dir,
        default_deadline: plan.default_deadline,
        start_deadline: plan.start_deadline,
        quit_deadline: plan.quit_deadline,
        managers: plan.managers.iter().map(|manager| drawing.manager(manager)).collect(),
        streams: plan.streams.iter().filter_map(|stream| drawing.stream(stream)).collect(),
        routes: drawing.routes(),
    }
}

struct Drawing<'a> {
    plan: &'a RigPlan,
    registry: &'a CommandRegistry,
}

impl<'a> Drawing<'a> {
    fn kind_of(&self, manager: &ManagerPlan) -> Option<&'a KindDescription> {
        let programs = self.registry.programs().iter();
        let mut played = programs.filter(|program| program.program == manager.program);
        played.find_map(|program| program.manifest.kinds.iter().find(|kind| kind.kind == manager.kind))
    }

    fn handlers_of(&self, manager: &ManagerPlan) -> &'a [HandlerDescription] {
        self.kind_of(manager).map_or(&[], |kind| &kind.handlers)
    }

    fn manager(&self, manager: &ManagerPlan) -> ManagerBlueprint {
        let commands = self.handlers_of(manager).iter();
        ManagerBlueprint {
            name: manager.name.clone(),
            kind: manager.kind.clone(),
            child: child_of(manager),
            config_json: self.config_json(manager).to_string(),
            startup: manager.startup.iter().filter_map(|startup| self.startup(startup)).collect(),
            depth: manager.queue_depth,
            after: manager.after.iter().filter_map(|name| self.plan.manager(name.as_str())).collect(),
            safe_deadline: manager.safe_deadline,
            limits: Limits {
                envelopes_per_s: manager.limits.envelopes_per_s.unwrap_or(DEFAULT_LIMITS.envelopes_per_s),
                bytes_per_s: manager.limits.bytes_per_s.unwrap_or(DEFAULT_LIMITS.bytes_per_s),
            },
            commands: commands.map(|it| (it.command.path.clone(), it.command.id)).collect(),
        }
    }

    /// The manager's own table as its type reads it; a type without keys reads nothing.
    fn config_json(&self, manager: &ManagerPlan) -> Value {
        let Some(kind) = self.kind_of(manager).filter(|kind| kind.config.root != Node::Unit) else {
            return Value::Null;
        };
        let empty = || Value::Object(Map::new());
        check(&manager.config, &kind.config, "").json.unwrap_or_else(empty)
    }

    fn startup(&self, startup: &Startup) -> Option<StartupCommand> {
        let spec = self.specs().find(|spec| spec.name == startup.command)?;
        let json = check(&startup.args, &spec.schema, "").json?;
        Some(StartupCommand {
            name: startup.command.clone(),
            command: spec.id,
            to: startup.to.clone(),
            json: json.to_string().into_bytes(),
        })
    }

    fn specs(&self) -> impl Iterator<Item = &'a CommandSpec> {
        let handlers = self.plan.managers.iter().flat_map(|manager| self.handlers_of(manager));
        handlers.chain(self.scope_handlers()).map(|handler| &handler.command)
    }

    /// The scope lives in this program.
    fn scope_handlers(&self) -> impl Iterator<Item = &'a HandlerDescription> {
        let own = self.registry.programs().iter().filter(|program| program.program.is_none());
        own.flat_map(|program| &program.manifest.scopes).flat_map(|scope| &scope.handlers)
    }

    fn routes(&self) -> HashMap<CommandId, Route> {
        let mut routes = HashMap::new();
        for (index, manager) in self.plan.managers.iter().enumerate() {
            for handler in self.handlers_of(manager) {
                add_station(&mut routes, &handler.command, index);
            }
        }
        for handler in self.scope_handlers() {
            add_station(&mut routes, &handler.command, self.plan.managers.len());
        }
        routes
    }

    fn stream(&self, stream: &StreamPlan) -> Option<StreamBlueprint> {
        let producer = self.plan.manager(stream.producer.as_ref()?.as_str())?;
        let readers = self.plan.managers.iter().enumerate();
        let readers = readers.filter_map(|(index, manager)| self.reader(stream, index, manager));
        Some(StreamBlueprint {
            name: stream.name.clone(),
            producer,
            slots: stream.slots,
            max_frame_bytes: stream.max_frame_bytes,
            readers: readers.collect(),
        })
    }

    /// How a manager reads a stream, if one of its inputs is bound to it.
    fn reader(&self, stream: &StreamPlan, index: usize, manager: &ManagerPlan) -> Option<ReaderBlueprint> {
        let kind = self.kind_of(manager)?;
        let names = kind.inputs.iter().map(|input| input.name.as_str());
        let bound = names.filter(|name| stream_of(manager, name) == stream.name);
        let inputs: Vec<_> = bound.map(str::to_owned).collect();
        let mode = match stream.mode(&manager.name) {
            ReadMode::Lossless => shm::ReadMode::Lossless,
            ReadMode::Latest => shm::ReadMode::Latest,
        };
        (!inputs.is_empty()).then_some(ReaderBlueprint { manager: index, inputs, mode })
    }
}

/// The stream that feeds an input: the one the config binds, else the one of the same name.
fn stream_of<'a>(manager: &'a ManagerPlan, input: &'a str) -> &'a str {
    let bound = manager.inputs.iter().find(|bound| bound.input == input);
    bound.map_or(input, |bound| bound.stream.as_str())
}

fn add_station(routes: &mut HashMap<CommandId, Route>, spec: &CommandSpec, station: usize) {
    let route = routes.entry(spec.id).or_insert_with(|| Route {
        name: spec.name.clone(),
        delivery: spec.delivery,
        overflow: spec.overflow,
        stations: Vec::new(),
    });
    route.stations.push(station);
}
