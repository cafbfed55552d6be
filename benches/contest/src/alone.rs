//! What is measured of labrig alone: its coordinator's memory.

use std::collections::BTreeMap;

use clap::Args;
use harness::payload::Exchange;
use harness::processes::resident_kib;
use harness::report::Report;
use harness::{Contestant, Placement, Setup, Work};

use crate::contestant::Labrig;

/// With how many managers, and how often.
#[derive(Args, Clone)]
pub(crate) struct Alone {
    /// How many managers
    #[arg(long, default_value_t = 64)]
    pub(crate) children: usize,
    /// How many commands
    #[arg(long, default_value_t = 1000)]
    pub(crate) n: u64,
}

impl Alone {
    /// Says what the coordinator has in memory when all managers have answered some commands.
    pub(crate) fn memory(&self) {
        let placement = Placement::asked_for();
        let setup = Setup { work: Work::W3, children: self.children, placement, frame_bytes: 4096 };
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
