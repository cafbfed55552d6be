//! What a handler can do besides its own device: talk to the rig.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deeds::{AtHand, Deeds};
use super::emergency::Emergency;
use super::late::{Asked, LateAnswer, LateAnswers, asked_by};
use super::producers::{FrameProducer, ProducerError, Producers};
use super::publisher::{Publications, PublishError, Publisher, ShareError};
use super::remote_methods::{ResolveError, Resolved};
use super::vitals::Vitals;
use crate::remote::{
    Addressed, CallError, Cancellations, Cancelled, KeepError, PendingBroadcast, PendingReply, RemoteRef,
    RemoteValue, Scope,
};
use crate::shm::{Element, FrameFormat, Loan, SegmentCreateError, SharedObject};
use crate::wire::{
    Broadcast, Command, Generation, Header, Hop, OneHandler, Progress, Refusal, SafeReason, Signals,
    Undelivered,
};

/// How long after a word on its progress a command says the next one at the earliest.
const BETWEEN_PROGRESS: Duration = Duration::from_millis(10);

/// Who a handler runs for, and the way from it into the rig.
pub struct Context {
    identity: Arc<Identity>,
    base: Scope,
    scope: Scope,
    producers: Producers,
    publications: Arc<Publications>,
    work: Arc<Cancellations>,
    vitals: Arc<Vitals>,
    emergency: Arc<Emergency>,
    pub(super) deeds: Arc<Deeds>,
    pub(super) at_hand: Option<AtHand>,
    /// The command being handled, by the number of its call; 0 for one that has none.
    call: u64,
    told_progress_at: Cell<Option<Instant>>,
    late: Arc<LateAnswers>,
    /// How that command is answered, when somebody waits for it.
    asked: Option<Asked>,
}

/// Who a manager is; the same for all its life.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The rig's name.
    pub rig: String,
    /// The manager's name; `scope` for handlers of the coordinator.
    pub manager: String,
    /// Which life of it.
    pub generation: Generation,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// The folder in which the rig keeps its state from run to run.
    pub state_dir: PathBuf,
}

impl Context {
    pub(crate) fn new(
        identity: Identity,
        scope: Scope,
        producers: Producers,
        work: Arc<Cancellations>,
    ) -> Self {
        let deeds = Deeds::of(&identity.manager, &identity.state_dir);
        Self {
            identity: Arc::new(identity),
            base: scope.clone(),
            scope,
            producers,
            publications: Arc::default(),
            work,
            vitals: Arc::default(),
            emergency: Arc::default(),
            deeds,
            at_hand: None,
            call: 0,
            told_progress_at: Cell::new(None),
            late: Arc::default(),
            asked: None,
        }
    }

    /// The context of a manager, whose handlers are watched, and which has a safe state.
    pub(crate) fn of_manager(self, vitals: Arc<Vitals>, emergency: Arc<Emergency>) -> Self {
        Self { vitals, emergency, ..self }
    }

    /// The same context, of a process whose handlers may answer later.
    pub(crate) fn answering_later(self, late: &Arc<LateAnswers>) -> Self {
        Self { late: Arc::clone(late), ..self }
    }

    /// The same context, of a process that may publish these signals.
    pub(crate) fn publishing(self, publications: Publications) -> Self {
        Self { publications: Arc::new(publications), ..self }
    }

    /// A command begins: calls from its handler remember what led to them, and end with it.
    pub(crate) fn enter(&mut self, who: u16, header: &Header, now: Instant) {
        let deadline = match header.time_left_us {
            0 => None,
            left => now.checked_add(Duration::from_micros(left)),
        };
        self.scope.enter(&header.chain, Hop { who, command: header.command }, deadline);
        self.call = header.call();
        self.asked = asked_by(header, now);
        self.told_progress_at.set(None);
    }

    pub(crate) fn leave(&mut self) {
        self.scope.leave();
        self.call = 0;
        self.asked = None;
        self.at_hand = None;
    }

    /// Tells the caller how far the command is: so much done of `total` (0 when that is unknown), in whatever
    /// unit, and what it is at. Call it as often as you like: at most one word every 10 ms goes out, and the
    /// one that says that all is done. Each one also tells the watchdog that the handler is alive, as
    /// [`extend`](Self::extend) by `watchdog_ms` would, also in timers, frame handlers and set-up.
    pub fn progress(&self, done: f64, total: f64, note: &str) {
        self.vitals.push();
        let now = Instant::now();
        let is_too_soon = self.told_progress_at.get().is_some_and(|told| now - told < BETWEEN_PROGRESS);
        if self.call == 0 || (is_too_soon && done < total) {
            return;
        }
        self.told_progress_at.set(Some(now));
        self.base.report_progress(self.call, Progress { done, total, note: note.to_owned() });
    }

    /// Tells the watchdog that what runs now may take so long from now on before it counts as stuck, for example
    /// because a device is known to be slow. It never takes back what was granted before. What waits inside labrig, in
    /// a call, in [`sleep`](Self::sleep) or for a slot of a stream, need not ask: that time does not count.
    pub fn extend(&self, duration: Duration) {
        self.vitals.extend(duration);
    }

    /// Hands out a way into the safe state for the time when this manager's worker is stuck, such as in a call
    /// into a vendor's library: a second connection to the device, or whatever else may be used from another thread
    /// while the first does not return.
    ///
    /// It runs at most once, on a thread of labrig's, when the safe state is to be entered and the worker has not begun
    /// with it within a quarter of `safe_deadline_ms`, or 10 ms if that is shorter, or has not ended it after
    /// three quarters of it; and when `enter_safe_state` itself panics. A worker that comes back later enters the safe
    /// state too. Handing out another one, in set-up or in any handler, replaces the one before, used or not. In the
    /// scope it is never run: nobody waits for the coordinator's own safe state.
    ///
    /// ```no_run
    /// # use labrig::prelude::*;
    /// # #[derive(Clone)] struct Relay;
    /// # impl Relay { fn open() -> std::io::Result<Self> { Ok(Self) } fn cut_power(&self) {} }
    /// # fn example(context: &mut Context) -> Result<(), SetupError> {
    /// let relay = Relay::open()?;
    /// context.on_emergency(move |_reason| relay.cut_power());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_emergency(&self, handle: impl FnOnce(SafeReason) + Send + 'static) {
        self.emergency.hand_out(Box::new(handle));
    }

    /// Whether the command being handled was cancelled, has expired, or its process ends: leave the device
    /// well and return. Whatever error is returned then, the call ends as cancelled; a reply is a reply.
    pub fn is_cancelled(&self) -> bool {
        self.work.is_cancelled()
    }

    /// Sleeps, and ends early when the command being handled is cancelled.
    ///
    /// # Errors
    /// [`Cancelled`] then, and at once when it was cancelled before.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let _paused = self.vitals.pause();
        self.work.sleep(duration)
    }

    /// The manager's name; `scope` in the coordinator.
    pub fn manager(&self) -> &str {
        &self.identity.manager
    }

    /// The rig's name.
    pub fn rig(&self) -> &str {
        &self.identity.rig
    }

    /// Which life of the manager this is: 1, 2, 3 …
    pub fn generation(&self) -> u32 {
        self.identity.generation.0
    }

    /// Puts the answer of the command being handled off: whoever gets hold of the [`LateAnswer`] gives it, from any
    /// thread, while the worker is at other things. What the handler returns is not sent then, unless it is an error. The
    /// deadline of the call goes on; a call that is cancelled ends at once. A command that is journaled counts as done when
    /// the answer is given ([`seen_before`](Self::seen_before)).
    ///
    /// ```no_run
    /// # use labrig::prelude::*;
    /// # #[derive(Command, Serialize, Deserialize, Schema)]
    /// # #[command(reply = u32)]
    /// # struct Develop {}
    /// # fn develop() -> u32 { 1 }
    /// # fn example(context: &mut Context) -> u32 {
    /// let later = context.answer_later::<Develop>();
    /// std::thread::spawn(move || later.done(&develop()));
    /// 0 // whatever it returns
    /// # }
    /// ```
    pub fn answer_later<C: Command>(&mut self) -> LateAnswer<C> {
        let call = self.asked.map_or(0, |asked| {
            self.late.put_off(asked);
            asked.call
        });
        let deed = self.put_off_deed();
        LateAnswer::new(Arc::clone(&self.late), self.base.clone(), call, deed)
    }

    /// Runs something on a thread of its own as soon as every manager of the rig is ready, so that it may call them; at
    /// once when they are. When the rig ends before, it is not run.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn when_started(&self, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let gate = Arc::clone(&self.producers.gate);
        let work = Arc::clone(&self.work);
        let wait = move || {
            gate.pass();
            if !work.has_ended() {
                run();
            }
        };
        std::thread::Builder::new().name("labrig-started".to_owned()).spawn(wait).map(drop)
    }

    /// The folder in which the rig keeps its state from run to run.
    pub fn state_dir(&self) -> &Path {
        &self.identity.state_dir
    }

    /// The run's folder, where recordings belong.
    pub fn run_dir(&self) -> &Path {
        &self.identity.run_dir
    }

    /// Memory for so many numbers, to be filled in place and sent in a command or reply without a copy.
    ///
    /// # Errors
    /// [`SegmentCreateError`], when there is no memory or no descriptor left.
    pub fn loan<T: Element>(&self, count: usize) -> Result<Loan<T>, SegmentCreateError> {
        Loan::new(count)
    }

    /// The scope for other threads of this process. Calls from it begin chains of their own.
    pub fn scope(&self) -> Scope {
        self.base.clone()
    }

    /// The scope by which a handler's values are kept; for what the macros write.
    #[doc(hidden)]
    pub fn keeper(&self) -> &Scope {
        &self.base
    }

    /// Leaves a value in this process, and gives the handle by which others use it: for a reply, or a command to somebody
    /// else. As [`Scope::remote`].
    ///
    /// # Errors
    /// [`KeepError`]: too many are kept already.
    pub fn remote<T: RemoteValue>(&self, value: T) -> Result<RemoteRef<T>, KeepError> {
        self.base.remote(value)
    }

    /// The value behind a handle that has come back to its owner: the original, to be used as any other as long as what
    /// this gives is there.
    ///
    /// # Errors
    /// [`ResolveError`]: the value is not one of this process, or in use already.
    pub fn resolve<T: RemoteValue>(&self, handle: &RemoteRef<T>) -> Result<Resolved<T>, ResolveError> {
        Resolved::of(self.base.estate(), handle.id(), || handle.to_string())
    }

    /// Sends a command whose outcome does not matter.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that it will not run.
    pub fn send<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<(), Refusal> {
        self.scope.send(command)
    }

    /// Asks the one manager, or the scope, that serves the command; does not block.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that it will not run.
    pub fn request<C: Command<Delivery: OneHandler>>(
        &self,
        command: C,
    ) -> Result<PendingReply<C::Reply>, Refusal> {
        self.scope.request(command)
    }

    /// Asks and waits for the reply, at most until the deadline of the command being handled.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub fn call<C: Command<Delivery: OneHandler>>(&self, command: C) -> Result<C::Reply, CallError> {
        self.scope.call(command)
    }

    /// Asks every manager that has a handler; does not block.
    ///
    /// # Errors
    /// [`Refusal`] when it is known at once that it will run nowhere.
    pub fn broadcast<C: Command<Delivery = Broadcast>>(
        &self,
        command: C,
    ) -> Result<PendingBroadcast<C>, Refusal> {
        self.scope.broadcast(command)
    }

    /// Addresses one manager by name, when several serve a command.
    pub fn to<'a>(&'a self, manager: &'a str) -> Addressed<'a> {
        self.scope.to(manager)
    }

    /// The scope of this handler for calls that may take so long, from when they are sent, whatever their types
    /// ask for; they end with the command being handled all the same.
    pub fn with_deadline(&self, deadline: Duration) -> Scope {
        self.scope.with_deadline(deadline)
    }

    /// From now on the callback is told of one-way commands of this process that were accepted and do not run.
    /// See [`Scope::on_undelivered`].
    pub fn on_undelivered(&self, callback: impl Fn(&Undelivered) + Send + Sync + 'static) {
        self.base.on_undelivered(callback);
    }

    /// Asks the rig to quit in good order.
    pub fn quit(&self) {
        self.scope.quit();
    }

    /// The stream to produce into when a manager has but one to fill: the only one that the config gives it,
    /// else the one called `usual`.
    pub fn produced_stream(&self, usual: &str) -> String {
        self.producers.only().unwrap_or_else(|| usual.to_owned())
    }

    /// Takes the publisher of a set of signals, and publishes the set as it is at first. Call it in `setup`, so that
    /// there is a value as soon as the rig runs. Outside any rig it publishes to nobody.
    ///
    /// ```no_run
    /// # use labrig::prelude::*;
    /// # #[derive(Signals, Schema, Clone, Copy)]
    /// # struct MotorSignals { height_um: f64, is_moving: bool }
    /// # fn example(context: &mut Context) -> Result<(), SetupError> {
    /// let mut signals = context.signals(MotorSignals { height_um: 0.0, is_moving: false })?;
    /// signals.publish(MotorSignals { height_um: 12.0, is_moving: true });
    /// signals.update(|now| now.is_moving = false);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PublishError`], among others when the kind does not declare the set: `#[manager(…, signals(MotorSignals))]`.
    pub fn signals<S: Signals>(&mut self, first: S) -> Result<Publisher<S>, PublishError> {
        self.publications.open(first)
    }

    /// Takes the writer of an object that the kind shares under that name: a [`RowRing`](crate::shm::RowRing), a
    /// [`LatestValue`](crate::shm::LatestValue), a [`VersionedTable`](crate::shm::VersionedTable), an
    /// [`AppendDataset`](crate::shm::AppendDataset) or [`Counters`](crate::shm::Counters). It can be moved to a thread of
    /// its own. Outside any rig nobody reads it.
    ///
    /// # Errors
    /// [`ShareError`], among others when the kind does not declare it:
    /// `#[manager(…, shares(tracks = RowRing::<Track>::declare(4096)))]`.
    pub fn share<S: SharedObject>(&mut self, name: &str) -> Result<S, ShareError> {
        self.publications.share(name)
    }

    /// Takes the producer's end of a stream. It can be moved to a thread of its own.
    ///
    /// # Errors
    /// [`ProducerError`], among others when the config does not name this manager as the stream's producer.
    pub fn producer(&mut self, stream: &str, format: FrameFormat) -> Result<FrameProducer, ProducerError> {
        self.producers.begin(stream, format, (Arc::clone(&self.vitals), Arc::clone(&self.work)))
    }
}
