//! From a topology to a running rig: prove, draw the blueprint, start.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;

use super::blueprint::Blueprint;
use super::core::Core;
use super::drawing;
use super::guarding;
use super::hooks::{FailureReport, Hooks};
use super::launch_error::LaunchError;
use super::main_loop::{self, MainLoop};
use super::manifest;
use super::rig::{Parts, Rig};
use super::run_log::RunLog;
use super::scope_thread;
use super::socket::place::{default_runtime_dir, socket_path};
use super::socket::{Catalogue, MakeCatalogue, RigSocket};
use super::state_folder::StateFolder;
use super::surroundings;
use super::trace::Trace;
use crate::config::{Code, Fault, ManagerPlan, Report, RigPlan, Topology};
use crate::registry::context::Identity;
use crate::registry::producers::Producers;
use crate::registry::registration::{self, ScopeInstance};
use crate::registry::{
    CommandRegistry, Context, ProgramManifest, RouteTable, ScopeHandles, ScopeRegistration, SetupError,
};
use crate::remote::Scope;
use crate::transport::{Child, close_inherited_on_exec, this_program_plays_managers};
use crate::wire::Generation;

/// Builds a value that serves the scope's commands.
pub(crate) type BuildScope = Box<dyn FnOnce(&mut Context) -> Result<Box<dyn Any + Send>, SetupError> + Send>;

/// Builds a value of this type, which is known by its type alone from here on.
pub(crate) fn scope_of<S: ScopeHandles>(
    build: impl FnOnce(&mut Context) -> Result<S, SetupError> + Send + 'static,
) -> (TypeId, BuildScope) {
    let build = |context: &mut Context| build(context).map(|value| Box::new(value) as Box<dyn Any + Send>);
    (TypeId::of::<S>(), Box::new(build))
}

/// A rig to be launched.
pub struct RigBuilder {
    topology: Topology,
    scopes: Vec<(TypeId, BuildScope)>,
    signals: Option<UnixStream>,
    hooks: Hooks,
    log_level: u8,
    alone: Option<String>,
}

/// What is known about a rig before anything is started.
#[derive(Debug)]
pub struct Proof {
    /// The rig as its config describes it.
    pub plan: RigPlan,
    /// What is linked into its programs.
    pub registry: CommandRegistry,
    /// Everything that is wrong, sorted.
    pub report: Report,
}

/// Proves a rig: every program is asked for its manifest, no device is opened, nothing is started.
pub fn prove(topology: &Topology) -> Proof {
    prove_with(topology, &[])
}

fn prove_with(topology: &Topology, given: &[TypeId]) -> Proof {
    let resolution = topology.resolve();
    let (plan, mut faults) = (resolution.plan, resolution.faults);
    let (manifests, program_faults) = collect_manifests(&plan);
    faults.extend(program_faults);
    faults.extend(surroundings::of_managers(&plan));
    let registry = CommandRegistry::new(manifests);
    let given: Vec<_> = ScopeRegistration::all()
        .filter(|registration| given.contains(&(registration.type_id)()))
        .map(|registration| (registration.describe)().path)
        .collect();
    faults.extend(registry.validate(&plan, &given));
    Proof { plan, registry, report: Report::new(faults) }
}

/// This program's manifest, and those of all others that play a manager.
fn collect_manifests(plan: &RigPlan) -> (Vec<ProgramManifest>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut programs: BTreeMap<PathBuf, Child> = BTreeMap::new();
    for manager in &plan.managers {
        match &manager.program {
            Some(program) => {
                programs.entry(program.clone()).or_insert_with(|| asked_child(manager));
            }
            None if !this_program_plays_managers() => faults.push(needs_program(manager)),
            None => {}
        }
    }
    let children: Vec<Child> = programs.values().cloned().collect();
    let mut manifests = vec![ProgramManifest { program: None, manifest: registration::manifest() }];
    for (program, asked) in programs.into_keys().zip(manifest::ask_all(&children, plan.start_deadline)) {
        match asked {
            Ok(manifest) => manifests.push(ProgramManifest { program: Some(program), manifest }),
            Err(fault) => faults.push(name_managers(fault, plan, &program)),
        }
    }
    (manifests, faults)
}

/// How a manager's program is started to be asked what it contains: wherever its folder may be.
fn asked_child(manager: &ManagerPlan) -> Child {
    let child = drawing::child_of(manager);
    match surroundings::has_working_dir(manager) {
        true => child,
        false => Child { working_dir: None, ..child },
    }
}

fn name_managers(fault: Fault, plan: &RigPlan, program: &Path) -> Fault {
    let played = plan.managers.iter().filter(|manager| manager.program.as_deref() == Some(program));
    played.fold(fault, |fault, manager| {
        fault.at(manager.site.clone(), format!("it is to play `{}`", manager.name))
    })
}

fn needs_program(manager: &ManagerPlan) -> Fault {
    let text = format!("nothing says which program plays `{}`", manager.name);
    Fault::new(Code::ProgramNeeded, text).at(manager.site.clone(), "this manager").hint(
        "this process does not run `labrig::main()`, so it cannot play managers itself;\n\
         in a test write `Topology::from_file(…)?.program(env!(\"CARGO_BIN_EXE_my_rig\"))`",
    )
}

impl RigBuilder {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            scopes: Vec::new(),
            signals: None,
            hooks: Hooks::default(),
            log_level: 3,
            alone: None,
        }
    }

    /// Gives the value that serves the scope's commands. It is built in this process, once the rig is proved
    /// and before its managers are started.
    pub fn scope<S: ScopeHandles>(
        mut self,
        build: impl FnOnce(&mut Context) -> Result<S, SetupError> + Send + 'static,
    ) -> Self {
        self.scopes.push(scope_of(build));
        self
    }

    /// Begins the quit when a byte can be read here, and hastens it with the next.
    pub(crate) fn signals(mut self, signals: UnixStream) -> Self {
        self.signals = Some(signals);
        self
    }

    /// What is done before the rig quits, while everything still works; the quit waits for it, for as long as
    /// the quit deadline says, or until somebody insists. It runs on a thread of its own.
    pub fn before_quit(mut self, hook: impl FnOnce(&Scope) + Send + 'static) -> Self {
        self.hooks.before_quit.push(Box::new(hook));
        self
    }

    /// Is told of what fails without any call to tell of it: managers that die, or hang.
    pub fn on_failure(mut self, told: impl Fn(&FailureReport) + Send + Sync + 'static) -> Self {
        self.hooks.on_failure.push(Arc::new(told));
        self
    }

    pub(crate) fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Starts nobody but this manager, once the whole rig is proved: others do not exist for it, the streams that
    /// it produces do, and a quit that it asks for waits. For [`Scope::self_check`]s of a single device.
    pub fn alone(mut self, manager: impl Into<String>) -> Self {
        self.alone = Some(manager.into());
        self
    }

    /// The most verbose level of log records wanted of managers; default info.
    pub fn log_level(mut self, level: log::Level) -> Self {
        self.log_level = level as u8;
        self
    }

    pub(crate) fn scopes_from(mut self, scopes: Vec<(TypeId, BuildScope)>) -> Self {
        self.scopes.extend(scopes);
        self
    }

    /// Proves the rig without starting it.
    pub fn prove(&self) -> Proof {
        let given: Vec<_> = self.scopes.iter().map(|(type_id, _)| *type_id).collect();
        prove_with(&self.topology, &given)
    }

    /// Proves and starts the rig; returns when every manager is ready.
    ///
    /// # Errors
    /// [`LaunchError::Refused`] with every fault of the proof; any other [`LaunchError`] when the start
    /// failed. Nothing is left running then.
    pub fn launch(self) -> Result<Rig, LaunchError> {
        let proof = self.prove();
        let report = proof.report.with(surroundings::of_folders(&proof.plan));
        if !report.is_clean() {
            return Err(LaunchError::Refused(report));
        }
        let plan = self.started(proof.plan)?;
        close_inherited_on_exec();
        let guarding = guarding::start(&plan)?;
        let folders = Folders::take(&plan)?;
        let table = proof.registry.bind(&plan);
        let known: Vec<_> = proof.registry.specs().into_iter().chain(proof.registry.methods()).collect();
        let mut blueprint = drawing::draw(&plan, &table, &known, folders.places());
        blueprint.heeds_managers = self.alone.is_none();
        let registry = proof.registry;
        let table = Arc::new(table);
        let routes = Arc::clone(&table);
        let catalogue = Box::new(move || Catalogue::new(&table, &registry.specs()));
        self.start(blueprint, folders, guarding, (catalogue, routes))
    }

    /// What of the plan is started.
    fn started(&self, plan: RigPlan) -> Result<RigPlan, LaunchError> {
        let Some(name) = &self.alone else { return Ok(plan) };
        plan.alone(name).ok_or_else(|| LaunchError::NoSuchManager {
            manager: name.clone(),
            known: plan.managers.iter().map(|manager| manager.name.to_string()).collect(),
        })
    }

    fn start(
        self,
        blueprint: Blueprint,
        folders: Folders,
        guarding: Option<guarding::Starting>,
        (catalogue, routes): (MakeCatalogue, Arc<RouteTable>),
    ) -> Result<Rig, LaunchError> {
        let run_dir = blueprint.run_dir.clone();
        let rig_name = blueprint.rig.clone();
        let core = Arc::new(Core::new(blueprint)?);
        core.settle_estate();
        core.routes.get_or_init(|| routes);
        let mut log = RunLog::create(&run_dir)
            .map_err(|source| LaunchError::Folder { folder: run_dir.clone(), source })?;
        if let Some(before) = folders.state.left_by() {
            let text = format!("the state folder is taken over from {before}, which did not come to its end");
            log.note(log::Level::Warn, &text);
        }
        let trace = core.blueprint.traces.then(|| Trace::create(&run_dir)).transpose();
        let trace = trace.map_err(|source| LaunchError::Folder { folder: run_dir.clone(), source })?;
        let state_dir = core.blueprint.state_dir.clone();
        let (manager, generation) = ("scope".to_owned(), Generation(1));
        let identity = Identity { rig: rig_name, manager, generation, run_dir, state_dir };
        let port: Arc<Core> = Arc::clone(&core);
        let work = Arc::clone(core.scope_desk.work());
        let context = Context::new(identity, Scope::new(port), Producers::default(), work);
        let mut context = context.answering_later(core.scope_desk.late());
        let instances = build_scopes(self.scopes, &mut context)?;
        let (launched, outcome) = bounded(1);
        let (ending, ended) = bounded(0);
        let parts = main_loop::Parts {
            core: Arc::clone(&core),
            log,
            trace,
            log_level: self.log_level,
            signals: self.signals,
            hooks: self.hooks,
            launched,
        };
        let mut main_loop = MainLoop::new(parts)?;
        main_loop.guarding = guarding.map(|it| it.finish(&core, folders.litter())).transpose()?;
        let socket = RigSocket::open(Arc::clone(&core), &core.blueprint.socket, catalogue)?;
        let (scope_thread, scope_ended) =
            scope_thread::start(Arc::clone(&core), instances, context).map_err(LaunchError::System)?;
        let run = move || {
            let ended = main_loop.run();
            drop(ending);
            ended
        };
        let main = thread::Builder::new().name("labrig-main".to_owned()).spawn(run);
        let main = main.inspect_err(|_| core.close()).map_err(LaunchError::System)?;
        let parts = Parts {
            main,
            scope_thread,
            scope_ended,
            ended,
            socket,
            state_folder: folders.state,
            temporary: folders.temporary,
        };
        match outcome.recv() {
            Ok(Ok(())) => Ok(Rig::running(core, parts)),
            Ok(Err(error)) => {
                drop(parts.end());
                Err(error)
            }
            Err(_) => {
                let summary = parts.end();
                Err(LaunchError::Interrupted { reason: summary.reason })
            }
        }
    }
}

/// Every scope that is linked in: the value that was given, or its default.
fn build_scopes(
    given: Vec<(TypeId, BuildScope)>,
    context: &mut Context,
) -> Result<Vec<Box<dyn ScopeInstance>>, LaunchError> {
    let mut given: BTreeMap<_, _> = given.into_iter().collect();
    let mut instances = Vec::new();
    for registration in ScopeRegistration::all() {
        let instance = match given.remove(&(registration.type_id)()) {
            Some(build) => {
                let value =
                    build(context).map_err(|error| LaunchError::Scope(Box::new(error.into_failure())))?;
                (registration.adopt)(value)
            }
            None => (registration.build)(),
        };
        instances.extend(instance);
    }
    Ok(instances)
}

/// The folders of a run.
struct Folders {
    state: StateFolder,
    state_dir: PathBuf,
    run_dir: PathBuf,
    socket: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Folders {
    /// What is to be removed should this process be killed.
    fn litter(&self) -> impl Iterator<Item = PathBuf> {
        let temporary = self.temporary.iter().map(|folder| folder.path().to_owned());
        temporary.chain([self.socket.clone()])
    }

    fn places(&self) -> drawing::Places {
        let Self { state_dir, run_dir, socket, .. } = self;
        let state_dir = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.clone());
        drawing::Places { run_dir: run_dir.clone(), state_dir, socket: socket.clone() }
    }

    /// Takes the state folder and makes the run's folder. What nobody named is temporary.
    fn take(plan: &RigPlan) -> Result<Self, LaunchError> {
        let temporary = match (&plan.state_dir, &plan.run_dir) {
            (Some(_), Some(_)) => None,
            _ => Some(temporary_folder()?),
        };
        let below =
            |name: &str| temporary.as_ref().map(|folder| folder.path().join(name)).unwrap_or_default();
        let state_dir = plan.state_dir.clone().unwrap_or_else(|| below("state"));
        let state = StateFolder::take(&state_dir, &plan.name)?;
        let runtime_dir = plan.runtime_dir.clone().unwrap_or_else(default_runtime_dir);
        let socket = socket_path(&runtime_dir, &plan.name, &state_dir);
        let run_dir = plan.run_dir.clone().unwrap_or_else(|| below("run"));
        fs::create_dir_all(&run_dir)
            .map_err(|source| LaunchError::Folder { folder: run_dir.clone(), source })?;
        Ok(Self { state, state_dir, run_dir, socket, temporary })
    }
}

fn temporary_folder() -> Result<tempfile::TempDir, LaunchError> {
    let folder = tempfile::Builder::new().prefix("labrig-").tempdir();
    folder.map_err(|source| LaunchError::Folder { folder: std::env::temp_dir(), source })
}
