//! What the parts of a command and its answer cost by themselves, each done over and over in one thread.
//!
//! The parts are those that every command goes through twice, but for the router's work. What is left of a whole round trip
//! between two processors is the way of the lines of memory from one to the other, and the handler's surroundings.

use std::hint::black_box;
use std::time::Instant;

use labrig::shm::{LanePair, Put};
use labrig::wire::{Command, Envelope, Header, Kind, Target, codec};

use crate::managers::Exchange;
use crate::routing::Circuit;

/// How often each part is done for one figure, of which the median of several is told.
const ROUND: u32 = 200_000;
const ROUNDS: usize = 9;

pub(crate) fn run() {
    let command = Exchange::from(harness::payload::Exchange::new(7));
    let payload = codec::to_postcard(&command).expect("it holds plain values");
    let asked = Header {
        correlation: 7,
        time_left_us: 5_000_000,
        target: Target::Route,
        ..Header::new(Kind::Request)
    };
    let sealed = asked.seal(&payload);
    let mut bytes = Vec::new();
    say("write the command (postcard)", || codec::to_postcard(black_box(&command)));
    say("seal the envelope", || {
        bytes.clear();
        asked.seal_into(black_box(&payload), &mut bytes);
    });
    say("put it into a lane and take it out", lane(&sealed));
    say("open the envelope", || Envelope::open(black_box(&sealed)));
    say("read the command (postcard)", || {
        let schema = &Exchange::spec().schema;
        codec::from_postcard::<Exchange>(black_box(&payload), schema)
    });
    let mut circuit = Circuit::new(1);
    say("route the command and its answer", || circuit.pass());
    say("look at the clock", Instant::now);
    say("offer the processor that nobody wants", std::thread::yield_now);
}

/// A record through a lane, on this side and on that.
fn lane(sealed: &[u8]) -> impl FnMut() -> Put {
    let pair = LanePair::create().expect("there is memory for a lane");
    let (mut putter, _) = pair.of_coordinator();
    let (_, mut taker) = pair.of_manager();
    taker.lookout().begin_looking();
    let (sealed, mut buffer) = (sealed.to_vec(), vec![0; labrig::shm::MAX_RECORD_BYTES]);
    move || {
        let put = putter.put(&sealed, 0);
        taker.take(&mut buffer, 0).expect("the other side is this one");
        put
    }
}

fn say<T>(what: &str, mut act: impl FnMut() -> T) {
    let mut round = || {
        let begin = Instant::now();
        (0..ROUND).for_each(|_| drop(black_box(act())));
        begin.elapsed().as_nanos() as f64 / f64::from(ROUND)
    };
    let mut each: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    each.sort_by(f64::total_cmp);
    println!("{:7.1} ns  {what}", each[ROUNDS / 2]);
}
