//! One procedure from when its thread takes it up until it has ended, is paused, or its process ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asking::record;
use super::commands::{Outcome, ProcedureError};
use super::context::StepContext;
use super::entry::{Desk, Entry};
use super::gauge::gauge;
use super::registration::{Alive, ProcedureRegistration};
use super::runner::{self, Runner};
use super::state::{Move, ProcedureState};
use super::step::{Cause, ChildLaunch, Step, StepError};
use super::store::{Row, StepDone, StoreError, Wait, Which, now_ms};
use crate::registry::panics;
use crate::remote::SignalError;

/// How long a signal is waited for before its waiter looks whether it has an order.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Why a life is over.
enum Halt {
    /// Its record says how, and everybody has been told.
    Told,
    /// It has come to an end: its record says so, and nobody has been told.
    Ended,
    /// It cannot go on.
    Failed(String),
    /// Its step was cancelled: it is run again when the procedure is played.
    Cancelled(String),
    /// The process ends.
    Stopped,
    /// Its record cannot be written.
    Stalled(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Stalled(error)
    }
}

impl From<ProcedureError> for Halt {
    fn from(error: ProcedureError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Lives through it; returns when there is nothing more to do for this thread.
pub(super) fn live(runner: &Arc<Runner>, entry: &Arc<Entry>) {
    let halt = match Life::take_up(runner, entry) {
        Ok(mut life) => life.go_on(),
        Err(halt) => halt,
    };
    settle(runner, entry, halt);
}

/// What is left to do when a life is over.
fn settle(runner: &Arc<Runner>, entry: &Arc<Entry>, halt: Halt) {
    if matches!(halt, Halt::Told) {
        return;
    }
    runner.turns.give_back(entry);
    let number = entry.number;
    let halt = match halt {
        Halt::Failed(text) => {
            runner.store.change(number, Move::Except, ("", &text)).map_or_else(Halt::from, |_| {
                log::warn!("procedure {number} ends: {text}");
                Halt::Ended
            })
        }
        other => other,
    };
    let mut desk = entry.desk();
    match halt {
        Halt::Ended => return runner.ended(entry, desk, Outcome::TooLate),
        Halt::Cancelled(text) => match pause(runner, entry, &mut desk, &text) {
            Ok(()) => {}
            Err(why) => stall(&mut desk, number, &why),
        },
        Halt::Stalled(why) => stall(&mut desk, number, &why),
        Halt::Told | Halt::Failed(_) | Halt::Stopped => desk.is_active = false,
    }
    drop(desk);
    entry.tell(|_| ());
    runner.tell_watchers();
}

fn stall(desk: &mut Desk, number: i64, why: &StoreError) {
    log::error!("procedure {number} stays where it was acknowledged last: {why}");
    desk.stalled = Some(format!("its record cannot be written: {why}"));
    desk.is_active = false;
    // Whoever has asked is told that nothing came of it.
    desk.pause = None;
    desk.kill = None;
    desk.pauses_asked.clear();
    desk.kills_asked.clear();
}

/// The record says that it is paused, and whoever has asked for it hears so.
fn pause(runner: &Runner, entry: &Entry, desk: &mut Desk, text: &str) -> Result<(), StoreError> {
    let order = desk.pause.clone().unwrap_or_default();
    let text = if order.text.is_empty() { text } else { &order.text };
    runner.store.change(entry.number, Move::Pause, (&order.by, text))?;
    desk.is_active = false;
    desk.answer_pauses(Outcome::Done);
    Ok(())
}

struct Life<'a> {
    runner: &'a Arc<Runner>,
    entry: &'a Arc<Entry>,
    registration: &'static ProcedureRegistration,
    row: Row,
    alive: Option<Box<dyn Alive>>,
    context: StepContext,
    /// The child that the last step has launched, when that has ended.
    child: Option<i64>,
    /// When the procedure is to have ended.
    ends_by: Option<Instant>,
}

impl<'a> Life<'a> {
    fn take_up(runner: &'a Arc<Runner>, entry: &'a Arc<Entry>) -> Result<Self, Halt> {
        runner.store.take_up(entry.number)?;
        let row = runner.store.find(entry.number)?;
        let row = row.ok_or_else(|| Halt::Failed("its record is gone".to_owned()))?;
        let registration = runner::kind(&row.kind)?;
        let mut row = row;
        let alive = match row.step {
            None => None,
            Some(step) => {
                let from = runner.usable(&row, Which::Last, "")?;
                if from.step != step {
                    let text = format!("its record says step {step}, its last checkpoint {}", from.step);
                    return Err(Halt::Failed(text));
                }
                row.wait = row.wait.take().and(from.wait);
                let loaded = (registration.load)(&row.inputs, &from.state);
                Some(loaded.map_err(|error| Halt::Failed(format!("its state cannot be read: {error}")))?)
            }
        };
        let context = StepContext::new(&runner.scope, Arc::clone(entry), row.id(), row.mark);
        let ends_by = moment(row.created_ms, row.deadline_ms);
        Ok(Self { runner, entry, registration, row, alive, context, child: None, ends_by })
    }

    fn go_on(&mut self) -> Halt {
        loop {
            let round = self.round();
            if let Err(halt) = round {
                return halt;
            }
        }
    }

    /// An order, a wait, or a step.
    fn round(&mut self) -> Result<(), Halt> {
        self.obey()?;
        self.in_time()?;
        match self.row.wait.clone() {
            Some(wait) if self.row.state == ProcedureState::Waiting => self.wait_for(&wait),
            Some(_) if self.row.state == ProcedureState::Running => self.change(Move::Wait),
            _ if !self.runner.turns.take(self.entry) => Ok(()),
            _ if self.row.state == ProcedureState::Created => self.change(Move::Begin),
            _ => self.step(),
        }
    }

    fn change(&mut self, wanted: Move) -> Result<(), Halt> {
        self.row.state = self.runner.store.change(self.row.number, wanted, ("", ""))?;
        self.runner.tell_watchers();
        Ok(())
    }

    /// Does what it is told, if anything.
    fn obey(&mut self) -> Result<(), Halt> {
        if !self.entry.desk().has_order() {
            return Ok(());
        }
        self.runner.turns.give_back(self.entry);
        let mut desk = self.entry.desk();
        let Some((_, order)) = desk.kill.clone() else {
            if desk.stops {
                return Err(Halt::Stopped);
            }
            if desk.pause.is_none() {
                return Ok(());
            }
            if let Err(why) = pause(self.runner, self.entry, &mut desk, "") {
                return Err(why.into());
            }
            drop(desk);
            self.entry.tell(|_| ());
            self.runner.tell_watchers();
            return Err(Halt::Told);
        };
        self.runner.store.change(self.row.number, Move::Kill, (&order.by, &order.text))?;
        self.runner.ended(self.entry, desk, Outcome::Done);
        Err(Halt::Told)
    }

    fn in_time(&self) -> Result<(), Halt> {
        match self.ends_by {
            Some(end) if Instant::now() >= end => Err(Halt::Failed(format!(
                "it was not done within its deadline of {} ms",
                self.row.deadline_ms
            ))),
            _ => Ok(()),
        }
    }

    // --- steps ---

    fn step(&mut self) -> Result<(), Halt> {
        let step = self.row.step.map_or(0, |step| step + 1);
        let own = (self.row.step_deadline_ms > 0).then(|| Duration::from_millis(self.row.step_deadline_ms));
        let own = own.map(|limit| Instant::now() + limit);
        let deadline = own.into_iter().chain(self.ends_by).min();
        let child = self.child.take().map(|number| self.runner.store.find(number)).transpose()?.flatten();
        self.context.enter(step, deadline, child.map(|row| record(&row, None)));
        let ended = self.run();
        let is_overdue = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match ended {
            Ok(Step::Done(output)) => {
                self.runner.store.finish(self.row.number, step, &output)?;
                Err(Halt::Ended)
            }
            Ok(other) => {
                self.acknowledge(step, other)?;
                if is_overdue { Err(self.overdue(step)) } else { Ok(()) }
            }
            Err(error) => self.failed(step, error, is_overdue),
        }
    }

    fn run(&mut self) -> Result<Step<String>, StepError> {
        let (registration, context, inputs) = (self.registration, &mut self.context, &self.row.inputs);
        let alive = &mut self.alive;
        let caught = panics::catch(|| {
            Ok(match alive {
                Some(alive) => alive.step(context),
                None => (registration.begin)(inputs, context).map(|begun| {
                    *alive = Some(begun);
                    Step::next()
                }),
            })
        });
        caught.unwrap_or_else(|failure| Err(StepError::of(failure)))
    }

    fn failed(&mut self, step: u64, error: StepError, is_overdue: bool) -> Result<(), Halt> {
        let (is_killed, stops) = {
            let desk = self.entry.desk();
            (desk.kill.is_some(), desk.stops)
        };
        match error.cause() {
            // What the step has left behind is not kept; the order is obeyed in the next round.
            _ if is_killed || stops => Ok(()),
            Cause::Shutdown => Err(Halt::Stopped),
            Cause::Cancelled => Err(Halt::Cancelled(format!("step {step} was cancelled, and is run again"))),
            Cause::Own if is_overdue => Err(self.overdue(step)),
            Cause::Own => Err(Halt::Failed(format!("step {step}: {error}"))),
        }
    }

    fn overdue(&self, step: u64) -> Halt {
        match self.in_time() {
            Err(halt) => halt,
            Ok(()) => {
                let limit = self.row.step_deadline_ms;
                Halt::Failed(format!("step {step} was not done within its deadline of {limit} ms"))
            }
        }
    }

    fn acknowledge(&mut self, step: u64, ended: Step<String>) -> Result<(), Halt> {
        let alive = self.alive.as_ref().expect("a step that was run is one of something alive");
        let state = alive.state().map_err(|error| Halt::Failed(format!("its state: {error}")))?;
        let (mut text, mut wait, mut child) = (String::new(), None, None);
        match ended {
            Step::Next(note) => text = note,
            Step::Sleep(duration) => wait = Some(Wait::Until(after(duration))),
            Step::WaitUntil(condition, patience) => wait = Some(Wait::Signal(condition, after(patience))),
            Step::Child(launch) => child = Some(checked_child(launch)?),
            Step::Done(_) => {}
        }
        let done = StepDone {
            step,
            state: &state,
            fingerprint: (self.registration.state)().fingerprint(),
            tag: self.context.tag.as_deref(),
            text: &text,
            wait,
            child: child.as_ref(),
        };
        let (wait, made) = self.runner.store.acknowledge(self.row.number, done)?;
        self.row.step = Some(step);
        if wait.is_some() {
            self.row.state = ProcedureState::Waiting;
            self.runner.tell_watchers();
        }
        self.row.wait = wait;
        made.into_iter().for_each(|made| self.runner.adopt(made));
        Ok(())
    }

    // --- waits ---

    /// Waits without a turn, until what it waits for has come or there is an order.
    fn wait_for(&mut self, wait: &Wait) -> Result<(), Halt> {
        self.runner.turns.give_back(self.entry);
        let has_come = match wait {
            Wait::Until(at_ms) => self.wait_until(*at_ms),
            Wait::Signal(condition, by_ms) => {
                let left = Duration::from_millis(by_ms.saturating_sub(now_ms()));
                let mut gauge = gauge(&self.runner.scope, &condition.signal)
                    .map_err(|why| Halt::Failed(format!("it waits for {condition}: {why}")))?;
                self.wait_for_signal(left, &|value| condition.is.is_met_by(value), &mut gauge)
                    .map_err(|why| Halt::Failed(format!("{condition} was not so in time: {why}")))?
            }
            Wait::Child(number) => self.wait_for_child(*number)?,
        };
        if has_come {
            self.runner.store.wake(self.row.number)?;
            self.row.wait = None;
            self.row.state = ProcedureState::Running;
            self.runner.tell_watchers();
        }
        Ok(())
    }

    fn wait_until(&self, at_ms: u64) -> bool {
        let left = Duration::from_millis(at_ms.saturating_sub(now_ms()));
        let until = Instant::now().checked_add(left).into_iter().chain(self.ends_by).min();
        self.entry.wait(until, Desk::has_order);
        now_ms() >= at_ms
    }

    fn wait_for_signal(
        &self,
        left: Duration,
        is_met: &dyn Fn(f64) -> bool,
        gauge: &mut dyn FnMut(Duration) -> Result<Option<f64>, SignalError>,
    ) -> Result<bool, String> {
        let end = Instant::now() + left;
        let mut last = "it was never published".to_owned();
        loop {
            match gauge(BETWEEN_LOOKS.min(end.saturating_duration_since(Instant::now()))) {
                Ok(Some(value)) if is_met(value) => return Ok(true),
                Ok(Some(value)) => last = format!("it was {value} last"),
                Ok(None) => {}
                // Its manager may come back within the time that there is.
                Err(SignalError::NotPublished { .. } | SignalError::Ended { .. }) => {
                    self.entry.wait(Some(Instant::now() + BETWEEN_LOOKS), Desk::has_order);
                }
                Err(why) => return Err(why.to_string()),
            }
            if self.entry.desk().has_order() || self.in_time().is_err() {
                return Ok(false);
            }
            if Instant::now() >= end {
                return Err(last);
            }
        }
    }

    fn wait_for_child(&mut self, number: i64) -> Result<bool, Halt> {
        loop {
            let child = self.runner.store.find(number)?;
            if child.is_none_or(|child| child.state.is_final()) {
                self.child = Some(number);
                return Ok(true);
            }
            self.entry.wait(self.ends_by, |desk| desk.is_roused || desk.has_order());
            let has_order = self.entry.tell(|desk| {
                desk.is_roused = false;
                desk.has_order()
            });
            if has_order || self.in_time().is_err() {
                return Ok(false);
            }
        }
    }
}

/// A child's inputs as they are kept.
fn checked_child(launch: ChildLaunch) -> Result<ChildLaunch, Halt> {
    let inputs = runner::checked(runner::kind(&launch.kind)?, &launch.inputs, "")?;
    Ok(ChildLaunch { inputs, ..launch })
}

/// The moment after that time, in ms since 1970.
fn after(duration: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The moment so many ms after another, on the clock that waits are measured by; none for 0.
fn moment(from_ms: u64, limit_ms: u64) -> Option<Instant> {
    let left = from_ms.saturating_add(limit_ms).saturating_sub(now_ms());
    (limit_ms > 0).then(|| Instant::now().checked_add(Duration::from_millis(left))).flatten()
}
