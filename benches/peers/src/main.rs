//! Alternatives to labrig in the works of the contest, set up as their documentation says.
//!
//! `peers list` says who there is; `peers NAME list` and `peers NAME W1 …` are those contestants' own words.

mod iceoryx;
mod ipc;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::spawn::role;
use harness::team::{Far, Near, Team, serve};
use harness::work::{ALL_BUT_BETWEEN, Verb, Work, obey};
use harness::{About, Contestant};

use iceoryx::{IceChild, IceEvent, IcePoll};
use ipc::{Ipc, IpcChild};

/// Alternatives to labrig, for the contest.
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
    /// The ipc-channel crate
    #[command(name = "ipc-channel")]
    IpcChannel(Told),
    /// The iceoryx2 crate, its receivers asleep until they are notified
    #[command(name = "iceoryx2-event")]
    IceoryxEvent(Told),
    /// The iceoryx2 crate, its receivers always looking
    #[command(name = "iceoryx2-poll")]
    IceoryxPoll(Told),
}

#[derive(clap::Args)]
struct Told {
    #[command(subcommand)]
    verb: Verb,
}

const ABOUT: [About; 3] = [
    About {
        peer: Ipc::ROLE,
        kind: "rust",
        works: ALL_BUT_BETWEEN,
        notes: "ipc-channel 0.23: one channel each way, bootstrapped by IpcOneShotServer; a new IpcSharedMemory per frame",
        copies: "0 (new segment per frame)",
    },
    About {
        peer: IceEvent::ROLE,
        kind: "rust",
        works: ALL_BUT_BETWEEN,
        notes: "iceoryx2 0.10: publish-subscribe each way, plain structs, nothing serialised; a notification after \
                each send; frames in its own memory",
        copies: "0",
    },
    About {
        peer: IcePoll::ROLE,
        kind: "rust",
        works: &[Work::W1, Work::W2, Work::W4],
        notes: "the same, but receivers spin: pin it `split`",
        copies: "0",
    },
];

fn main() -> ExitCode {
    match role().as_deref() {
        Some(Ipc::ROLE) => serve(IpcChild::inherited()),
        Some(IceEvent::ROLE) => serve(IceChild::<false>::inherited()),
        Some(IcePoll::ROLE) => serve(IceChild::<true>::inherited()),
        Some(other) => panic!("nobody here plays `{other}`"),
        None => return coordinate(&Words::parse()),
    }
    ExitCode::SUCCESS
}

fn coordinate(words: &Words) -> ExitCode {
    let [ipc, event, poll] = &ABOUT;
    match words {
        Words::List => {
            ABOUT.iter().for_each(|about| println!("{}", about.line()));
            ExitCode::SUCCESS
        }
        Words::One(Named::IpcChannel(told)) => play::<Team<Ipc>>(told, ipc),
        Words::One(Named::IceoryxEvent(told)) => play::<Team<IceEvent>>(told, event),
        Words::One(Named::IceoryxPoll(told)) => play::<Team<IcePoll>>(told, poll),
    }
}

fn play<C: Contestant>(told: &Told, about: &About) -> ExitCode {
    obey::<C>(&told.verb, about)
}
