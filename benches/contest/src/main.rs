//! labrig in the works of the contest, and the table of all contestants.
//!
//! One program plays all parts: started by a rig it is a manager, told a work it is the coordinator that does it,
//! through labrig's public interface alone and with nothing of labrig switched off; told `table` it runs all
//! contestants in turn. `benches/README.md` says how to read what it prints.

mod alone;
mod contestant;
mod managers;
mod rigs;
mod routing;
mod stages;
mod table;

use std::env;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::About;
use harness::work::{Verb, Work, obey};
use labrig::transport::{declare_that_this_program_plays_managers, spawn::ROLE_VARIABLE};

use alone::Alone;
use contestant::Labrig;

const ABOUT: About = About {
    peer: "labrig",
    kind: "rust",
    works: &[Work::W1, Work::W1M, Work::W2, Work::W3, Work::W4, Work::W5, Work::W6],
    notes: "Rig::launch and managers of this program, with their guardian; default queues, deadlines and watchdogs; \
            frames go from one manager to another",
    copies: "0",
};

/// labrig in the works of the contest.
#[derive(Parser)]
struct Words {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Contestant(Verb),
    /// Run all contestants in turn, and print what they measured and what became of the targets
    #[command(name = "table")]
    Table(table::Wishes),
    /// Send commands to the last of many managers, for callgrind to count
    #[command(name = "route")]
    Route(Alone),
    /// Print what the parts of a command and its answer cost by themselves
    #[command(name = "stages")]
    Stages,
    /// Print what the coordinator of many managers has in memory
    #[command(name = "memory")]
    Memory(Alone),
}

fn main() -> ExitCode {
    if env::var_os(ROLE_VARIABLE).is_some() {
        return labrig::main();
    }
    declare_that_this_program_plays_managers();
    match Words::parse().what {
        What::Contestant(verb) => return obey::<Labrig>(&verb, &ABOUT),
        What::Table(wishes) => return table::make(&wishes),
        What::Route(alone) => routing::run(&alone),
        What::Stages => stages::run(),
        What::Memory(alone) => alone.memory(),
    }
    ExitCode::SUCCESS
}
