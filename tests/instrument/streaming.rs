//! Frames between processes: who waits for whom, and who sees what.

use labrig::managers::camera::{SetAcquisition, SetExposure};
use labrig::managers::tracker::{Track, WhatIsTracked};
use labrig::remote::StreamError;
use labrig::shm::{ReadMode, Wake};

use crate::support::{PATIENCE, end_cleanly, launch};

fn rig(rate_hz: u32, mode: &str) -> labrig::Rig {
    launch(&format!(
        "[managers.camera]\nkind = \"camera.sim\"\n[managers.camera.config]\nrate_hz = {rate_hz}.0\n\
         width_px = 320\nheight_px = 240\nbeads = 40\n[managers.tracker]\nkind = \"tracker\"\n\
         [streams.video]\nproducer = \"camera\"\nslots = 8\nreaders = {{ tracker = \"{mode}\" }}"
    ))
}

fn wait_for_frames(rig: &labrig::Rig, count: u64) {
    let end = std::time::Instant::now() + PATIENCE;
    while rig.status().is_some_and(|status| status.streams[0].published < count) {
        assert!(std::time::Instant::now() < end, "fewer than {count} frames");
        std::thread::yield_now();
    }
}

#[test]
fn a_lossless_reader_sees_every_frame_and_holds_the_producer_back() {
    let rig = rig(5_000, "lossless");
    wait_for_frames(&rig, 100);
    let summary = end_cleanly(rig);
    let stream = &summary.streams[0];
    assert_eq!(stream.readers[0].taken, stream.published);
    assert_eq!(stream.dropped(), 0);
    assert!(stream.waits > 0, "{stream:?}");
}

#[test]
fn a_latest_reader_passes_frames_over_and_never_holds_the_producer_back() {
    let rig = rig(5_000, "latest");
    wait_for_frames(&rig, 200);
    let summary = end_cleanly(rig);
    let (stream, reader) = (&summary.streams[0], &summary.streams[0].readers[0]);
    assert_eq!(stream.waits, 0, "{stream:?}");
    assert!(reader.taken + reader.skipped <= stream.published && reader.taken > 0, "{stream:?}");
    assert!(!summary.has_losses(), "frames passed over by a latest reader are no loss");
}

#[test]
fn the_particles_of_every_frame_are_followed_as_rows_in_the_order_of_their_times() {
    let rig = rig(200, "lossless");
    let mut tracks = rig.scope().rows("tracker.tracks").expect("it is shared");
    let (mut rows, mut last) = (0, (0, 0));
    while rows < 500 {
        tracks.wait(PATIENCE).expect("they come");
        let batch = tracks.read().expect("they are there");
        for (row, track) in batch.iter().zip(batch.to::<Track>().expect("they are tracks")) {
            assert!((row.at_ns(), track.frame) >= last, "{track:?} after {last:?}");
            assert!(track.x_px >= 0.0 && track.x_px < 320.0, "{track:?}");
            last = (row.at_ns(), track.frame);
        }
        rows += batch.len();
    }
    assert_eq!(tracks.lost(), 0);
    let summary = end_cleanly(rig);
    assert!(last.1 < summary.streams[0].published);
}

#[test]
fn a_thread_of_the_coordinator_sees_the_newest_frame_and_every_frame() {
    let rig = rig(200, "lossless");
    let scope = rig.scope();
    let mut video = scope.stream("video").expect("a stream");
    let frame = video.latest(PATIENCE).expect("joined").expect("a frame");
    assert_eq!((frame.meta().format.width, frame.meta().format.height), (320, 240));
    assert_eq!(frame.bytes().len(), 320 * 240);
    drop(frame);
    let mut every = video.reader(ReadMode::Lossless).expect("joined");
    let mut last = None;
    for _ in 0..20 {
        assert_eq!(every.wait(PATIENCE).expect("a wait"), Wake::News);
        let sequence = every.next().expect("a frame").meta().sequence;
        assert!(last.is_none_or(|last| sequence == last + 1), "{sequence} after {last:?}");
        last = Some(sequence);
    }
    drop(every);
    match scope.stream("audio").map(drop) {
        Err(StreamError::Unknown { known, .. }) => assert_eq!(known, ["video"]),
        other => panic!("{other:?}"),
    }
    end_cleanly(rig);
}

#[test]
fn acquisition_is_switched_by_broadcast_and_the_exposure_shows_in_the_frames() {
    let rig = rig(200, "lossless");
    let scope = rig.scope();
    let set =
        scope.request(SetExposure { exposure_ms: 2.5 }).expect("accepted").wait(PATIENCE).expect("done");
    assert_eq!(set.exposure_ms, 2.5);
    let mut video = scope.stream("video").expect("a stream").reader(ReadMode::Lossless).expect("joined");
    for _ in 0..50 {
        video.wait(PATIENCE).expect("a wait");
        if video.next().is_some_and(|frame| frame.meta().exposure_us == 2500.0) {
            break;
        }
    }
    assert!(video.next().is_none_or(|frame| frame.meta().exposure_us == 2500.0));
    drop(video);
    let off =
        scope.broadcast(SetAcquisition { on: false }).expect("accepted").wait(PATIENCE).expect("a report");
    assert!(off.is_all_done() && off.of("camera").is_some(), "{off}");
    scope.ping("tracker", PATIENCE).expect("an answer");
    let tracked = scope.request(WhatIsTracked {}).expect("accepted").wait(PATIENCE).expect("done");
    assert!(tracked.frames > 0);
    end_cleanly(rig);
}

#[test]
fn each_of_two_cameras_fills_the_stream_that_the_config_gives_it() {
    let camera = |name: &str| format!("[managers.{name}]\nkind = \"camera.sim\"\n");
    let tracker = "[managers.tracker]\nkind = \"tracker\"\ninputs = { video = \"side\" }\n";
    let streams = "[streams.top]\nproducer = \"above\"\n[streams.side]\nproducer = \"beside\"\n";
    let rig = launch(&format!("{}{}{tracker}{streams}", camera("above"), camera("beside")));
    let scope = rig.scope();
    for stream in ["top", "side"] {
        let mut frames = scope.stream(stream).expect("a stream");
        assert!(frames.latest(PATIENCE).expect("joined").is_some(), "{stream}");
    }
    end_cleanly(rig);
}
