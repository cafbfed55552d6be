//! The faults of the show, and what is promised of each.

use crate::managers::chaos::Misdeed;

/// The manager of the show's config that misbehaves.
pub(super) const CULPRIT: &str = "shutter";

/// A fault, and what is promised of it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// What happens, for people.
    pub(super) title: &'static str,
    /// What is done before, to make it worse.
    pub(super) prelude: Option<Misdeed>,
    /// What is done.
    pub(super) deed: Misdeed,
    /// What is promised.
    pub(super) promise: Promise,
}

/// What is promised of a fault, besides that nobody else is disturbed and nothing is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// The command is done, and that is all.
    Nothing,
    /// The call fails alone; the manager lives on.
    CallFails,
    /// It is seen that the manager hangs; it heeds the first rung of the ladder, and lives on.
    Recovers,
    /// The death is seen, the safe program is run, and the manager comes back inactive.
    DeathIsSeen,
    /// The same, after it was seen that the manager hangs.
    HangIsSeen,
}

impl Promise {
    /// Whether the manager comes back in a new life.
    pub(super) fn is_new_life(self) -> bool {
        matches!(self, Self::DeathIsSeen | Self::HangIsSeen)
    }

    /// Whether it is to be seen that the manager hangs.
    pub(super) fn is_hang(self) -> bool {
        matches!(self, Self::Recovers | Self::HangIsSeen)
    }
}

/// All faults, in an order that the seed decides.
pub(super) fn shuffled(seed: u64) -> Vec<Fault> {
    let mut faults = all();
    let mut state = seed;
    for last in (1..faults.len()).rev() {
        faults.swap(last, (next(&mut state) % (last as u64 + 1)) as usize);
    }
    faults
}

/// The next number of a sequence that looks random (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn all() -> Vec<Fault> {
    use Misdeed::*;
    use Promise::*;
    let flood = Flood { whom: String::new(), duration_ms: 300 };
    let one = |title, deed, promise| Fault { title, prelude: None, deed, promise };
    let after = |prelude, title, deed, promise| Fault { prelude: Some(prelude), ..one(title, deed, promise) };
    vec![
        one("its handler returns an error", Error, CallFails),
        one("its handler panics", Panic, CallFails),
        one("it floods the rig with commands", flood, Nothing),
        one("it prints 20 MB", Print { megabytes: 20 }, Nothing),
        one("it leaks 200 descriptors", LeakDescriptors { count: 200 }, Nothing),
        one("it dawdles, and heeds being told", Dawdle, Recovers),
        one("it aborts", Abort, DeathIsSeen),
        one("it dies of a segmentation fault", Segfault, DeathIsSeen),
        one("its stack overflows", OverflowStack, DeathIsSeen),
        one("it exits with code 3", Exit { code: 3 }, DeathIsSeen),
        after(KeepPipe, "it exits while its child holds its pipe open", Exit { code: 0 }, DeathIsSeen),
        after(Daemonise, "it aborts, and leaves a daemon behind", Abort, DeathIsSeen),
        one("it sleeps for ever", Sleep, HangIsSeen),
        one("it spins for ever", Spin, HangIsSeen),
        one("it spins beside a thread that goes on talking", SpinBesideThread, HangIsSeen),
        after(IgnoreTerm, "it sleeps for ever and ignores SIGTERM", Sleep, HangIsSeen),
        one("it is stopped by SIGSTOP", StopItself, HangIsSeen),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(seed: u64) -> Vec<&'static str> {
        shuffled(seed).iter().map(|fault| fault.title).collect()
    }

    #[test]
    fn a_seed_decides_the_order_and_leaves_nothing_out() {
        assert_eq!(titles(7), titles(7));
        assert_ne!(titles(7), titles(8));
        let (mut some, mut plain) = (titles(7), all().iter().map(|fault| fault.title).collect::<Vec<_>>());
        some.sort_unstable();
        plain.sort_unstable();
        assert_eq!(some, plain);
        plain.dedup();
        assert_eq!(some.len(), plain.len(), "each has a title of its own");
    }
}
