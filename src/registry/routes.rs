//! The registry bound to a plan: which manager serves which command, reads which stream, starts with what.
//!
//! Everything that is needed to start a rig is worked out here once, by index into the plan, so that nobody
//! looks anything up by name later. Nothing here decides what is allowed: that is the proof's.

mod columns;
mod print;
mod shares;
mod signals;

pub(crate) use columns::in_columns;
pub use signals::{SignalEntry, UnknownSignal, type_name};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::description::{
    HandlerDescription, SelfCheckDescription, SettingsDescription, SharedDescription, SignalSetDescription,
};
use super::view::View;
use crate::config::{ReadMode, check};
use crate::wire::{CommandId, CommandSpec, DeliveryKind, ManagerName, Site};

/// A command, and who serves it.
#[derive(Clone, Debug)]
pub struct CommandRoute {
    /// The command.
    pub spec: CommandSpec,
    /// How it is delivered.
    pub delivery: DeliveryKind,
    /// The managers that serve it, as indexes into the plan, in order.
    pub managers: Vec<usize>,
    /// Whether the scope serves it.
    pub scope: bool,
    /// The handlers, one for each kind or scope.
    pub handlers: Vec<RouteHandler>,
}

/// A handler of a route.
#[derive(Clone, Debug)]
pub struct RouteHandler {
    /// The kind's name, or the path of the scope's type.
    pub owner: String,
    /// The method.
    pub method: String,
    /// Where it stands.
    pub site: Site,
    /// The path of the role that declares it, if one does.
    pub role: Option<String>,
    /// The managers of that kind; none for the scope.
    pub managers: Vec<usize>,
}

/// Who reads a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReader {
    /// The manager, as index into the plan.
    pub manager: usize,
    /// Its inputs that the stream feeds.
    pub inputs: Vec<String>,
    /// How it reads.
    pub mode: ReadMode,
}

/// A start-up command, ready to be given.
#[derive(Clone, Debug)]
pub struct StartupCommand {
    /// Its name.
    pub name: String,
    /// Its fingerprint.
    pub command: CommandId,
    /// Its fields, as the command's type reads them.
    pub json: Value,
}

/// A command, by what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandKey<'a> {
    /// Its name.
    Name(&'a str),
    /// Its fingerprint.
    Id(CommandId),
}

impl<'a> From<&'a str> for CommandKey<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl From<CommandId> for CommandKey<'_> {
    fn from(id: CommandId) -> Self {
        Self::Id(id)
    }
}

/// All routes of a plan, by delivery and name.
#[derive(Clone, Debug)]
pub struct RouteTable {
    managers: Vec<Bound>,
    routes: Vec<CommandRoute>,
    by_id: HashMap<CommandId, usize>,
    streams: Vec<Vec<StreamReader>>,
}

/// What is known about a manager.
#[derive(Clone, Debug)]
struct Bound {
    name: ManagerName,
    pool: Option<ManagerName>,
    /// Those of its kind, which all managers of that kind share.
    handlers: Arc<[HandlerDescription]>,
    config: Value,
    startup: Vec<StartupCommand>,
    self_checks: Vec<SelfCheckDescription>,
    signals: Vec<SignalSetDescription>,
    shares: Vec<SharedDescription>,
    settings: Option<SettingsDescription>,
}

impl RouteTable {
    pub(super) fn new(view: &View<'_>) -> Self {
        let routes = routes(view);
        let by_id = routes.iter().enumerate().map(|(index, route)| (route.spec.id, index)).collect();
        let mut managers: Vec<_> = (0..view.plan.managers.len()).map(|index| bound(view, index)).collect();
        for started in &view.started {
            let handlers: Arc<[_]> = started.kind.handlers.clone().into();
            started.managers.iter().for_each(|it| managers[*it].handlers = Arc::clone(&handlers));
        }
        Self { managers, routes, by_id, streams: streams(view) }
    }

    /// Every route, by delivery and name.
    pub fn routes(&self) -> &[CommandRoute] {
        &self.routes
    }

    /// The route of a command, by name or fingerprint.
    pub fn route_for<'a>(&self, command: impl Into<CommandKey<'a>>) -> Option<&CommandRoute> {
        match command.into() {
            CommandKey::Id(id) => self.by_id.get(&id).map(|index| &self.routes[*index]),
            CommandKey::Name(name) => self.routes.iter().find(|route| route.spec.name == name),
        }
    }

    /// The handlers of the manager of that name; none when there is no such manager.
    pub fn handlers_for_target(&self, manager: &str) -> &[HandlerDescription] {
        let bound = self.managers.iter().find(|bound| bound.name.as_str() == manager);
        bound.map_or(&[], |bound| &bound.handlers)
    }

    /// The command that a method handles, given the kind's name, or the path of the scope's type.
    pub fn command_for_handler(&self, owner: &str, method: &str) -> Option<&CommandSpec> {
        let is_it = |handler: &RouteHandler| handler.owner == owner && handler.method == method;
        self.routes.iter().find(|route| route.handlers.iter().any(is_it)).map(|route| &route.spec)
    }

    /// The config table of the manager at that place, as its kind reads it.
    pub fn config_of(&self, manager: usize) -> &Value {
        &self.managers[manager].config
    }

    /// The start-up commands that the manager at that place takes, in the order in which they are applied.
    pub fn startup_of(&self, manager: usize) -> &[StartupCommand] {
        &self.managers[manager].startup
    }

    /// The self-checks of the manager at that place, in the order of its source.
    pub fn self_checks_of(&self, manager: usize) -> &[SelfCheckDescription] {
        &self.managers[manager].self_checks
    }

    /// The sets of signals that the manager at that place publishes.
    pub fn signals_of(&self, manager: usize) -> &[SignalSetDescription] {
        &self.managers[manager].signals
    }

    /// The objects that the manager at that place shares.
    pub fn shares_of(&self, manager: usize) -> &[SharedDescription] {
        &self.managers[manager].shares
    }

    /// The settings of the manager at that place, if it has any.
    pub fn settings_of(&self, manager: usize) -> Option<&SettingsDescription> {
        self.managers[manager].settings.as_ref()
    }

    /// The managers that have settings, by name.
    pub fn managers_with_settings(&self) -> impl Iterator<Item = &str> {
        self.managers.iter().filter(|bound| bound.settings.is_some()).map(|bound| bound.name.as_str())
    }

    /// The names of all managers.
    pub fn managers(&self) -> impl Iterator<Item = &str> {
        self.managers.iter().map(|bound| bound.name.as_str())
    }

    /// The names by which whoever serves a command can be addressed: a pool is one.
    pub fn addresses(&self, route: &CommandRoute) -> Vec<&str> {
        let bound = route.managers.iter().map(|index| &self.managers[*index]);
        let mut names: Vec<_> = bound.map(|it| it.pool.as_ref().unwrap_or(&it.name).as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a manager, or a pool, of that name serves a command.
    pub fn is_served_by(&self, route: &CommandRoute, name: &str) -> bool {
        let mut bound = route.managers.iter().map(|index| &self.managers[*index]);
        bound.any(|it| it.name.as_str() == name || it.pool.as_ref().is_some_and(|pool| pool.as_str() == name))
    }

    /// Who reads the stream at that place.
    pub fn readers_of(&self, stream: usize) -> &[StreamReader] {
        &self.streams[stream]
    }
}

fn routes(view: &View<'_>) -> Vec<CommandRoute> {
    let mut routes: BTreeMap<&str, CommandRoute> = BTreeMap::new();
    let of_kinds =
        view.kind_handlers().filter(|(_, handler)| handler.command.delivery != DeliveryKind::Scope);
    for (started, handler) in of_kinds {
        let route = routes
            .entry(&handler.command.path)
            .or_insert_with(|| empty_route(known_here(view, &handler.command)));
        route.managers.extend(&started.managers);
        route.handlers.push(route_handler(&started.kind.kind, handler, started.managers.clone()));
    }
    for (scope, handler) in view.scope_handlers().filter(|(_, it)| it.command.delivery == DeliveryKind::Scope)
    {
        let route = routes
            .entry(&handler.command.path)
            .or_insert_with(|| empty_route(known_here(view, &handler.command)));
        route.scope = true;
        route.handlers.push(route_handler(&scope.path, handler, Vec::new()));
    }
    let mut routes: Vec<_> = routes.into_values().collect();
    for route in &mut routes {
        route.managers.sort_unstable();
        route.managers.dedup();
        route.handlers.sort_by(|a, b| (&a.owner, &a.method).cmp(&(&b.owner, &b.method)));
    }
    routes.sort_by(|a, b| {
        (a.delivery, &a.spec.name, &a.spec.path).cmp(&(b.delivery, &b.spec.name, &b.spec.path))
    });
    routes
}

/// The command as the coordinator's own program knows it, where it does: programs may differ in deadlines, and
/// that of the sender holds.
fn known_here<'a>(view: &View<'a>, spec: &'a CommandSpec) -> &'a CommandSpec {
    let here = view.registry.handlers().filter(|(program, _)| program.program.is_none());
    here.map(|(_, handler)| &handler.command).find(|own| own.id == spec.id).unwrap_or(spec)
}

fn empty_route(spec: &CommandSpec) -> CommandRoute {
    CommandRoute {
        spec: spec.clone(),
        delivery: spec.delivery,
        managers: Vec::new(),
        scope: false,
        handlers: Vec::new(),
    }
}

fn route_handler(owner: &str, handler: &HandlerDescription, managers: Vec<usize>) -> RouteHandler {
    RouteHandler {
        owner: owner.to_owned(),
        method: handler.method.clone(),
        site: handler.site.clone(),
        role: handler.role.clone(),
        managers,
    }
}

fn bound(view: &View<'_>, index: usize) -> Bound {
    let manager = &view.plan.managers[index];
    let kind = view.started_as(index).map(|started| started.kind);
    let config = kind.and_then(|kind| check(&manager.config, &kind.config, "").json);
    Bound {
        name: manager.name.clone(),
        pool: manager.pool.clone(),
        handlers: Arc::default(),
        config: config.unwrap_or(Value::Null),
        startup: startup_of(view, index),
        self_checks: kind.map(|kind| kind.self_checks.clone()).unwrap_or_default(),
        signals: kind.map(|kind| kind.signals.clone()).unwrap_or_default(),
        shares: kind.map(|kind| kind.shares.clone()).unwrap_or_default(),
        settings: kind.and_then(|kind| kind.settings.clone()),
    }
}

/// What the manager is given at its start, by whichever table of the config.
fn startup_of(view: &View<'_>, target: usize) -> Vec<StartupCommand> {
    let all = view.plan.managers.iter().enumerate();
    let all = all.flat_map(|(index, manager)| manager.startup.iter().map(move |startup| (index, startup)));
    let mine = all.filter(|(index, startup)| {
        startup.to.as_deref().map_or(Some(*index), |to| view.plan.manager(to)) == Some(target)
    });
    let ready = mine.filter_map(|(_, startup)| {
        let spec = view.command(&startup.command)?;
        let json = check(&startup.args, &spec.schema, "").json?;
        Some(StartupCommand { name: spec.name.clone(), command: spec.id, json })
    });
    ready.collect()
}

fn streams(view: &View<'_>) -> Vec<Vec<StreamReader>> {
    let mut streams = vec![BTreeMap::<usize, Vec<String>>::new(); view.plan.streams.len()];
    for feed in view.feeds() {
        if let Some(stream) = feed.stream {
            streams[stream].entry(feed.manager).or_default().push(feed.input.name.clone());
        }
    }
    let readers = |(index, readers): (usize, BTreeMap<usize, Vec<String>>)| {
        let reader = |(manager, inputs): (usize, Vec<String>)| {
            let mode = view.plan.streams[index].mode(&view.plan.managers[manager].name);
            StreamReader { manager, inputs, mode }
        };
        readers.into_iter().map(reader).collect()
    };
    streams.into_iter().enumerate().map(readers).collect()
}
