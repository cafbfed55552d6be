//! The works of the contest, and the command line that asks for one of them.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::contestant::{About, Contestant, Setup};
use crate::measure;
use crate::placement::Placement;

/// What is to be done, on the command line by the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Work {
    /// One small typed command to a child and its answer back, one at a time.
    #[value(name = "W1")]
    W1,
    /// The same from one child to another, through the coordinator.
    #[value(name = "W1M")]
    W1M,
    /// One-way commands of 64 bytes, as fast as they go.
    #[value(name = "W2")]
    W2,
    /// One small command to all children, until all have answered.
    #[value(name = "W3")]
    W3,
    /// Frames, filled by one process and looked at by another.
    #[value(name = "W4")]
    W4,
    /// From nothing until all children have answered.
    #[value(name = "W5")]
    W5,
    /// Nothing to do.
    #[value(name = "W6")]
    W6,
}

/// The works that everybody may take part in; one that only passes commands on cannot do W1M.
pub const ALL_BUT_BETWEEN: &[Work] = &[Work::W1, Work::W2, Work::W3, Work::W4, Work::W5, Work::W6];

/// How a work is to be done.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// How many commands, broadcasts or frames are measured; about 5 % more come before as warm-up
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub n: Option<u64>,
    /// W1, W1M: microseconds to sleep before each command; they are not counted
    #[arg(long, default_value_t = 0)]
    pub gap: u64,
    /// W3, W5, W6: how many children
    #[arg(long)]
    pub children: Option<usize>,
    /// W4: bytes of a frame, a multiple of 4096
    #[arg(long, default_value_t = 1 << 20)]
    pub size: usize,
}

impl Work {
    /// How often it is done unless the command line says.
    fn usual_count(self, options: &Options) -> u64 {
        match self {
            Self::W1 | Self::W1M if options.gap > 0 => 500,
            Self::W1 | Self::W1M => 20_000,
            Self::W2 => 200_000,
            Self::W3 => 2000,
            Self::W4 => 1000,
            Self::W5 | Self::W6 => 1,
        }
    }

    /// How many children take part unless the command line says.
    fn usual_children(self) -> usize {
        match self {
            Self::W1 | Self::W2 | Self::W4 => 1,
            Self::W1M => 2,
            Self::W3 => 4,
            Self::W5 => 8,
            Self::W6 => 3,
        }
    }
}

impl Options {
    /// The number of commands, broadcasts or frames.
    pub(crate) fn count(&self, work: Work) -> u64 {
        self.n.unwrap_or_else(|| work.usual_count(self))
    }

    /// What a contestant has to start for a work.
    pub(crate) fn setup(&self, work: Work) -> Setup {
        let children = match work {
            Work::W3 | Work::W5 | Work::W6 => self.children.unwrap_or_else(|| work.usual_children()),
            _ => work.usual_children(),
        };
        assert!(children > 0, "`--children` is 0: at least one has to answer");
        assert!(
            self.size > 0 && self.size.is_multiple_of(4096),
            "`--size` {} is no multiple of 4096",
            self.size
        );
        Setup { work, children, placement: Placement::asked_for(), frame_bytes: self.size }
    }

    pub(crate) fn gap(&self) -> Option<Duration> {
        (self.gap > 0).then(|| Duration::from_micros(self.gap))
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The words of a program that is one contestant.
#[derive(Parser, Debug)]
pub struct Words {
    #[command(subcommand)]
    verb: Verb,
}

/// What a contestant is told to do.
#[derive(Subcommand, Clone, Debug)]
#[command(rename_all = "verbatim")]
pub enum Verb {
    /// Print who this is and which works it does, in one line
    #[command(name = "list")]
    List,
    /// Do a work, and print what was measured in one line
    #[command(flatten)]
    Do(Asked),
}

/// A work, with its options.
#[derive(Subcommand, Clone, Debug)]
#[command(rename_all = "verbatim")]
pub enum Asked {
    /// One small typed command to a child and its answer back, one at a time
    W1(Options),
    /// The same from one child to another, through the coordinator
    W1M(Options),
    /// One-way commands of 64 bytes, as fast as they go
    W2(Options),
    /// One small command to all children, until all have answered
    W3(Options),
    /// Frames, filled by one process and looked at by another
    W4(Options),
    /// From nothing until all children have answered
    W5(Options),
    /// Print the processes of an idle contestant, and wait for SIGTERM
    W6(Options),
}

impl Asked {
    fn parts(&self) -> (Work, &Options) {
        match self {
            Self::W1(options) => (Work::W1, options),
            Self::W1M(options) => (Work::W1M, options),
            Self::W2(options) => (Work::W2, options),
            Self::W3(options) => (Work::W3, options),
            Self::W4(options) => (Work::W4, options),
            Self::W5(options) => (Work::W5, options),
            Self::W6(options) => (Work::W6, options),
        }
    }
}

/// Does what one contestant is told. A wrong answer, count or sum is a panic, and so a code that is not 0.
pub fn obey<C: Contestant>(verb: &Verb, about: &About) -> ExitCode {
    let Verb::Do(asked) = verb else {
        println!("{}", about.line());
        return ExitCode::SUCCESS;
    };
    let (work, options) = asked.parts();
    if !about.works.contains(&work) {
        let works: Vec<_> = about.works.iter().map(Work::to_string).collect();
        eprintln!("{} does not do {work}; it does {}", about.peer, works.join(", "));
        return ExitCode::from(2);
    }
    measure::run::<C>(work, options, about);
    ExitCode::SUCCESS
}
