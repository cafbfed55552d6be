//! The watch: does a manager hang? Judged by what its status page says, and by what it was sent.
//!
//! Times are nanoseconds of the clock that all processes share, as pages hold them.

use std::fmt;
use std::time::Duration;

use crate::shm::Activity;

/// What is seen when a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The page's words.
    pub(crate) activity: Activity,
    /// How many commands have gone into the manager's pipe.
    pub(crate) sent: u64,
    pub(crate) now_ns: u64,
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has done all that it was sent and begins nothing by itself, or has had nothing to do for a whole period:
    /// nobody need look again until it has.
    Quiet,
    /// All is well; look again then.
    FineUntil(u64),
    /// It hangs.
    Stuck(Because),
}

/// Why a manager counts as stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// What it is at takes longer than it has said.
    Overdue { activity: Activity, busy_ns: u64 },
    /// It is at nothing and does not take what is in its pipe.
    TakesNothing { waiting: u64, since_ns: u64 },
    /// Its process was stopped by a signal and not continued.
    Frozen,
    /// It has not entered its safe state within its deadline.
    NotSafe,
    /// It was told to end, or was not ready in time.
    NotEnded,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |ns: &u64| ns / 1_000_000;
        match self {
            Self::Overdue { busy_ns, .. } => write!(f, "without a sign of life for {} ms", ms(busy_ns)),
            Self::TakesNothing { waiting, since_ns } => {
                write!(f, "has not taken any of the {waiting} commands in its pipe for {} ms", ms(since_ns))
            }
            Self::Frozen => write!(f, "its process is stopped by a signal"),
            Self::NotSafe => write!(f, "has not entered its safe state in time"),
            Self::NotEnded => write!(f, "did not end in time"),
        }
    }
}

/// What is remembered from look to look, in one life of a manager.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    period_ns: u64,
    seen: Option<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    marks: [u64; 3],
    since_ns: u64,
    /// Since when something is in its pipe that it has not taken, as far as was seen.
    waiting_since_ns: Option<u64>,
}

impl Watch {
    pub(crate) fn new(period: Duration) -> Self {
        Self { period_ns: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX), seen: None }
    }

    /// Judges one look.
    pub(crate) fn judge(&mut self, look: &Look) -> Verdict {
        let Look { activity, sent, now_ns } = *look;
        let marks = [activity.taken, activity.done, activity.steps];
        let waiting = sent.saturating_sub(activity.taken);
        let before = self.seen.filter(|seen| seen.marks == marks && activity.busy_since_ns.is_none());
        let since_ns = before.map_or(now_ns, |seen| seen.since_ns);
        let waited_ns = before.and_then(|seen| seen.waiting_since_ns).unwrap_or(now_ns);
        // Its set-up is the first step of each life.
        let has_stepped = activity.steps > self.seen.map_or(1, |seen| seen.marks[2]);
        let is_at_rest = activity.done >= activity.taken && !has_stepped;
        let waiting_since_ns = (waiting > 0).then_some(waited_ns);
        self.seen = Some(Seen { marks, since_ns, waiting_since_ns });
        let until = |from: u64| from.saturating_add(self.period_ns);
        match (activity.busy_since_ns, waiting_since_ns) {
            (Some(begun), _) => match activity.allowance_ns.map(|allowed| begun.saturating_add(allowed)) {
                Some(end) if now_ns >= end => {
                    Verdict::Stuck(Because::Overdue { activity, busy_ns: now_ns.saturating_sub(begun) })
                }
                end => Verdict::FineUntil(end.unwrap_or(until(now_ns))),
            },
            (None, Some(from)) if now_ns >= until(from) => {
                Verdict::Stuck(Because::TakesNothing { waiting, since_ns: now_ns - from })
            }
            (None, Some(from)) => Verdict::FineUntil(until(from)),
            (None, None) if is_at_rest || now_ns >= until(since_ns) => Verdict::Quiet,
            (None, None) => Verdict::FineUntil(until(since_ns)),
        }
    }

    /// Whether what was found stuck goes on again.
    pub(crate) fn has_recovered(because: &Because, look: &Look) -> bool {
        let now = &look.activity;
        match because {
            Because::Overdue { activity: then, .. } => {
                let is_over = |end: u64| look.now_ns >= end;
                let allowed =
                    now.busy_since_ns.zip(now.allowance_ns).map(|(at, allowed)| at.saturating_add(allowed));
                (now.taken, now.done, now.steps, now.busy_since_ns)
                    != (then.taken, then.done, then.steps, then.busy_since_ns)
                    || !allowed.is_some_and(is_over)
            }
            Because::TakesNothing { waiting, .. } => look.sent.saturating_sub(now.taken) < *waiting,
            Because::Frozen | Because::NotSafe | Because::NotEnded => false,
        }
    }
}
