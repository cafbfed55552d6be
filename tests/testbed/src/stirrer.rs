//! `stirrer`: does to others whatever comes to its mind, so that everything happens at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use labrig::prelude::*;

/// How long a stirrer waits at most for whatever it does not mind to lose.
const MOMENT: Duration = Duration::from_millis(20);

/// Does so many things to others, made up from a number; replies how many of its calls were done.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Stir {
    /// What the things are made up from.
    pub seed: u64,
    /// How many.
    pub steps: u64,
    /// How often those that are called may call others in turn.
    pub depth: u32,
    /// Whom it may do them to; `scope` is one of them.
    pub whom: Vec<String>,
}

/// As `Stir`, for the scope.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope, reply = u64)]
pub struct ScopeStirs {
    /// What the things are made up from.
    pub seed: u64,
    /// How many.
    pub steps: u64,
    /// How often those that are called may call others in turn.
    pub depth: u32,
    /// Whom it may do them to.
    pub whom: Vec<String>,
}

/// Naps, and heeds its cancellation; fails or panics for some numbers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct Nap {
    /// The number, which it replies.
    pub number: u64,
    /// How long.
    pub duration_us: u64,
}

/// Is not answered, and gives way to a newer one.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(keep_latest)]
pub struct Drip {
    /// The number.
    pub number: u64,
}

/// Streams so many numbers.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ReplyStream<u64>)]
pub struct Pour {
    /// How many.
    pub count: u64,
}

/// Is heard by everyone.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = u64)]
pub struct StirAll {
    /// The number, which each replies.
    pub number: u64,
}

/// Asks how the calls of this process that have callbacks have ended.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Tally)]
pub struct CountCallbacks {}

/// How many callbacks were left, and how many were run.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Left with a call that was accepted.
    pub left: u64,
    /// Run.
    pub run: u64,
}

/// See the module's words.
pub struct Stirrer;

impl Manager for Stirrer {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "stirrer")]
impl Stirrer {
    #[ipc_command]
    fn stir(&mut self, command: Stir, context: &mut Context) -> u64 {
        let Stir { seed, steps, depth, whom } = command;
        stir(&Spoon { scope: context.with_deadline(Duration::from_secs(2)), depth, whom }, seed, steps)
    }

    #[ipc_command]
    fn nap(&mut self, command: Nap, context: &mut Context) -> Result<u64, Cancelled> {
        assert!(!command.number.is_multiple_of(97), "some numbers are bad luck");
        context.progress(0.0, 1.0, "napping");
        context.sleep(Duration::from_micros(command.duration_us))?;
        Ok(command.number)
    }

    #[ipc_command]
    fn drip(&mut self, _command: Drip) {}

    #[ipc_command]
    fn pour(&mut self, command: Pour) -> ReplyStream<u64> {
        ReplyStream::new(0..command.count)
    }

    #[ipc_command]
    fn stir_all(&mut self, command: StirAll) -> u64 {
        command.number
    }

    #[ipc_command]
    fn count_callbacks(&mut self, _command: CountCallbacks) -> Tally {
        Tally { left: LEFT.load(Ordering::SeqCst), run: RUN.load(Ordering::SeqCst) }
    }
}

/// The scope's part in it.
#[derive(Default)]
pub struct Pot;

#[scope]
impl Pot {
    #[ipc_command]
    fn stir(&mut self, command: ScopeStirs, context: &mut Context) -> u64 {
        let ScopeStirs { seed, steps, depth, whom } = command;
        stir(&Spoon { scope: context.with_deadline(Duration::from_secs(2)), depth, whom }, seed, steps)
    }
}

/// The callbacks that this process has left with calls, and those that were run.
static LEFT: AtomicU64 = AtomicU64::new(0);
static RUN: AtomicU64 = AtomicU64::new(0);

/// How one process does things to others.
pub struct Spoon {
    /// The way there.
    pub scope: Scope,
    /// How often those that are called may call others in turn.
    pub depth: u32,
    /// Whom it does them to.
    pub whom: Vec<String>,
}

/// Does so many things, made up from a number; says how many of its calls were done.
pub fn stir(spoon: &Spoon, seed: u64, steps: u64) -> u64 {
    (0..steps).map(|step| u64::from(spoon.stir_once(scatter(seed ^ (step << 32))))).sum()
}

/// A number that looks as if it had come by chance, the same in every run.
pub fn scatter(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Spoon {
    fn whom(&self, random: u64) -> &str {
        &self.whom[(random >> 8) as usize % self.whom.len()]
    }

    /// Does one thing; says whether a call was done.
    fn stir_once(&self, random: u64) -> bool {
        let whom = self.whom(random);
        if whom == "scope" {
            return self.call_deeper(random, whom);
        }
        match random % 13 {
            0 | 1 => self.scope.to(whom).call(nap(random)).is_ok(),
            2 | 3 => self.call_deeper(random, whom),
            4 => self.broadcast(random),
            5 => self.send(random, whom),
            6 => self.ask_briefly(random, whom),
            7 => self.ask_and_let_be(random, whom),
            8 => self.ask_and_hear(random, whom),
            9 => self.drink(random, whom),
            _ => self.ask(random, whom),
        }
    }

    /// Asks, and waits, or takes it back, or changes when it expires.
    fn ask(&self, random: u64, whom: &str) -> bool {
        let Ok(pending) = self.scope.to(whom).request(nap(random)) else { return false };
        match (random >> 16) % 8 {
            0 => pending.cancel(),
            1 => pending.set_expiry(Some(Duration::from_micros((random >> 32) % 2_000))),
            2 => pending.set_expiry(None),
            3 => drop(pending.ready_within(Duration::from_micros(100))),
            4 => return pending.wait(Duration::from_micros((random >> 32) % 1_000)).is_ok(),
            5 => return pending.cancel_on_drop().wait(Duration::from_micros((random >> 32) % 1_000)).is_ok(),
            _ => {}
        }
        pending.wait(MOMENT).is_ok()
    }

    fn ask_briefly(&self, random: u64, whom: &str) -> bool {
        let scope = self.scope.with_deadline(Duration::from_micros((random >> 32) % 1_000));
        scope.to(whom).call(nap(random)).is_ok()
    }

    /// Nobody waits for the reply, and it may be taken back at once.
    fn ask_and_let_be(&self, random: u64, whom: &str) -> bool {
        if let Ok(pending) = self.scope.to(whom).request(nap(random)) {
            drop(if random & (1 << 20) == 0 { pending } else { pending.cancel_on_drop() });
        }
        false
    }

    fn ask_and_hear(&self, random: u64, whom: &str) -> bool {
        let Ok(pending) = self.scope.to(whom).request(nap(random)) else { return false };
        LEFT.fetch_add(1, Ordering::SeqCst);
        pending.on_complete(|_| {
            RUN.fetch_add(1, Ordering::SeqCst);
        });
        if random & (1 << 20) == 0 {
            pending.cancel();
        }
        false
    }

    /// Reads a stream: not at all, in part, or to its end.
    fn drink(&self, random: u64, whom: &str) -> bool {
        let count = (random >> 32) % 3_000;
        let Ok(pending) = self.scope.to(whom).request(Pour { count }) else { return false };
        match (random >> 16) % 4 {
            0 => pending.cancel(),
            1 => return false,
            _ => {}
        }
        let Ok(stream) = pending.wait(MOMENT) else { return false };
        let sips = if random & (1 << 20) == 0 { count / 2 } else { count };
        let poured = stream.with_patience(10 * MOMENT).take(sips as usize);
        poured.map_while(Result::ok).eq(0..sips)
    }

    fn send(&self, random: u64, whom: &str) -> bool {
        // Whether they are taken or not: they are counted there.
        (0..random % 64).for_each(|number| drop(self.scope.to(whom).send(Drip { number })));
        false
    }

    fn broadcast(&self, random: u64) -> bool {
        let Ok(pending) = self.scope.broadcast(StirAll { number: random }) else { return false };
        if random & (1 << 20) == 0 {
            pending.cancel();
        }
        pending.wait(MOMENT).is_ok()
    }

    fn call_deeper(&self, random: u64, whom: &str) -> bool {
        let Some(depth) = self.depth.checked_sub(1) else { return false };
        let (seed, steps, managers) = (scatter(random), 3, self.whom.clone());
        match whom {
            "scope" => {
                let Ok(pending) = self.scope.request(ScopeStirs { seed, steps, depth, whom: managers })
                else {
                    return false;
                };
                if random & (1 << 21) == 0 {
                    pending.cancel();
                }
                pending.wait(10 * MOMENT).is_ok()
            }
            whom => self.scope.to(whom).call(Stir { seed, steps, depth, whom: managers }).is_ok(),
        }
    }
}

fn nap(random: u64) -> Nap {
    Nap { number: random >> 40, duration_us: (random >> 24) % 500 }
}
