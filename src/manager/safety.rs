//! The safe state of a manager: who orders it, when it is entered, and what is said of it.
//!
//! Orders come from the link thread: an urgent word, a lost or frozen coordinator, a signal. An order makes whatever runs give
//! up and wakes the worker, which enters the safe state before anything else. When the worker does not, the link
//! thread has the emergency handle do it. Nobody claims a safe state whose code has failed.
//!
//! A stop names the last command that was put into the pipe before it: the *barrier*. What had not begun up to
//! there never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cancels::Cancels;
use super::lease;
use super::link::Link;
use crate::registry::{Emergency, Instance, panics};
use crate::shm::{StatusPage, Urgent};
use crate::wire::control::ManagerWord;
use crate::wire::{Failure, SafeEntry, SafeReason};

/// How long a worker may take at most to begin with the safe state before the emergency handle does it.
const PATIENCE: Duration = Duration::from_millis(10);

/// See the module's words.
pub(super) struct Safety {
    link: Arc<Link>,
    page: Arc<StatusPage>,
    cancels: Arc<Cancels>,
    emergency: Arc<Emergency>,
    /// How long entering the safe state may take.
    deadline: Duration,
    /// Why the process is to end; 0 as long as it is not.
    ending: AtomicU8,
    /// Whether there is an order that the worker has not begun with; beside the lock, for it is looked at often.
    is_ordered: AtomicBool,
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    /// Not begun yet.
    waiting: Option<Order>,
    /// What the worker is at.
    entering: Option<Order>,
    /// How often the link thread has looked what became of the order.
    looks: u8,
    /// How often the worker has been through with one.
    attempts: u64,
    /// Whether the worker has begun for the last time: whatever comes now asks for what is done anyway.
    is_last: bool,
}

/// That the safe state is to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) reason: SafeReason,
    /// When this process heard of it.
    heard: Instant,
    /// The last stop that was ordered when somebody began to obey.
    stop: u64,
}

impl Order {
    pub(super) fn now(reason: SafeReason) -> Self {
        Self { reason, heard: Instant::now(), stop: 0 }
    }
}

impl Safety {
    pub(super) fn new(
        link: &Arc<Link>,
        page: &Arc<StatusPage>,
        cancels: Arc<Cancels>,
        emergency: &Arc<Emergency>,
        deadline: Duration,
    ) -> Self {
        Self {
            link: Arc::clone(link),
            page: Arc::clone(page),
            cancels,
            emergency: Arc::clone(emergency),
            deadline,
            ending: AtomicU8::new(0),
            is_ordered: AtomicBool::new(false),
            orders: Mutex::default(),
        }
    }

    /// Takes the urgent words, in any thread, and acts on those that are about the whole process.
    pub(super) fn heed_urgent_words(&self) {
        let words = self.cancels.take_urgent(|words| {
            if words.contains(Urgent::SAFE) {
                let reason = SafeReason::of_code(self.page.argument(SafeReason::REASON_WORD));
                self.order(reason.unwrap_or(SafeReason::StopOrdered));
            }
        });
        if words.contains(Urgent::QUIT) {
            self.note_end(SafeReason::Quit);
        }
        if words.contains(Urgent::MORE_CANCELS) {
            self.link.tell(&ManagerWord::CancelsTaken);
        }
        if words.contains(Urgent::QUIT) || words.contains(Urgent::CANCEL) {
            self.link.wake_worker();
        }
    }

    /// The safe state is to be entered, and the process goes on.
    pub(super) fn order(&self, reason: SafeReason) {
        let mut orders = self.orders.lock();
        if orders.is_last {
            return;
        }
        match &mut orders.waiting {
            Some(order) => order.reason = reason,
            None => {
                orders.waiting = Some(Order::now(reason));
                orders.looks = 0;
            }
        }
        self.is_ordered.store(true, Ordering::Release);
        // Within the lock: a worker that begins at the same time either has this order, or is held up by it.
        self.link.desk().work().hold();
        drop(orders);
        self.link.wake_worker();
    }

    /// The safe state is to be entered, and the process ends.
    pub(super) fn end(&self, reason: SafeReason) {
        self.note_end(reason);
        self.link.desk().cancel_all();
        self.order(reason);
    }

    fn note_end(&self, reason: SafeReason) {
        self.ending.fetch_max(reason.code() as u8, Ordering::AcqRel);
    }

    /// Why the process is to end, if it is.
    pub(super) fn ending(&self) -> Option<SafeReason> {
        SafeReason::of_code(u64::from(self.ending.load(Ordering::Acquire)))
    }

    /// Whether there is an order that the worker has not begun with.
    pub(super) fn is_ordered(&self) -> bool {
        self.is_ordered.load(Ordering::Acquire)
    }

    /// The order that the worker is to obey before it does anything else; none as nearly always. It has begun to
    /// once it has asked.
    pub(super) fn begin(&self) -> Option<Order> {
        // The word is looked at before the orders: whoever takes it says so first, and gives the order before that
        // is over.
        if self.page.urgent().contains(Urgent::SAFE) || self.cancels.are_being_taken() {
            self.heed_urgent_words();
        }
        if !self.is_ordered() {
            return None;
        }
        let mut orders = self.orders.lock();
        let order = orders.waiting.take().map(|order| self.begun(order))?;
        orders.entering = Some(order);
        self.is_ordered.store(false, Ordering::Release);
        self.link.desk().work().go_on();
        Some(order)
    }

    /// The order as it is obeyed from now on: every stop that is known by now is obeyed with it.
    fn begun(&self, order: Order) -> Order {
        Order { stop: self.page.argument(SafeReason::STOP_WORD), ..order }
    }

    /// Whether the command with this ordinal was called off by a stop before it began.
    pub(super) fn has_called_off(&self, ordinal: u64) -> bool {
        ordinal <= self.page.argument(SafeReason::BARRIER_WORD)
    }

    /// Whether a hazardous command may run. Not when the manager is safe and its coordinator frozen: what that
    /// had sent before would only be stopped again.
    pub(super) fn may_leave(&self) -> bool {
        !self.page.is_safe() || !lease::has_lapsed(&self.page)
    }

    /// A hazardous command runs: its first instruction comes after this.
    pub(super) fn leave(&self) {
        if self.page.is_safe() {
            self.page.set_safe(false);
            // From now on the link thread watches the lease.
            self.link.attention().ring();
        }
    }

    /// The worker is about to enter the safe state for the last time.
    pub(super) fn begin_end(&self, reason: SafeReason) -> Order {
        let mut orders = self.orders.lock();
        let order =
            orders.waiting.take().map_or_else(|| Order::now(reason), |order| Order { reason, ..order });
        let order = self.begun(order);
        orders.entering = Some(order);
        orders.is_last = true;
        drop(orders);
        // The link thread looks whether it comes to an end.
        self.link.attention().ring();
        order
    }

    /// Enters the safe state, as the worker; says what is to be told of it, unless the code for it failed.
    pub(super) fn enter(&self, order: Order, instance: &mut dyn Instance) -> Option<SafeEntry> {
        let entered: Result<(), Failure> = panics::catch(|| {
            instance.enter_safe_state(order.reason);
            Ok(())
        });
        let why = entered.err();
        let by_emergency_handle = why.as_ref().is_some_and(|failure| {
            log::error!("`enter_safe_state` failed: {failure}");
            matches!(self.try_emergency_handle(order.reason), Some(Ok(())))
        });
        let mut orders = self.orders.lock();
        orders.entering = None;
        orders.attempts += 1;
        if let Some(failure) = why.filter(|_| !by_emergency_handle) {
            drop(orders);
            let (reason, why) = (order.reason, failure.to_string());
            self.link.tell(&ManagerWord::NotSafe { reason, why });
            return None;
        }
        self.page.set_safe(true);
        drop(orders);
        Some(self.note_entry(order, by_emergency_handle))
    }

    fn note_entry(&self, order: Order, by_emergency_handle: bool) -> SafeEntry {
        let Order { reason, heard, stop } = order;
        let took = heard.elapsed();
        let by = if by_emergency_handle { " by its emergency handle" } else { "" };
        log::info!("entered the safe state{by} after {took:.1?}: {reason}");
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        SafeEntry { reason, took_us, taken: self.page.activity().taken, by_emergency_handle, stop }
    }

    /// When the link thread is to look what the worker makes of an order; never as long as there is none.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let orders = self.orders.lock();
        let order = orders.waiting.or(orders.entering)?;
        let after = match orders.looks {
            0 => (self.deadline / 4).min(PATIENCE),
            1 => self.deadline * 3 / 4,
            _ => return None,
        };
        Some(order.heard + after)
    }

    /// Looks, when it is time: a worker that has not begun, or does not come to an end, is stuck, and the emergency handle is
    /// used if there is one. It has a thread of its own, so that this one goes on even if the handle hangs too.
    pub(super) fn look(self: &Arc<Self>) {
        if self.next_look().is_none_or(|at| Instant::now() < at) {
            return;
        }
        let mut orders = self.orders.lock();
        let is_in_time = orders.looks == 0 && orders.entering.is_some();
        orders.looks += 1;
        let order = orders.waiting.or(orders.entering).filter(|_| !is_in_time);
        let attempts = orders.attempts;
        drop(orders);
        if let Some(order) = order
            && self.emergency.is_handed_out()
        {
            self.start_emergency(order, attempts);
        }
    }

    fn start_emergency(self: &Arc<Self>, order: Order, attempts: u64) {
        let this = Arc::clone(self);
        let run = move || this.use_emergency_handle(order, attempts);
        if let Err(error) = thread::Builder::new().name("labrig-emergency".to_owned()).spawn(run) {
            log::warn!("the emergency handle gets no thread of its own: {error}");
            self.use_emergency_handle(order, attempts);
        }
    }

    /// The worker had been through with it so many times when it was given up.
    fn use_emergency_handle(&self, order: Order, attempts: u64) {
        let order = self.begun(order);
        let reason = order.reason;
        match self.try_emergency_handle(reason) {
            Some(Ok(())) => {}
            Some(Err(failure)) => {
                return self.link.tell(&ManagerWord::NotSafe { reason, why: failure.to_string() });
            }
            None => return,
        }
        let orders = self.orders.lock();
        // A worker that came back meanwhile has said itself what state it is in, and may have left it again.
        let is_news = orders.attempts == attempts;
        if is_news {
            self.page.set_safe(true);
        }
        drop(orders);
        let entry = self.note_entry(order, true);
        if is_news {
            self.link.tell(&ManagerWord::Safe(entry));
        }
    }

    fn try_emergency_handle(&self, reason: SafeReason) -> Option<Result<(), Failure>> {
        let handle = self.emergency.take()?;
        let used = panics::catch(|| {
            handle(reason);
            Ok(())
        });
        if let Err(failure) = &used {
            log::error!("the emergency handle failed: {failure}");
        }
        Some(used)
    }
}
