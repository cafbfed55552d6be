//! `labrig.recorder` beside real producers: complete files, files cut short by a kill or a full disk, and what they say.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use labrig::managers::recorder::{EndMark, Recorded, SetRecording, WhatIsRecorded};
use labrig::{Rig, Scope};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tiff::decoder::{Decoder, DecodingResult};

use crate::pictures::{beads, folder_of};
use crate::support::{PATIENCE, end_cleanly, labrig, launch, program, stderr};

/// A rig that plays a folder of pictures to a recorder that misses none.
fn replay_into_recorder(images: &Path, recorder: &str) -> String {
    format!(
        "schema = 1\n[rig]\nname = \"recording\"\n\
         [managers.camera]\nkind = \"camera.replay\"\n[managers.camera.config]\npath = \"{}\"\n\
         [managers.recorder]\nkind = \"labrig.recorder\"\ninputs = {{ video = \"video\" }}\n\
         [managers.recorder.config]\nwhen_full = \"wait\"\n{recorder}\n\
         [streams.video]\nproducer = \"camera\"\nslots = 8\nmax_frame_bytes = 65536\n\
         readers = {{ recorder = \"lossless\" }}\n",
        images.display()
    )
}

fn write_config(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("rig.toml");
    fs::write(&path, text).expect("the folder can be written");
    path
}

fn mark_of(file: &Path) -> EndMark {
    serde_json::from_slice(&fs::read(EndMark::path_of(file)).expect("a mark")).expect("a mark's JSON")
}

/// Every page of a stack with its description.
fn pages_of(file: &Path) -> Vec<(Value, Vec<u8>)> {
    let mut decoder = Decoder::new(File::open(file).expect("a file")).expect("a TIFF with a page");
    let mut pages = Vec::new();
    loop {
        let described = decoder.get_tag_ascii_string(tiff::tags::Tag::ImageDescription).expect("described");
        match decoder.read_image().expect("a whole page") {
            DecodingResult::U8(pixels) => {
                pages.push((serde_json::from_str(&described).expect("JSON"), pixels));
            }
            other => panic!("{other:?}"),
        }
        if !decoder.more_images() {
            return pages;
        }
        decoder.next_image().expect("a next page");
    }
}

#[test]
fn every_frame_of_a_lossless_stream_is_in_a_file_that_is_marked_as_complete() {
    let (images, work) = (folder_of(40), tempfile::tempdir().expect("a folder"));
    let config = write_config(work.path(), &replay_into_recorder(images.path(), ""));
    let output = labrig(work.path(), &["run", config.to_str().expect("a path"), "--run-dir", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let file = work.path().join("run/frames-0001.tif");
    let mark = mark_of(&file);
    assert!(mark.complete && mark.records == 40 && mark.continued_in.is_none(), "{mark:?}");
    let pages = pages_of(&file);
    assert_eq!(pages.len(), 40);
    for (index, (described, pixels)) in pages.iter().enumerate() {
        assert_eq!(described["sequence"], index);
        assert!(*pixels == beads(160, 120, described["source_index"].as_f64().expect("a number") * 0.1));
    }
}

#[test]
fn frames_for_which_the_queue_has_no_room_are_counted_and_the_file_is_not_called_complete() {
    let (images, work) = (folder_of(40), tempfile::tempdir().expect("a folder"));
    let text = replay_into_recorder(images.path(), "queue_frames = 1");
    let config = write_config(work.path(), &text.replace("when_full = \"wait\"", "when_full = \"drop\""));
    let output = labrig(work.path(), &["run", config.to_str().expect("a path"), "--run-dir", "run"]);
    let file = work.path().join("run/frames-0001.tif");
    let (pages, mark) = (pages_of(&file), mark_of(&file));
    assert_eq!(mark.records + mark.missing.queue_full, 40, "{mark:?}");
    assert_eq!((mark.missing.overtaken, mark.missing.not_written), (0, 0), "{mark:?}");
    assert_eq!(pages.len() as u64, mark.records);
    let is_complete = mark.records == 40;
    assert_eq!(mark.complete, is_complete);
    assert_eq!(output.status.code(), Some(if is_complete { 0 } else { 4 }), "{}", stderr(&output));
}

#[test]
fn every_row_that_the_tracker_shares_is_in_a_table_that_is_marked_as_complete() {
    let (images, work) = (folder_of(10), tempfile::tempdir().expect("a folder"));
    let text = replay_into_recorder(images.path(), "rows = [\"tracker.tracks\"]")
        .replace("readers = { ", "readers = { tracker = \"lossless\", ")
        .replace(
            "kind = \"labrig.recorder\"",
            "kind = \"labrig.recorder\"\nafter = [\"tracker\"]\noutlives = [\"tracker\"]",
        );
    let tracker = "[managers.tracker]\nkind = \"tracker\"\ninputs = { video = \"video\" }\n";
    let config = write_config(work.path(), &format!("{text}{tracker}"));
    let output = labrig(work.path(), &["run", config.to_str().expect("a path"), "--run-dir", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let file = work.path().join("run/tracker.tracks-0001.csv");
    let table = fs::read_to_string(&file).expect("a table");
    let mark = mark_of(&file);
    let found = fs::read_to_string(work.path().join("run/tracks.csv")).expect("the tracker's own table");
    assert_eq!(table.lines().count(), found.lines().count(), "a row for each particle, and a heading");
    assert_eq!((mark.complete, mark.records), (true, table.lines().count() as u64 - 1));
    assert!(table.starts_with("generation,row,host_time_ns,frame,"), "{}", &table[..100]);
    let second = table.lines().nth(2).expect("a second row");
    assert!(second.starts_with("1,2,"), "{second}");
}

/// A program that plays managers on a disk where no file gets longer than that many blocks of 512 bytes.
fn program_on_full_disk(folder: &Path, blocks: u32) -> PathBuf {
    let path = folder.join("full_disk.sh");
    let script =
        format!("#!/bin/sh\nulimit -f {blocks}\ntrap '' XFSZ\nexec '{}' \"$@\"\n", program().display());
    fs::write(&path, script).expect("the folder can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be executed");
    path
}

#[test]
fn on_a_full_disk_whole_pages_stay_and_the_mark_says_how_many_are_missing() {
    let (images, work) = (folder_of(40), tempfile::tempdir().expect("a folder"));
    let program = program_on_full_disk(work.path(), 512);
    let own = format!("kind = \"labrig.recorder\"\nprogram = \"{}\"", program.display());
    let text = replay_into_recorder(images.path(), "").replace("kind = \"labrig.recorder\"", &own);
    let config = write_config(work.path(), &text);
    let output = labrig(work.path(), &["run", config.to_str().expect("a path"), "--run-dir", "run"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let file = work.path().join("run/frames-0001.tif");
    let (pages, mark) = (pages_of(&file), mark_of(&file));
    assert!((5..20).contains(&pages.len()), "{}", pages.len());
    assert!(!mark.complete && mark.records == pages.len() as u64, "{mark:?}");
    assert_eq!(mark.records + mark.missing.not_written, 40);
    assert!(mark.last_error.is_some_and(|error| error.contains("too large")));
    let summary = fs::read(work.path().join("run/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    let lost = &summary["losses"][0];
    assert_eq!(lost["what"], "frames not written", "{summary:#}");
    assert_eq!(lost["count"], mark.missing.not_written, "{summary:#}");
}

/// A simulated camera, a motor, and a recorder of both.
fn launch_microscope(recorder: &str) -> Rig {
    launch(&format!(
        "[managers.camera]\nkind = \"camera.sim\"\n[managers.camera.config]\nrate_hz = 200.0\nwidth_px = 64\nheight_px = 64\n\
         [managers.motor]\nkind = \"motor.sim\"\n\
         [managers.recorder]\nkind = \"labrig.recorder\"\nafter = [\"motor\"]\ninputs = {{ video = \"video\" }}\n\
         restart_delay_ms = 0\n[managers.recorder.config]\n\
         signals = [\"motor.height_um\", \"camera.frames_taken\"]\nsignal_period_ms = 5\n{recorder}\n\
         [streams.video]\nproducer = \"camera\"\nslots = 8\nmax_frame_bytes = 65536\n\
         readers = {{ recorder = \"lossless\" }}\n"
    ))
}

fn recorded(scope: &Scope) -> Option<Recorded> {
    scope.to("recorder").request(WhatIsRecorded {}).ok()?.wait(PATIENCE).ok()
}

/// Asks until it is as wanted.
fn until_recorded(scope: &Scope, is_as_wanted: impl Fn(&Recorded) -> bool) -> Recorded {
    let end = Instant::now() + PATIENCE;
    loop {
        match recorded(scope) {
            Some(recorded) if is_as_wanted(&recorded) => return recorded,
            recorded => assert!(Instant::now() < end, "{recorded:?}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn recording_is_ended_and_begun_again_by_a_command_and_each_file_is_marked() {
    let rig = launch_microscope("");
    let scope = rig.scope();
    until_recorded(&scope, |recorded| recorded.frames >= 10 && recorded.signal_rows >= 3);
    let set = |on| scope.request(SetRecording { on }).expect("accepted").wait(PATIENCE).expect("done");
    let off = set(false);
    assert!(!off.is_on && off.missing.total() == 0, "{off:?}");
    assert_eq!(recorded(&scope).expect("an answer").frames, off.frames);
    assert!(set(true).is_on);
    until_recorded(&scope, |recorded| recorded.frames > off.frames);
    let folder = rig.run_dir().to_owned();
    let kept = tempfile::tempdir().expect("a folder");
    let keep = |name: &str| {
        let to = kept.path().join(name);
        fs::copy(folder.join(name), &to).map(|_| to).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    set(false);
    for name in ["frames-0001.tif", "frames-0002.tif", "signals-0001.csv", "signals-0002.csv"] {
        keep(&format!("{name}.end.json"));
        assert!(mark_of(&keep(name)).complete, "{name}");
    }
    let table = fs::read_to_string(kept.path().join("signals-0001.csv")).expect("a table");
    let mut lines = table.lines();
    let heading = lines.next().expect("a heading");
    assert_eq!(heading, "unix_time_s,host_time_ns,motor.height_um [um],camera.frames_taken");
    let cells: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(cells.len() as u64, mark_of(&kept.path().join("signals-0001.csv")).records);
    assert!(cells.iter().all(|row| row.len() == 4 && row[2].parse::<f64>().is_ok()), "{table}");
    end_cleanly(rig);
}

#[test]
fn a_recorder_that_is_killed_leaves_whole_pages_and_its_next_life_begins_a_new_file() {
    let rig = launch_microscope("");
    let scope = rig.scope();
    let before = until_recorded(&scope, |recorded| recorded.frames >= 10).frames;
    let status = rig.status().expect("the rig runs");
    let pid = status.managers.iter().find(|one| one.name == "recorder").map(|one| one.pid);
    let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("it runs");
    kill_process(pid, Signal::KILL).expect("killed");
    until_recorded(&scope, |recorded| recorded.frame_files == 1 && (1..before).contains(&recorded.frames));
    let folder = rig.run_dir();
    let first = folder.join("frames-0001.tif");
    let pages = pages_of(&first);
    assert!(pages.len() as u64 >= before, "{} pages of {before}", pages.len());
    let whole = |(index, (described, pixels)): (usize, &(Value, Vec<u8>))| {
        described["sequence"] == index && pixels.len() == 64 * 64
    };
    assert!(pages.iter().enumerate().all(whole));
    assert!(!EndMark::path_of(&first).exists(), "nobody lived to say that it is complete");
    assert!(folder.join("frames-0002.tif").exists());
    let summary = rig.shutdown();
    assert_eq!(summary.managers.iter().find(|one| one.name == "recorder").map(|one| one.generation), Some(2));
}

#[test]
fn a_signal_that_there_is_not_ends_the_start_with_those_that_there_are() {
    let work = tempfile::tempdir().expect("a folder");
    let text = "schema = 1\n[rig]\nname = \"recording\"\n[managers.motor]\nkind = \"motor.sim\"\n\
                [managers.recorder]\nkind = \"labrig.recorder\"\nafter = [\"motor\"]\ninputs = { video = \"\" }\n\
                [managers.recorder.config]\nsignals = [\"motor.hieght_um\"]\n";
    let config = write_config(work.path(), text);
    let output = labrig(work.path(), &["run", config.to_str().expect("a path"), "--run-dir", "run"]);
    assert_ne!(output.status.code(), Some(0));
    let said = stderr(&output);
    assert!(
        said.contains("no signal is called `motor.hieght_um`") && said.contains("motor.height_um"),
        "{said}"
    );
}
