//! Recorded images through the tracker: each exactly once, and whatever is lost is named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::pictures::{beads, folder_of, truncate, write_png};
use crate::support::{labrig, project, stderr, stdout};

/// Runs `config/replay.toml` on a folder and gives its output and its summary.
fn replay(images: &Path, more: &[&str]) -> (tempfile::TempDir, Output, Value) {
    let work = tempfile::tempdir().expect("a folder");
    let config = project("config/replay.toml");
    let set = format!("managers.camera.config.path={}", images.display());
    let mut arguments = vec!["run", config.to_str().expect("a path"), "--run-dir", "run", "--set", &set];
    arguments.extend(more);
    let output = labrig(work.path(), &arguments);
    let summary = fs::read_to_string(work.path().join("run/summary.json")).unwrap_or_default();
    let summary = serde_json::from_str(&summary).unwrap_or(Value::Null);
    (work, output, summary)
}

/// How many particles each frame of `tracks.csv` has.
fn tracked(run: &Path) -> BTreeMap<u64, usize> {
    let text = fs::read_to_string(run.join("run/tracks.csv")).expect("a table");
    let mut frames = BTreeMap::new();
    for row in text.lines().skip(1) {
        assert_eq!(row.split(',').count(), 8, "{row}");
        let frame = row.split(',').next().and_then(|frame| frame.parse().ok()).expect("a number");
        *frames.entry(frame).or_default() += 1;
    }
    frames
}

#[test]
fn every_image_is_tracked_exactly_once_and_the_summary_proves_it() {
    let images = folder_of(40);
    let (work, output, summary) = replay(images.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let stream = &summary["streams"][0];
    assert_eq!((&stream["published"], &stream["refused"]), (&40.into(), &0.into()), "{summary:#}");
    let reader = &stream["readers"][0];
    assert_eq!((&reader["taken"], &reader["unread"]), (&40.into(), &0.into()), "{summary:#}");
    assert!(stdout(&output).contains("40 produced by camera, dropped 0"), "{}", stdout(&output));
    let frames = tracked(work.path());
    assert_eq!(frames.keys().copied().collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    assert!(frames.values().all(|particles| *particles == 20), "{frames:?}");
}

#[test]
fn an_image_that_is_cut_off_is_named_and_counted_and_the_rest_is_played() {
    let images = folder_of(10);
    truncate(&images.path().join("frame_4.png"));
    let (work, output, summary) = replay(images.path(), &[]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(tracked(work.path()).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    let loss = &summary["losses"][0];
    assert_eq!((&loss["what"], &loss["count"]), (&"unreadable image".into(), &1.into()), "{summary:#}");
    assert!(loss["first"].as_str().is_some_and(|first| first.contains("frame_4.png")), "{loss}");
    assert!(stdout(&output).contains("LOST at camera: 1 × unreadable image"), "{}", stdout(&output));
}

#[test]
fn by_the_other_policy_an_unreadable_image_is_the_last() {
    let images = folder_of(10);
    truncate(&images.path().join("frame_4.png"));
    let (work, output, _) = replay(images.path(), &["--set", "managers.camera.config.on_unreadable=stop"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(tracked(work.path()).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn frames_may_change_their_size() {
    let images = folder_of(3);
    write_png(&images.path().join("frame_1.png"), 100, 60, &beads(100, 60, 0.0));
    let (work, output, _) = replay(images.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let frames = tracked(work.path());
    assert_eq!(frames.values().copied().collect::<Vec<_>>(), [20, 6, 20]);
}

#[test]
fn a_frame_that_does_not_fit_its_stream_is_lost_by_name() {
    let images = folder_of(3);
    let (_work, output, summary) = replay(images.path(), &["--set", "streams.video.max_frame_bytes=4096"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(summary["losses"][0]["count"], 3, "{summary:#}");
    let first = summary["losses"][0]["first"].as_str().unwrap_or_default();
    assert!(first.contains("frame_0.png") && first.contains("4096"), "{first}");
}

#[test]
fn a_missing_folder_keeps_the_rig_from_starting_and_is_named() {
    let (_work, output, _) = replay(Path::new("/nowhere/frames"), &[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("`camera` could not be set up"), "{}", stderr(&output));
    assert!(stderr(&output).contains("/nowhere/frames"), "{}", stderr(&output));
}

#[test]
fn a_repeated_replay_goes_on_until_its_time_is_over() {
    let images = folder_of(3);
    let more = ["--set", "managers.camera.config.repeat=true", "--duration", "300ms"];
    let (work, output, summary) = replay(images.path(), &more);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let published = summary["streams"][0]["published"].as_u64().expect("a count");
    assert!(published > 6, "{published} frames");
    assert_eq!(tracked(work.path()).len() as u64, published);
}

#[test]
fn a_table_that_cannot_grow_keeps_its_whole_frames_and_the_rest_is_counted() {
    let images = folder_of(30);
    let work = tempfile::tempdir().expect("a folder");
    let script = work.path().join("limited");
    let program = crate::support::program();
    // 8 blocks of 512 bytes are soon full; an ignored SIGXFSZ lets the write fail as on a full disk.
    let text = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 8\nexec {}\n", program.display());
    fs::write(&script, text).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("it can be run");
    let more = ["--set", &format!("managers.tracker.program={}", script.display())];
    let (run, output, summary) = replay(images.path(), &more);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let frames = tracked(run.path());
    assert!(!frames.is_empty() && frames.values().all(|particles| *particles == 20), "{frames:?}");
    let lost = summary["losses"][0]["count"].as_u64().expect("a count");
    assert_eq!(frames.len() as u64 + lost, 30, "{summary:#}");
    assert_eq!(summary["streams"][0]["readers"][0]["taken"], 30);
}
