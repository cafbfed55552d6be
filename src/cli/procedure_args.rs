//! The words of `labrig procedure`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::rig_args::{RigArgs, time};

/// Long jobs in a running rig.
#[derive(Args, Debug)]
pub(super) struct ProcedureArgs {
    #[command(subcommand)]
    pub(super) deed: ProcedureDeed,
}

/// Which runner of which rig.
#[derive(Args, Debug, Default)]
pub(super) struct RunnerArgs {
    /// The manager that runs procedures, when several do
    #[arg(long, value_name = "MANAGER")]
    pub(super) to: Option<String>,
    #[command(flatten)]
    pub(super) rig: RigArgs,
}

/// To whom a procedure is offered, as a task that is run once.
#[derive(Args, Debug, Default)]
pub(super) struct OfferArgs {
    /// Offer it to one runner after the other until one takes it, each time beginning with another
    #[arg(long, conflicts_with_all = ["to", "held"])]
    pub(super) any: bool,
    /// Offer it to every runner; each that takes it runs it
    #[arg(long, conflicts_with_all = ["to", "any", "held", "wait"])]
    pub(super) all: bool,
    /// Under this name it is run once, however often it is offered: the answer is who has it. To the runner of `--to`, or
    /// to any
    #[arg(long, value_name = "NAME", conflicts_with = "held")]
    pub(super) task: Option<String>,
}

/// One procedure, or all that have not ended.
#[derive(Args, Debug)]
pub(super) struct SteerArgs {
    /// Its id
    #[arg(required_unless_present = "all")]
    pub(super) id: Option<String>,
    /// All that have not ended
    #[arg(long, conflicts_with = "id")]
    pub(super) all: bool,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(super) text: String,
    /// Give up waiting for the answer after this long; the order stands
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) deadline: Option<Duration>,
    #[command(flatten)]
    pub(super) runner: RunnerArgs,
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Its id
    pub(super) id: String,
    #[command(flatten)]
    pub(super) runner: RunnerArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum ProcedureDeed {
    /// Launch a procedure, and print its id
    Launch {
        /// Its kind
        kind: String,
        /// Its inputs: `key=value` each, or all in one JSON object
        #[arg(value_name = "INPUTS")]
        inputs: Vec<String>,
        /// Have it wait until it is played
        #[arg(long)]
        held: bool,
        /// Wait until it has ended, and print its output
        #[arg(long, conflicts_with = "held")]
        wait: bool,
        /// How long it may take in all
        #[arg(long, value_name = "TIME", value_parser = time)]
        deadline: Option<Duration>,
        /// How long each of its steps may take
        #[arg(long, value_name = "TIME", value_parser = time)]
        step_deadline: Option<Duration>,
        #[command(flatten)]
        offer: OfferArgs,
        #[command(flatten)]
        runner: RunnerArgs,
    },
    /// List procedures, newest first
    List {
        /// Only those that have not ended
        #[arg(long)]
        active: bool,
        /// Only the children of this one
        #[arg(long, value_name = "ID")]
        parent: Option<String>,
        #[command(flatten)]
        runner: RunnerArgs,
    },
    /// Show all that is known of a procedure
    Status(OneArgs),
    /// Wait until a procedure has ended, and print its output
    Wait(OneArgs),
    /// Pause a procedure when its step has ended
    Pause(SteerArgs),
    /// Have a procedure go on, or begin
    Play(SteerArgs),
    /// Kill a procedure and its children
    Kill {
        /// How soon
        #[arg(long, value_enum, default_value_t = Level::NextStep)]
        level: Level,
        #[command(flatten)]
        whom: SteerArgs,
    },
    /// Go on with a procedure; from a checkpoint, with a new one that begins there
    Continue {
        /// Its id
        id: String,
        /// The checkpoint, by its tag or the number of its step
        #[arg(long, value_name = "TAG|STEP", default_value = "")]
        from: String,
        #[command(flatten)]
        runner: RunnerArgs,
    },
    /// List the checkpoints of a procedure, or remove those with a tag
    Checkpoints {
        /// Its id
        id: String,
        /// Remove the checkpoints with this tag
        #[arg(long, value_name = "TAG")]
        delete: Option<String>,
        #[command(flatten)]
        runner: RunnerArgs,
    },
    /// Show changes of state as they happen: of one procedure from its beginning to its end, or of all
    Watch {
        /// Its id
        id: Option<String>,
        #[command(flatten)]
        runner: RunnerArgs,
    },
}

/// How soon a procedure is killed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// When its step has ended
    NextStep,
    /// When its step looks whether it is to stop
    NextYield,
    /// Now, by ending the process that runs it
    Force,
}
