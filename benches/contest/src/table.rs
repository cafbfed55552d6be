//! `contest table`: all contestants in turn, repeat by repeat, in one run; one table per work, and what became of the
//! targets.
//!
//! The same binary differs by a factor of three from hour to hour; what two contestants measured seconds apart have as
//! their ratio does not. So every repeat runs everybody, each time another one first, and a ratio is taken within a
//! repeat.

mod cases;
mod outcome;
mod print;
mod routing;
mod runner;
mod target;

use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use cases::{CASES, Case};
use harness::machine::Machine;
use outcome::Outcome;
use runner::Programs;

/// How the table is to be made.
#[derive(Args)]
pub(crate) struct Wishes {
    /// How often every contestant does every work; sparse commands are repeated 15 times at least
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Only these, such as `W1,W4`: W1, W1M, W2, W3, W4, W5, W6, routing, memory
    #[arg(long, value_delimiter = ',', value_parser = known_work)]
    works: Vec<String>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

fn known_work(asked: &str) -> Result<String, String> {
    let mut known: Vec<_> = CASES.iter().map(|case| case.work).collect();
    known.dedup();
    match known.iter().find(|work| work.eq_ignore_ascii_case(asked)) {
        Some(work) => Ok((*work).to_owned()),
        None => Err(format!("no such work; there are {}", known.join(", "))),
    }
}

/// Makes the table. The code is 0 when everything could be measured, whether targets were met or not.
pub(crate) fn make(wishes: &Wishes) -> ExitCode {
    let programs = match Programs::beside_this() {
        Ok(programs) => programs,
        Err(error) => {
            eprintln!("contest: {error}");
            return ExitCode::FAILURE;
        }
    };
    let is_wanted =
        |case: &&Case| wishes.works.is_empty() || wishes.works.iter().any(|work| work == case.work);
    let mut outcomes: Vec<Outcome> = CASES.iter().filter(is_wanted).map(Outcome::new).collect();
    let machine = Machine::watch();
    measure(&mut outcomes, &programs, wishes.repeats);
    if wishes.json {
        print::json(&outcomes, &machine);
    } else {
        print::tables(&outcomes, &machine);
    }
    let is_whole = outcomes.iter().all(|outcome| outcome.failures.is_empty());
    if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(outcomes: &mut [Outcome], programs: &Programs, repeats: u32) {
    let rounds = |outcome: &Outcome| outcome.case.repeats(repeats);
    let runs: u64 = outcomes.iter().map(|it| u64::from(rounds(it)) * it.case.runs.len() as u64).sum();
    let bar = ProgressBar::new(runs);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("the template is right");
    bar.set_style(style);
    for round in 0..outcomes.iter().map(rounds).max().unwrap_or(0) {
        for outcome in outcomes.iter_mut().filter(|outcome| round < rounds(outcome)) {
            let machine = Machine::watch();
            let count = outcome.case.runs.len();
            for turn in 0..count {
                let run = (turn + round as usize) % count;
                bar.set_message(format!("{}: {}", outcome.case.title, outcome.case.runs[run].peer));
                outcome.keep(run, programs.run(outcome.case, &outcome.case.runs[run]));
                bar.inc(1);
            }
            outcome.add_others(machine.others());
        }
    }
    bar.finish_and_clear();
}
