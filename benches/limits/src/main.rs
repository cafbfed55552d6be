//! Hand-written code in the works of the contest: what labrig is held against.
//!
//! `limits list` says who there is; `limits NAME list` and `limits NAME W1 …` are those contestants' own words.

mod fill;
mod ring;
mod seqpacket;
mod spawning;
mod stream_batch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::spawn::role;
use harness::team::{Far, Near, Team, serve};
use harness::work::{ALL_BUT_BETWEEN, Verb, Work, obey};
use harness::{About, Contestant};

/// Hand-written references for the contest.
#[derive(Parser)]
#[command(rename_all = "verbatim")]
enum Words {
    /// Print who there is, a line each
    #[command(name = "list")]
    List,
    #[command(flatten)]
    One(Named),
}

#[derive(Subcommand)]
enum Named {
    /// postcard over a pair of sequenced-packet sockets, blocking
    HandSeqpacket(Told),
    /// postcard over two rings in shared memory, polled for 20 µs with yields before sleeping on a futex
    HandRingYield(Told),
    /// postcard over a pair of stream sockets, 32 KiB of one-way commands per write
    HandStreamBatch(Told),
    /// One process that only fills memory
    LimitMemory(Told),
    /// Children that say one byte, read by their coordinator
    LimitSpawn(Told),
}

#[derive(clap::Args)]
struct Told {
    #[command(subcommand)]
    verb: Verb,
}

const ABOUT: [About; 5] = [
    About {
        peer: seqpacket::Socket::ROLE,
        kind: "hand",
        works: ALL_BUT_BETWEEN,
        notes: "postcard over a socketpair(SEQPACKET), one message per system call, blocking",
        copies: "0",
    },
    About {
        peer: ring::Ring::ROLE,
        kind: "hand",
        works: ALL_BUT_BETWEEN,
        notes: "postcard over two rings of 1024 slots in a memfd; polls for 20 us, yields, sleeps on a futex",
        copies: "0",
    },
    About {
        peer: stream_batch::Stream::ROLE,
        kind: "hand",
        works: &[Work::W1, Work::W2],
        notes: "postcard over a socketpair(STREAM), one-way commands in writes of 32 KiB",
        copies: "0",
    },
    About {
        peer: "limit-memory",
        kind: "limit",
        works: &[Work::W4],
        notes: "one process fills one warm buffer over and over and looks at nothing",
        copies: "one process",
    },
    About {
        peer: spawning::ROLE,
        kind: "limit",
        works: &[Work::W5],
        notes: "children that write a byte and end when their pipe does",
        copies: "0",
    },
];

fn main() -> ExitCode {
    match role().as_deref() {
        Some(seqpacket::Socket::ROLE) => serve(seqpacket::Socket::inherited()),
        Some(ring::Ring::ROLE) => serve(ring::ChildRing::inherited()),
        Some(stream_batch::Stream::ROLE) => serve(stream_batch::Stream::inherited()),
        Some(spawning::ROLE) => spawning::play_child(),
        Some(other) => panic!("nobody here plays `{other}`"),
        None => return coordinate(&Words::parse()),
    }
    ExitCode::SUCCESS
}

fn coordinate(words: &Words) -> ExitCode {
    let [seqpacket, ring, stream_batch, memory, spawning] = &ABOUT;
    match words {
        Words::List => {
            ABOUT.iter().for_each(|about| println!("{}", about.line()));
            ExitCode::SUCCESS
        }
        Words::One(Named::HandSeqpacket(told)) => play::<Team<seqpacket::Socket>>(told, seqpacket),
        Words::One(Named::HandRingYield(told)) => play::<Team<ring::Ring>>(told, ring),
        Words::One(Named::HandStreamBatch(told)) => play::<Team<stream_batch::Stream>>(told, stream_batch),
        Words::One(Named::LimitMemory(told)) => play::<fill::Fill>(told, memory),
        Words::One(Named::LimitSpawn(told)) => play::<spawning::Spawning>(told, spawning),
    }
}

fn play<C: Contestant>(told: &Told, about: &About) -> ExitCode {
    obey::<C>(&told.verb, about)
}
