//! The signals and shared objects of a rig: a page for each life of a manager that has any, and who may read it.
//!
//! The coordinator makes the page, hands it to the manager with its configuration, seals it once it is mapped, and only
//! then lets anybody read it. Threads of this process find it in the [`SignalTable`]; managers ask for it by an order,
//! and are answered with its descriptors. Here is marked what no publisher can say: that it has ended, and that a
//! later life has a page of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::blueprint::{Blueprint, ManagerBlueprint};
use super::core::Core;
use super::launch_error::LaunchError;
use super::main_loop::MainLoop;
use super::ordering::Asker;
use crate::registry::routes::type_name;
use crate::remote::{OpenSignals, SignalError, SignalPort, SignalSource, SignalsOpened, region_sizes};
use crate::shm::{SegmentSealError, SignalMemory, SignalPage, Standing, monotonic_ns};
use crate::transport::{Line, PipeError};
use crate::wire::control::{self, CoordinatorWord, PublishedSet};
use crate::wire::{Field, Placed, SharedSpec, TypeSchema};

/// The signals of all managers, for every thread of the coordinator's process.
pub(crate) struct SignalTable {
    /// By manager; none for those that publish and share nothing.
    sources: Vec<Option<Arc<SignalSource>>>,
}

impl SignalTable {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let source = |plan: &ManagerBlueprint| {
            let source =
                || SignalSource::new(plan.name.to_string(), plan.signals.clone(), plan.shares.clone());
            has_page(plan).then(|| Arc::new(source()))
        };
        Self { sources: blueprint.managers.iter().map(source).collect() }
    }

    fn publishing(&self) -> impl Iterator<Item = &Arc<SignalSource>> {
        self.sources.iter().flatten()
    }

    fn publishers(&self) -> Vec<String> {
        self.publishing().map(|source| source.manager().to_owned()).collect()
    }

    fn of_manager(&self, manager: &str) -> Result<&Arc<SignalSource>, SignalError> {
        let unknown =
            || SignalError::UnknownManager { manager: manager.to_owned(), known: self.publishers() };
        self.publishing().find(|source| source.manager() == manager).ok_or_else(unknown)
    }

    /// Every signal with its value, for those who ask by the rig's socket.
    pub(super) fn to_json(&self) -> Value {
        let now_ns = monotonic_ns();
        let of_set = |source: &Arc<SignalSource>,
                      page: &Option<Arc<SignalPage>>,
                      (set, schema): (usize, &TypeSchema)| {
            let whole =
                page.as_ref().map(|page| (page, page.take_words(set, 0, schema.signal_words().unwrap_or(0))));
            let taken = whole.and_then(|(page, taken)| Some((page, taken.ok()?)));
            let one = |Placed { field, first, words }: Placed<'_>| {
                let mut told = described(source.manager(), field);
                let (mut value, mut age_ms) = (Value::Null, Value::Null);
                if let Some((page, taken)) = &taken {
                    value =
                        schema.signal_json(field, &taken.value[first..first + words]).unwrap_or(Value::Null);
                    age_ms = json!(now_ns.saturating_sub(taken.at_ns) as f64 / 1e6);
                    told["sequence"] = json!(taken.number);
                    told["generation"] = json!(page.generation());
                    told["is_stale"] = json!(page.standing() != Standing::Open);
                }
                told["is_within_bounds"] = is_within(field, &value);
                (told["value"], told["age_ms"]) = (value, age_ms);
                told
            };
            schema.signals().into_iter().map(one).collect::<Vec<_>>()
        };
        let of_source = |source: &Arc<SignalSource>| {
            let page = source.newest();
            let sets = source.sets().iter().enumerate();
            sets.flat_map(|set| of_set(source, &page, set)).collect::<Vec<_>>()
        };
        self.publishing().flat_map(of_source).collect()
    }
}

fn described(manager: &str, field: &Field) -> Value {
    json!({
        "name": format!("{manager}.{}", field.name),
        "manager": manager,
        "signal": field.name,
        "type": type_name(&field.node),
        "unit": field.unit,
        "min": field.min,
        "max": field.max,
        "doc": field.doc,
        "sequence": null,
        "generation": null,
        "is_stale": null,
    })
}

/// Whether a number is within the bounds that were declared; nothing where there is no number or no bound.
fn is_within(field: &Field, value: &Value) -> Value {
    match (value.as_f64(), field.min, field.max) {
        (None, ..) | (_, None, None) => Value::Null,
        (Some(value), min, max) => {
            json!(min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max))
        }
    }
}

impl SignalPort for Core {
    fn signals_of(&self, manager: &str) -> Result<Option<Arc<SignalSource>>, SignalError> {
        self.signals.of_manager(manager).map(|source| Some(Arc::clone(source)))
    }

    fn sleep_at(&self, page: &Arc<SignalPage>, sleep: &mut dyn FnMut(&dyn Fn() -> bool)) {
        if !self.is_scope_thread() {
            return sleep(&|| false);
        }
        let work = self.scope_desk.work();
        work.sleep_on(Arc::clone(page), || sleep(&|| work.is_cancelled()));
    }
}

/// The pages of one manager.
#[derive(Default)]
pub(super) struct SignalLives {
    /// That of its present life.
    present: Option<Life>,
    /// That of the last life which has mapped one, until the present one has.
    before: Option<SignalMemory>,
}

struct Life {
    memory: SignalMemory,
    is_sealed: bool,
}

impl SignalLives {
    /// Makes the page of a new life.
    fn begin(&mut self, generation: u32, plan: &ManagerBlueprint) -> Result<(), LaunchError> {
        if !has_page(plan) {
            return Ok(());
        }
        let error = |source| LaunchError::Page { manager: plan.name.to_string(), source };
        let sizes = region_sizes(&plan.signals, &plan.shares);
        let memory = SignalMemory::create(generation, &sizes).map_err(error)?;
        match self.present.replace(Life { memory, is_sealed: false }) {
            Some(last) if last.is_sealed => self.before = Some(last.memory),
            // One that nobody has read is forgotten.
            _ => {}
        }
        Ok(())
    }

    /// Hands the page to its publisher.
    pub(super) fn give(&self, plan: &ManagerBlueprint, line: &Line) -> Result<(), PipeError> {
        let Some(life) = &self.present else { return Ok(()) };
        let set = |schema: &TypeSchema| PublishedSet {
            path: schema.root.identity(),
            fingerprint: schema.fingerprint(),
            words: schema.signal_words().unwrap_or(0) as u64,
        };
        let sets = plan.signals.iter().map(set).collect();
        let objects = plan.shares.iter().filter_map(SharedSpec::published).collect();
        line.send_with(&control::seal(&CoordinatorWord::Publish { sets, objects }), &life.memory.fds())
    }

    /// The publisher has mapped it: nobody else will ever write it, and everybody may read it.
    fn mapped(&mut self, source: &SignalSource) -> Result<(), SegmentSealError> {
        let Some(life) = self.present.as_mut().filter(|life| !life.is_sealed) else { return Ok(()) };
        life.memory.seal()?;
        life.is_sealed = true;
        source.renew(Arc::clone(life.memory.page()));
        // Readers that see this find the new page.
        self.before.take().iter().for_each(SignalMemory::mark_superseded);
        Ok(())
    }

    /// Its manager is dead.
    pub(super) fn ended(&self) {
        self.present.iter().for_each(|life| life.memory.mark_ended());
    }

    /// What may be read: of the present life, or of the last one.
    fn readable(&self) -> Option<&SignalMemory> {
        let present = self.present.as_ref().filter(|life| life.is_sealed);
        present.map(|life| &life.memory).or(self.before.as_ref())
    }
}

fn has_page(plan: &ManagerBlueprint) -> bool {
    !plan.signals.is_empty() || !plan.shares.is_empty()
}

impl MainLoop {
    /// Makes the page of a manager's new life, if it publishes signals.
    pub(super) fn begin_signals(&mut self, index: usize) -> Result<(), LaunchError> {
        let generation = self.processes[index].generation;
        self.signal_lives[index].begin(generation, &self.core.blueprint.managers[index])
    }

    /// A manager has mapped its page.
    pub(super) fn signals_mapped(&mut self, index: usize) -> Result<(), LaunchError> {
        let Some(source) = &self.core.signals.sources[index] else { return Ok(()) };
        let mapped = self.signal_lives[index].mapped(source);
        mapped.map_err(|source| LaunchError::SealSignals { manager: self.name(index), source })
    }

    /// A manager asks for the signals of another one.
    pub(super) fn open_signals(&mut self, asker: Asker, OpenSignals { manager }: OpenSignals) {
        let table = &self.core.signals;
        let found = table.sources.iter().position(|it| it.as_ref().is_some_and(|it| it.manager() == manager));
        if let (Some(index), Some(reader)) = (found, self.who_ordered(asker)) {
            match self.send_signals(index, reader) {
                Err(PipeError::NotReady) => {
                    let poller = &self.core.poller;
                    self.core.lock().peers[reader].await_room(poller);
                    self.owed_signals.push((asker, manager));
                    return;
                }
                // Its end is about to be seen, and it asks no more.
                Err(PipeError::Closed) => return,
                Err(error) => return self.fail_order(asker, error.to_string()),
                Ok(()) => {}
            }
        }
        let source = found.and_then(|index| table.sources[index].as_ref());
        let (sets, shares) = source.map(|it| (it.sets().to_vec(), it.shares().to_vec())).unwrap_or_default();
        self.answer(asker, &SignalsOpened { sets, publishers: table.publishers(), shares });
    }

    fn send_signals(&self, index: usize, reader: usize) -> Result<(), PipeError> {
        let Some(memory) = self.signal_lives[index].readable() else { return Ok(()) };
        let word = control::seal(&CoordinatorWord::Signals { manager: self.name(index) });
        let state = self.core.lock();
        let line = state.peers[reader].line.as_ref().ok_or(PipeError::Closed)?;
        line.send_with(&word, &memory.fds())
    }

    /// Answers those whose pipes were full.
    pub(super) fn pay_signals(&mut self) {
        for (asker, manager) in std::mem::take(&mut self.owed_signals) {
            self.open_signals(asker, OpenSignals { manager });
        }
    }
}
