//! One fault is injected, followed until it is over, and held against what is promised of it.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::{CULPRIT, Fault, Promise};
use super::verdict::Verdict;
use crate::coordinator::{ManagerStatus, Rig, RigStatus};
use crate::managers::chaos::{Aftermath, Misbehave, WhatWasDone, Work};
use crate::managers::motor::WhereIs;
use crate::remote::{CallError, CallErrorKind};

/// How long a fault may take until it is over; only one that is not handled takes so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long those who have nothing to do with it may take to answer.
const PATIENCE_OF_OTHERS: Duration = Duration::from_secs(2);
/// Between two looks at the rig. What is only seen by looking is that much coarser.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// How a call ended, and when.
type Ended<T> = (Instant, Result<T, CallError>);

/// The rig on which faults are tried out.
pub(super) struct Stage<'a> {
    rig: &'a Rig,
    verdict: Verdict,
}

/// What is waited for after a fault.
struct Course {
    begun: Instant,
    life_before: u32,
    deed: Receiver<Ended<Aftermath>>,
    behind: Receiver<Ended<()>>,
    end_of_deed: Option<Ended<Aftermath>>,
    end_of_behind: Option<Ended<()>>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(rig: &'a Rig) -> Self {
        Self { rig, verdict: Verdict::default() }
    }

    /// Injects the fault and judges what becomes of it; none when the rig quits meanwhile.
    pub(super) fn try_out(mut self, fault: &Fault) -> Option<Verdict> {
        let before = self.rig.status()?;
        if !self.get_to_work_somehow() {
            let never = "it could not be brought to work before the fault".to_owned();
            return self.rig.status().map(|_| Verdict { broken: vec![never], ..self.verdict });
        }
        let left_behind = match &fault.prelude {
            None => Vec::new(),
            Some(how) => self.rig.scope().call(Misbehave { how: how.clone() }).ok()?.left_behind,
        };
        let mut course = self.inject(fault)?;
        self.follow(&mut course, fault.promise)?;
        self.judge_calls(&course, fault.promise);
        self.judge_return(fault.promise)?;
        let alive: Vec<_> = left_behind.iter().filter(|pid| is_alive(**pid)).collect();
        self.verdict.demand(alive.is_empty(), || format!("processes are left behind: {alive:?}"));
        self.judge_others(&before)?;
        Some(self.verdict)
    }

    /// Gets it to work, in a new life if this one is good for nothing.
    fn get_to_work_somehow(&self) -> bool {
        let restart = || self.rig.scope().restart(CULPRIT).is_ok_and(|it| it.wait(PATIENCE).is_ok());
        self.get_to_work() || (restart() && self.get_to_work())
    }

    /// Arms the culprit if need be, and has it work for a moment, so that it is out of its safe state.
    fn get_to_work(&self) -> bool {
        let scope = self.rig.scope();
        let is_inactive = self.culprit().is_some_and(|culprit| culprit.is_inactive);
        let armed = !is_inactive || scope.arm(CULPRIT).is_ok_and(|armed| armed.wait(PATIENCE).is_ok());
        armed && scope.call(Work { duration_ms: 0 }).is_ok()
    }

    /// Tells the culprit to misbehave, and asks it for something else behind that.
    fn inject(&self, fault: &Fault) -> Option<Course> {
        let life_before = self.culprit()?.generation;
        let scope = self.rig.scope().without_deadline();
        let ((deed_told, deed), (behind_told, behind)) = (channel(), channel());
        let begun = Instant::now();
        let pending = scope.request(Misbehave { how: fault.deed.clone() }).ok()?;
        // Nobody listens any longer when the show was broken off.
        pending.on_complete(move |end| drop(deed_told.send((Instant::now(), end))));
        // One that dies at once may be gone already.
        if let Ok(pending) = scope.request(WhatWasDone {}) {
            pending.on_complete(move |end| drop(behind_told.send((Instant::now(), end.map(drop)))));
        }
        Some(Course { begun, life_before, deed, behind, end_of_deed: None, end_of_behind: None })
    }

    /// Looks again and again until the fault is over, or has taken too long.
    fn follow(&mut self, course: &mut Course, promise: Promise) -> Option<()> {
        while course.begun.elapsed() < PATIENCE {
            let culprit = self.culprit()?;
            let now = course.begun.elapsed();
            if promise.is_hang() && self.verdict.seen.is_none() && culprit.state == "stuck" {
                self.verdict.seen = Some(now);
            }
            self.look_for_safety(course, &culprit, now);
            let has_ended = course.look();
            let is_there = matches!(culprit.state, "ready" | "safe" | "inactive");
            let is_new = culprit.generation > course.life_before;
            if has_ended && is_there && is_new == promise.is_new_life() {
                self.verdict.generation = culprit.generation;
                self.verdict.back =
                    (promise != Promise::Nothing && promise != Promise::CallFails).then_some(now);
                return Some(());
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        let state = self
            .culprit()
            .map_or_else(|| "gone".to_owned(), |it| format!("{} in life {}", it.state, it.generation));
        self.verdict.broken.push(format!("after {PATIENCE:?} it is {state}"));
        Some(())
    }

    fn look_for_safety(&mut self, course: &Course, culprit: &ManagerStatus, now: Duration) {
        let death = culprit.last_death.as_ref().filter(|death| death.generation == course.life_before);
        let by = match death {
            Some(death) if death.was_safe => "by itself",
            Some(death) if death.safe_program.is_some() => "its safe program",
            _ => return,
        };
        if self.verdict.safe.is_none() {
            (self.verdict.safe, self.verdict.safe_by) = (Some(now), by);
        }
    }

    fn judge_calls(&mut self, course: &Course, promise: Promise) {
        let kind_of = |error: &CallError| error.kind();
        let deed = course.end_of_deed.as_ref().map(|(_, end)| end.as_ref().map(drop).map_err(kind_of));
        let behind = course.end_of_behind.as_ref().map(|(_, end)| end.as_ref().map(drop).map_err(kind_of));
        let is_as_promised = match (promise, deed) {
            (Promise::Nothing, Some(Ok(()))) => true,
            (Promise::CallFails, Some(Err(kind))) => kind == CallErrorKind::Failed,
            (Promise::Recovers, Some(Err(kind))) => kind == CallErrorKind::Cancelled,
            (Promise::DeathIsSeen, Some(Err(kind))) => kind == CallErrorKind::Indeterminate,
            (Promise::HangIsSeen, Some(Err(kind))) => {
                matches!(kind, CallErrorKind::Indeterminate | CallErrorKind::Cancelled)
            }
            _ => false,
        };
        self.verdict.demand(is_as_promised, || format!("the call ended as {deed:?}"));
        // One that was cancelled though nobody asked for that was seen, if too briefly to be shown as stuck.
        if !matches!(promise, Promise::Nothing | Promise::HangIsSeen) && self.verdict.seen.is_none() {
            self.verdict.seen = course.end_of_deed.as_ref().map(|(at, _)| *at - course.begun);
        }
        self.verdict.demand(promise == Promise::Nothing || self.verdict.seen.is_some(), || {
            "nobody saw it".to_owned()
        });
        let is_lost = |end: &Option<Result<(), CallErrorKind>>| matches!(end, Some(Err(kind)) if *kind != CallErrorKind::Failed);
        self.verdict.lost = u64::from(is_lost(&deed)) + u64::from(is_lost(&behind));
        let behind_is_well =
            promise.is_new_life() || matches!(behind, Some(Ok(())) | Some(Err(CallErrorKind::Cancelled)));
        self.verdict.demand(behind_is_well, || format!("the call behind it ended as {behind:?}"));
    }

    /// A new life refuses what moves until it is armed; an old one goes on.
    fn judge_return(&mut self, promise: Promise) -> Option<()> {
        let culprit = self.culprit()?;
        if promise.is_new_life() {
            self.verdict.demand(self.verdict.safe.is_some(), || "it never was safe".to_owned());
            self.verdict.demand(culprit.is_inactive, || format!("it came back {}", culprit.state));
            let refused = self.rig.scope().call(Work { duration_ms: 0 });
            let is_refused = matches!(&refused, Err(error) if error.kind() == CallErrorKind::Refused);
            self.verdict.demand(is_refused, || format!("it worked before it was armed: {refused:?}"));
        }
        let works = self.get_to_work();
        self.verdict.demand(works, || "it does not work again".to_owned());
        Some(())
    }

    /// Those who have nothing to do with it answer, are in the life that they were in, and have lost no frame.
    fn judge_others(&mut self, before: &RigStatus) -> Option<()> {
        let answer = self.rig.scope().with_deadline(PATIENCE_OF_OTHERS).call(WhereIs {});
        self.verdict.demand(answer.is_ok(), || format!("`motor` does not answer: {answer:?}"));
        let now = self.rig.status()?;
        for (before, now) in before.managers.iter().zip(&now.managers).filter(|(_, now)| now.name != CULPRIT)
        {
            let is_untouched = now.generation == before.generation && now.fault.is_none();
            self.verdict.demand(is_untouched, || format!("`{}` came to harm: {now:?}", now.name));
        }
        for stream in &now.streams {
            let missed: u64 =
                stream.readers.iter().filter(|it| it.is_lossless).map(|it| it.skipped + it.damaged).sum();
            self.verdict.demand(missed + stream.refused == 0, || format!("frames were lost: {stream:?}"));
        }
        Some(())
    }

    fn culprit(&self) -> Option<ManagerStatus> {
        self.rig.status()?.managers.into_iter().find(|manager| manager.name == CULPRIT)
    }
}

impl Course {
    /// Whether both calls have ended.
    fn look(&mut self) -> bool {
        look_at(&self.deed, &mut self.end_of_deed) & look_at(&self.behind, &mut self.end_of_behind)
    }
}

/// Whether it has ended, or was never begun.
fn look_at<T>(receiver: &Receiver<T>, ended: &mut Option<T>) -> bool {
    if ended.is_none() {
        match receiver.try_recv() {
            Ok(end) => *ended = Some(end),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => {}
        }
    }
    true
}

/// Whether a process still runs; one that waits to be reaped does not.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}
