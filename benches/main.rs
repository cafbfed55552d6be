//! `cargo bench`: what labrig costs, next to hand-written code in the same run.
//!
//! One program plays all parts: started without a role it measures, started by a rig it is a manager, and
//! started by `hand` it is a child that echoes. criterion runs the samples and remembers them from run to
//! run; `figures` keeps every single duration and prints percentiles and ratios at the end.
//! `README.md` beside this file says how to read them.

mod broadcast;
mod calls;
mod chaos;
mod death;
mod dozer;
mod endings;
mod figures;
mod frames;
mod hand;
mod managers;
mod procedures;
mod rigs;
mod round_trip;
mod sends;
mod signals;
mod startup;
mod tracker;

use std::env;
use std::process::ExitCode;

use criterion::Criterion;
use harness::{machine, placement};
use labrig::transport::{declare_that_this_program_plays_managers, spawn::ROLE_VARIABLE};

use figures::Figures;
use machine::Machine;

fn main() -> ExitCode {
    if let Some(end) = hand::play_child() {
        return end;
    }
    if env::var_os(ROLE_VARIABLE).is_some() {
        return labrig::main();
    }
    declare_that_this_program_plays_managers();
    measure();
    ExitCode::SUCCESS
}

fn measure() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut figures = Figures::beside("by hand");
    let mut of_calls = Figures::beside("reference");
    let mut of_deaths = Figures::beside("by hand");
    let mut of_chaos = Figures::beside("quiet");
    let machine = Machine::watch();
    round_trip::bench(&mut criterion, &mut figures);
    sends::bench(&mut criterion, &mut figures);
    broadcast::bench(&mut criterion, &mut figures);
    frames::bench(&mut criterion, &mut figures);
    startup::bench(&mut criterion, &mut figures);
    tracker::bench(&mut criterion, &mut figures);
    signals::bench(&mut criterion, &mut figures);
    procedures::bench(&mut criterion, &mut figures);
    endings::bench(&mut criterion, &mut of_calls);
    calls::bench(&mut criterion, &mut of_calls);
    death::bench(&mut criterion, &mut of_deaths);
    chaos::bench(&mut criterion, &mut of_chaos);
    criterion.final_summary();
    let tables = [figures, of_calls, of_deaths, of_chaos];
    if tables.iter().any(|table| !table.is_empty()) {
        println!("{machine}");
    }
    for table in tables.iter().filter(|table| !table.is_empty()) {
        println!("\n{table}");
    }
}
