//! From a plan that was proved to a blueprint: what remains of names are places in lists.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::blueprint::{Blueprint, ManagerBlueprint, ReaderBlueprint, StartupCommand, StreamBlueprint};
use super::router::Route;
use crate::config::{ManagerPlan, ReadMode, RigPlan, StreamPlan};
use crate::registry::{CommandRoute, RouteTable, StreamReader};
use crate::remote::{ChangeSettings, ForgetDeeds, ReadSettings, SelfCheck};
use crate::shm;
use crate::transport::Child;
use crate::wire::{Command, CommandId, CommandSpec, ManagerName};

/// How a manager's process is started; the mark is its run's business.
pub(super) fn child_of(manager: &ManagerPlan) -> Child {
    Child {
        program: manager.program.clone(),
        args: manager.args.clone(),
        label: format!("labrig:{}", manager.name),
        env: manager.environment.set.clone(),
        env_remove: manager.environment.remove.clone(),
        library_path: manager.environment.library_path.clone(),
        working_dir: manager.environment.working_dir.clone(),
        nice: manager.environment.nice,
        cpus: manager.environment.cpus.clone(),
        mark: None,
    }
}

/// Where a run keeps what.
pub(super) struct Places {
    pub(super) run_dir: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) socket: PathBuf,
}

/// Draws the blueprint of a plan without faults. `known` are the commands of all programs, served or not.
pub(super) fn draw(plan: &RigPlan, table: &RouteTable, known: &[&CommandSpec], places: Places) -> Blueprint {
    let Places { run_dir, state_dir, socket } = places;
    let mark = format!("{:x}-{:x}", std::process::id(), shm::monotonic_ns());
    let managers = plan.managers.iter().enumerate();
    let streams = plan.streams.iter().enumerate();
    Blueprint {
        rig: plan.name.clone(),
        run_dir,
        state_dir,
        socket,
        default_deadline: plan.default_deadline,
        start_deadline: plan.start_deadline,
        quit_deadline: plan.quit_deadline,
        sends_traces: plan.sends_traces,
        has_fast_lanes: plan.has_fast_lanes,
        traces: plan.traces,
        heeds_managers: true,
        managers: managers.map(|(index, it)| draw_manager(plan, table, &mark, (index, it))).collect(),
        streams: streams.filter_map(|(index, stream)| draw_stream(plan, table, index, stream)).collect(),
        routes: draw_routes(table, known, plan.managers.len()),
        mark,
    }
}

fn draw_manager(
    plan: &RigPlan,
    table: &RouteTable,
    mark: &str,
    (index, manager): (usize, &ManagerPlan),
) -> ManagerBlueprint {
    let handlers = table.handlers_for_target(manager.name.as_str()).iter();
    let places =
        |names: &[ManagerName]| names.iter().filter_map(|name| plan.manager(name.as_str())).collect();
    let startup = table.startup_of(index).iter().map(|startup| StartupCommand {
        name: startup.name.clone(),
        command: startup.command,
        json: startup.json.to_string().into_bytes(),
    });
    ManagerBlueprint {
        name: manager.name.clone(),
        pool: manager.pool.clone(),
        max_remote_values: manager.max_remote_values,
        kind: manager.kind.clone(),
        child: Child { mark: Some(format!("{mark}.{}", manager.name)), ..child_of(manager) },
        config_json: table.config_of(index).to_string(),
        startup: startup.collect(),
        depth: manager.queue_depth,
        after: places(&manager.after),
        outlives: places(&manager.outlives),
        is_optional: manager.is_optional,
        safe_deadline: manager.safe_deadline,
        supervision: manager.supervision.clone(),
        is_hazardous: handlers.clone().any(|it| it.command.hazardous),
        signals: table.signals_of(index).iter().map(|set| set.schema.clone()).collect(),
        shares: table.shares_of(index).iter().map(|it| it.spec.clone()).collect(),
        limits: manager.limits,
        hears: manager.hears.clone(),
        commands: handlers.map(|it| (it.command.path.clone(), it.command.id)).collect(),
    }
}

fn draw_stream(
    plan: &RigPlan,
    table: &RouteTable,
    index: usize,
    stream: &StreamPlan,
) -> Option<StreamBlueprint> {
    Some(StreamBlueprint {
        name: stream.name.clone(),
        producer: plan.manager(stream.producer.as_ref()?.as_str())?,
        slots: stream.slots,
        max_frame_bytes: stream.max_frame_bytes,
        readers: table.readers_of(index).iter().map(draw_reader).collect(),
    })
}

fn draw_reader(reader: &StreamReader) -> ReaderBlueprint {
    let mode = match reader.mode {
        ReadMode::Lossless => shm::ReadMode::Lossless,
        ReadMode::Latest => shm::ReadMode::Latest,
    };
    ReaderBlueprint { manager: reader.manager, inputs: reader.inputs.clone(), mode }
}

/// The scope stands behind the managers in the router's list of stations. A command that is known and that
/// nobody serves in this rig has a route to nobody, so that its refusal says its name.
fn draw_routes(table: &RouteTable, known: &[&CommandSpec], scope: usize) -> HashMap<CommandId, Route> {
    let nowhere = |spec: &CommandSpec| Route {
        name: spec.name.clone(),
        delivery: spec.delivery,
        overflow: spec.overflow,
        idempotent: spec.idempotent,
        hazardous: spec.hazardous,
        stations: Vec::new(),
    };
    let route = |route: &CommandRoute| Route {
        name: route.spec.name.clone(),
        delivery: route.delivery,
        overflow: route.spec.overflow,
        idempotent: route.spec.idempotent,
        hazardous: route.spec.hazardous,
        stations: route.managers.iter().copied().chain(route.scope.then_some(scope)).collect(),
    };
    let mut routes: HashMap<_, _> = known.iter().map(|spec| (spec.id, nowhere(spec))).collect();
    routes.extend(table.routes().iter().map(|it| (it.spec.id, route(it))));
    let checks = (0..scope).filter(|index| !table.self_checks_of(*index).is_empty());
    let checks = Route { stations: checks.collect(), ..nowhere(SelfCheck::spec()) };
    routes.insert(SelfCheck::spec().id, checks);
    let forgetting = Route { stations: keepers(table, scope), ..nowhere(ForgetDeeds::spec()) };
    routes.insert(ForgetDeeds::spec().id, forgetting);
    for spec in [ReadSettings::spec(), ChangeSettings::spec()] {
        let owners = (0..scope).filter(|index| table.settings_of(*index).is_some());
        routes.insert(spec.id, Route { stations: owners.collect(), ..nowhere(spec) });
    }
    routes
}

/// The stations that keep journals: those that serve a command of which one is kept.
fn keepers(table: &RouteTable, scope: usize) -> Vec<usize> {
    let journaled = || table.routes().iter().filter(|route| route.spec.journaled);
    let has_scope = journaled().any(|route| route.scope);
    let managers: BTreeSet<_> = journaled().flat_map(|route| route.managers.iter().copied()).collect();
    managers.into_iter().chain(has_scope.then_some(scope)).collect()
}
