//! A busy machine is no reason to call anybody stuck.

use std::fs;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, end_cleanly, figure, launch, storm};
use labrig::managers::chaos::{WhatWasDone, Work};
use labrig_testbed::commands::Add;

/// How long the processors are kept busy; `LABRIG_STORM=30` makes it ten minutes.
const HOGGED: Duration = Duration::from_secs(20);

/// Ends the hogs when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn with_a_hog_on_each_processor_nobody_is_called_stuck() {
    let rig = launch(
        "[managers.left]\nkind = \"worker\"\nrestart_policy = \"on-failure\"\n[managers.right]\nkind = \"chaos.sim\"\n\
         [managers.quick]\nkind = \"chaos.sim\"\nwatchdog_ms = 1000\n",
    );
    let log = tempfile::tempdir().expect("a folder");
    let kept = log.path().join("run.log");
    fs::hard_link(rig.run_dir().join("run.log"), &kept).expect("both are on one file system");
    let is_over = AtomicBool::new(false);
    let processors = thread::available_parallelism().map_or(2, usize::from);
    let (mut rounds, mut longest) = (0_u64, Duration::ZERO);
    thread::scope(|threads| {
        // Also when something is not as it should be, or the hogs would never end.
        let _over = Over(&is_over);
        for _ in 0..processors {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        let end = Instant::now() + HOGGED * u32::try_from(storm()).unwrap_or(u32::MAX);
        while Instant::now() < end {
            let begin = Instant::now();
            assert_eq!(rig.scope().call(Add { a: 1, b: 1 }), Ok(2));
            for manager in ["right", "quick"] {
                let worked = rig.scope().to(manager).call(Work { duration_ms: 20 });
                let log = || fs::read_to_string(&kept).unwrap_or_default();
                assert!(worked.is_ok(), "{worked:?}: {}", log());
            }
            rounds += 1;
            longest = longest.max(begin.elapsed());
        }
    });
    figure("rounds of three calls beside a hog on each processor, and the longest", (rounds, longest));
    for manager in ["right", "quick"] {
        let done = rig.scope().to(manager).request(WhatWasDone {}).expect("accepted").wait(PATIENCE);
        let done = done.expect("it answers");
        assert_eq!((done.generation, done.works, done.safe_states), (1, rounds, 0));
    }
    end_cleanly(rig);
    let log = fs::read_to_string(&kept).expect("a log");
    assert!(!log.contains("is stuck"), "{log}");
}
