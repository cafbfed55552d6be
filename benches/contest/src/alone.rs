//! What is measured of labrig alone: the way to the last of many managers, and the coordinator's memory.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use harness::payload::Exchange;
use harness::processes::resident_kib;
use harness::report::Report;
use harness::{Contestant, Placement, Setup, Work};

use crate::contestant::Labrig;

/// Longer than a manager under a debugger takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// With how many managers, and how often.
#[derive(Args, Clone)]
pub(crate) struct Alone {
    /// How many managers
    #[arg(long, default_value_t = 64)]
    children: usize,
    /// How many commands
    #[arg(long, default_value_t = 1000)]
    n: u64,
}

impl Alone {
    fn setup(&self) -> Setup {
        let placement = Placement::asked_for();
        Setup { work: Work::W3, children: self.children, placement, frame_bytes: 4096 }
    }

    /// Sends commands to the last manager, for whoever counts instructions.
    pub(crate) fn route(&self) {
        let setup = self.setup();
        let _place = setup.placement.take();
        let rig = Labrig::start(&setup);
        let last = format!("echo{}", self.children - 1);
        (0..self.n).for_each(|id| rig.exchange_with(&last, Exchange::new(id), PATIENCE).check(id));
        rig.end();
    }

    /// Says what the coordinator has in memory when all managers have answered some commands.
    pub(crate) fn memory(&self) {
        let setup = self.setup();
        let mut rig = Labrig::start(&setup);
        for id in 0..self.n {
            let answers = rig.exchange_with_all(&Exchange::new(id));
            assert_eq!(answers.len(), self.children, "every manager answers once");
        }
        let [all, own] = resident_kib().map(|kib| kib as f64 / 1024.0);
        rig.end();
        let metrics = BTreeMap::from([("rss_mib".to_owned(), all), ("rss_anon_mib".to_owned(), own)]);
        let params =
            BTreeMap::from([("children".to_owned(), self.children.into()), ("n".to_owned(), self.n.into())]);
        let (peer, work) = ("labrig".to_owned(), "memory".to_owned());
        println!("{}", Report { peer, work, params, metrics, idle_pids: Vec::new() }.line());
    }
}
