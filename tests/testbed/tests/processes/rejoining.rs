//! Streams whose producer or reader dies and comes back.

use crate::restarts::{kill, status_of, until_in_life};
use crate::support::{PATIENCE, eventually, launch};
use labrig::Rig;
use labrig::coordinator::StreamStatus;

fn filming(mode: &str) -> Rig {
    launch(&format!(
        "[managers.camera]\nkind = \"camera.sim\"\nrestart_policy = \"on-failure\"\nrestart_delay_ms = 1\n\
         watchdog_ms = 0\nrearm = \"auto\"\n\
         [managers.camera.config]\nrate_hz = 500.0\nwidth_px = 64\nheight_px = 64\n\
         [managers.tracker]\nkind = \"tracker\"\nrestart_delay_ms = 1\nwatchdog_ms = 0\n\
         [streams.video]\nproducer = \"camera\"\nslots = 6\nreaders = {{ tracker = \"{mode}\" }}"
    ))
}

fn video(rig: &Rig) -> StreamStatus {
    rig.status().expect("the rig runs").streams.remove(0)
}

fn taken(rig: &Rig) -> u64 {
    video(rig).readers.iter().find(|reader| reader.manager == "tracker").expect("it reads").taken
}

/// The tracker goes on taking frames, however many it has taken.
fn until_it_goes_on(rig: &Rig) {
    let before = taken(rig);
    eventually("more frames", || taken(rig) > before + 20);
}

#[test]
fn readers_are_moved_over_to_the_next_life_of_their_producer() {
    for mode in ["lossless", "latest"] {
        let rig = filming(mode);
        let mut window = rig.scope().stream("video").expect("a stream");
        assert!(window.latest(PATIENCE).expect("joined").is_some());
        until_it_goes_on(&rig);
        for generation in 2..=4 {
            kill(&rig, "camera");
            until_in_life(&rig, "camera", generation);
            let published = video(&rig).published;
            until_it_goes_on(&rig);
            assert!(video(&rig).published > published, "counts are kept");
            // The window joins again by itself.
            assert!(window.latest(PATIENCE).expect("joined").is_some());
            let seen = window.latest(PATIENCE).expect("joined").map(|frame| frame.meta().host_time_ns);
            eventually("newer frames in the window", || {
                window.latest(PATIENCE).expect("joined").map(|frame| frame.meta().host_time_ns) > seen
            });
        }
        assert_eq!(status_of(&rig, "tracker").generation, 1);
        let summary = rig.shutdown();
        let stream = &summary.streams[0];
        let tracker = stream.readers.iter().find(|reader| reader.manager == "tracker").expect("it reads");
        if mode == "lossless" {
            assert_eq!(tracker.taken + tracker.skipped + tracker.unread, stream.published, "{stream:?}");
        }
        assert!(summary.is_clean && summary.deaths.len() == 3, "{summary:#?}");
    }
}

#[test]
fn a_reader_that_comes_back_reads_on_and_holds_nobody_up() {
    for mode in ["lossless", "latest"] {
        let rig = filming(mode);
        until_it_goes_on(&rig);
        for generation in 2..=3 {
            kill(&rig, "tracker");
            until_in_life(&rig, "tracker", generation);
            until_it_goes_on(&rig);
        }
        assert_eq!(status_of(&rig, "camera").generation, 1);
        let summary = rig.shutdown();
        let stream = &summary.streams[0];
        let tracker = stream.readers.iter().find(|reader| reader.manager == "tracker").expect("it reads");
        if mode == "lossless" {
            assert_eq!(tracker.taken + tracker.skipped, stream.published, "{stream:?}");
        }
        assert!(summary.is_clean, "{summary:#?}");
    }
}

#[test]
fn a_reader_and_its_producer_are_started_again_when_it_is_asked_for() {
    let rig = filming("lossless");
    until_it_goes_on(&rig);
    for manager in ["tracker", "camera", "tracker"] {
        rig.scope().restart(manager).expect("accepted").wait(PATIENCE).expect("it is back");
        until_it_goes_on(&rig);
    }
    let summary = rig.shutdown();
    assert!(summary.is_clean && summary.deaths.is_empty(), "{summary:#?}");
}

#[test]
fn when_both_die_at_once_both_come_back_to_the_same_stream() {
    let rig = filming("lossless");
    until_it_goes_on(&rig);
    kill(&rig, "camera");
    kill(&rig, "tracker");
    until_in_life(&rig, "camera", 2);
    until_in_life(&rig, "tracker", 2);
    until_it_goes_on(&rig);
    assert!(rig.shutdown().is_clean);
}
