//! Replies that are streams: whole, in order, no faster than they are read, and ended once.

use std::time::{Duration, Instant};

use crate::support::{PATIENCE, end_cleanly, eventually, figure, launch, pid_of};
use labrig::wire::FailureKind;
use labrig::{CallError, ReplyStream, Rig};
use labrig_testbed::streamer::*;
use rustix::process::{Signal, kill_process};

const TWO: &str = "[managers.left]\nkind = \"streamer\"\n[managers.right]\nkind = \"streamer\"";

/// The most that can be on the way to a reader that does not read: a window of chunks, and one in the making.
const MOST_CHUNKS: u64 = labrig::remote::WINDOW as u64 + 1;

fn check_rig(act: impl FnOnce(&Rig)) {
    let rig = launch(TWO);
    act(&rig);
    eventually("an empty table of calls", || rig.status().is_some_and(|status| status.in_flight == 0));
    end_cleanly(rig);
}

fn open(rig: &Rig, asked: Stream) -> ReplyStream<Item> {
    rig.scope().to("left").request(asked).expect("accepted").wait(PATIENCE).expect("opened")
}

fn numbers(count: u64) -> Stream {
    Stream { count, bytes: 0, panics_at: None }
}

fn drawn(rig: &Rig) -> Drawn {
    rig.scope().to("left").request(HowMuch {}).expect("accepted").wait(PATIENCE).expect("done")
}

#[test]
fn a_stream_comes_whole_and_in_order() {
    check_rig(|rig| {
        for (count, bytes) in [(0, 0), (1, 0), (100_000, 0), (300, 5_000), (20, 100_000)] {
            let begun = Instant::now();
            let items = open(rig, Stream { count, bytes, panics_at: None });
            let mut next = 0;
            for item in items {
                let Item { number, load } = item.expect("the stream is whole");
                assert_eq!((number, load.len()), (next, bytes as usize));
                next += 1;
            }
            assert_eq!(next, count);
            figure(&format!("{count} items of {bytes} bytes"), begun.elapsed());
        }
    });
}

#[test]
fn a_stream_is_drawn_no_faster_than_it_is_read() {
    check_rig(|rig| {
        // Each item fills a chunk of its own.
        let mut items = open(rig, Stream { count: 1_000, bytes: 20_000, panics_at: None });
        eventually("a full window", || drawn(rig).items >= MOST_CHUNKS - 1);
        for _ in 0..100 {
            // The manager goes on serving, and draws no more.
            assert!(drawn(rig).items <= MOST_CHUNKS);
        }
        let taken = items.by_ref().take(10).filter(Result::is_ok).count();
        eventually("ten more", || drawn(rig).items >= MOST_CHUNKS - 1 + taken as u64);
        assert!(drawn(rig).items <= MOST_CHUNKS + taken as u64);
        assert_eq!(items.filter(Result::is_ok).count(), 990);
    });
}

#[test]
fn a_stream_that_nobody_reads_any_more_is_ended_at_its_source() {
    check_rig(|rig| {
        let mut items = open(rig, Stream { count: u64::MAX, bytes: 20_000, panics_at: None });
        assert!(items.next().is_some_and(|item| item.is_ok()) && drawn(rig).open == 1);
        drop(items);
        eventually("its end", || drawn(rig).open == 0);
        // One that was answered by a stream which nobody has looked at.
        drop(rig.scope().to("left").request(numbers(u64::MAX)).expect("accepted"));
        eventually("its end", || drawn(rig).open == 0);
    });
}

#[test]
fn a_stream_that_breaks_gives_its_error_last_and_once() {
    check_rig(|rig| {
        let broken = Stream { count: 9, bytes: 0, panics_at: Some(5) };
        let items: Vec<_> = open(rig, broken).collect();
        let (last, whole) = items.split_last().expect("there is an error at least");
        assert!(whole.iter().all(Result::is_ok), "{items:?}");
        let Err(CallError::Failed(failed)) = last else { panic!("{last:?}") };
        assert_eq!(failed.failure.kind, FailureKind::Panic);
        assert!(failed.failure.text.contains("the detector ran dry"), "{failed:?}");
        assert!(failed.failure.location.is_some() && failed.facts.manager == "left", "{failed:?}");
    });
}

#[test]
fn a_stream_ends_with_its_manager() {
    let rig = launch(TWO);
    let mut items = open(&rig, Stream { count: u64::MAX, bytes: 20_000, panics_at: None });
    assert!(items.next().is_some_and(|item| item.is_ok()));
    kill_process(pid_of(&rig, "left"), Signal::KILL).expect("it lives");
    let end = items.find(Result::is_err).expect("it ends");
    assert!(matches!(end, Err(CallError::Indeterminate(_))), "{end:?}");
    assert!(items.next().is_none());
    assert_eq!(rig.shutdown().totals.indeterminate, 1);
}

#[test]
fn a_stream_whose_reader_dies_is_ended_at_its_source() {
    let rig = launch(TWO);
    let reading = SumUp { whose: "left".to_owned(), count: u64::MAX };
    let summing = rig.scope().without_deadline().to("right").request(reading).expect("accepted");
    eventually("a stream", || drawn(&rig).items > 10_000);
    kill_process(pid_of(&rig, "right"), Signal::KILL).expect("it lives");
    assert!(matches!(summing.wait(PATIENCE), Err(CallError::Indeterminate(_))));
    eventually("its end", || drawn(&rig).open == 0);
    drop(rig.shutdown());
}

#[test]
fn a_handler_reads_the_stream_of_another_manager_and_of_its_own() {
    check_rig(|rig| {
        let sum = |whom: &str, whose: &str| {
            let asked = SumUp { whose: whose.to_owned(), count: 50_000 };
            rig.scope().to(whom).request(asked).expect("accepted").wait(PATIENCE)
        };
        assert_eq!(sum("right", "left"), Ok((0..50_000).sum()));
        // A call to oneself would be for ever, stream or not.
        let error = sum("left", "left").expect_err("refused").to_string();
        assert!(error.contains("left → left"), "{error}");
    });
}

#[test]
fn a_handler_of_the_coordinator_streams_too() {
    check_rig(|rig| {
        let items = rig.scope().call(ScopeStreams { count: 10_000 }).expect("opened");
        let numbers: Vec<u64> = items.map(|item| item.expect("the stream is whole").number).collect();
        assert!(numbers.into_iter().eq(0..10_000));
    });
}

#[test]
fn a_stream_that_is_open_goes_on_beyond_the_deadline_of_its_call() {
    check_rig(|rig| {
        let scope = rig.scope().with_deadline(Duration::from_millis(300));
        let asked = Stream { count: 100, bytes: 20_000, panics_at: None };
        let mut items = scope.to("left").request(asked).expect("accepted").wait(PATIENCE).expect("opened");
        let late = scope.to("left").request(numbers(0)).expect("accepted");
        // Another call of that deadline, sent later, has expired or ended: so the first one's is over.
        drop(late.wait(PATIENCE));
        let begun = Instant::now();
        eventually("the end of its time", || begun.elapsed() > Duration::from_millis(300));
        assert_eq!(items.by_ref().filter(Result::is_ok).count(), 100);
    });
}

#[test]
fn no_stream_answers_a_broadcast() {
    check_rig(|rig| {
        let report = rig.scope().broadcast(StreamTogether {}).expect("accepted").wait(PATIENCE);
        for outcome in report.expect("complete").outcomes {
            assert!(matches!(outcome.outcome, Err(CallError::Failed(_))), "{outcome:?}");
        }
        eventually("the end of those streams", || drawn(rig).open == 0);
    });
}

#[test]
fn a_quit_ends_the_streams_that_are_open() {
    let rig = launch(TWO);
    let items = open(&rig, Stream { count: u64::MAX, bytes: 20_000, panics_at: None });
    end_cleanly(rig);
    let last = items.last().expect("it has an end");
    assert!(matches!(last, Err(CallError::Cancelled(_) | CallError::Indeterminate(_))), "{last:?}");
}
