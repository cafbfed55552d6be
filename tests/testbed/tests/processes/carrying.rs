//! Arrays between processes: whole, in shared memory, and gone with their last holder.

use std::error::Error;
use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use crate::support::{PATIENCE, end_cleanly, eventually, fail_to_launch, figure, launch, pid_of};
use labrig::Rig;
use labrig::payload::{Array, CodecRegistry, Column, FrameCopy, Shared, Table};
use labrig::shm::{Frame, FrameFormat, FrameMeta, PixelType};
use labrig_testbed::carrier::*;
use labrig_testbed::filler::{Fill, ShowFrame};
use rustix::process::{Signal, kill_process};

const TWO: &str = "[managers.left]\nkind = \"carrier\"\n[managers.right]\nkind = \"carrier\"";
const MIB: usize = 1 << 20;

/// All tests here share what is kept of this process's buffers; so they run one by one.
static ALONE: Mutex<()> = Mutex::new(());

fn image(count: usize) -> Array<f32> {
    let values: Vec<f32> = (0..count).map(|at| at as f32).collect();
    Array::new([count], values).expect("it fits")
}

fn weigh(rig: &Rig, manager: &str) -> Weight {
    rig.scope().to(manager).request(Weigh {}).expect("accepted").wait(PATIENCE).expect("done")
}

#[test]
fn arrays_come_back_as_they_were_sent() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    let scope = rig.scope();
    for count in [0, 1, 4_000, 5_000, 100_000, 4 * MIB] {
        let sent = image(count);
        let carried = scope.to("left").request(Carry { load: sent.clone() }).expect("accepted");
        let came = carried.wait(PATIENCE).expect("done");
        assert_eq!(came.values().is_in_shared_memory(), count * 4 >= 16 * 1024);
        assert!(came == sent, "{count}");
        let passed = PassOn { whom: "right".into(), load: came };
        let came = scope.to("left").request(passed).expect("accepted").wait(PATIENCE).expect("done");
        assert!(came == sent, "{count} from manager to manager");
    }
    let turned = Array::new([300, 200], image(60_000).values().clone()).expect("it fits");
    let turned = turned.view().transposed().reversed(0).to_array();
    let carried = scope.to("right").request(Carry { load: turned.clone() }).expect("accepted");
    assert_eq!(carried.wait(PATIENCE).as_ref(), Ok(&turned));
    let built = scope.to("left").request(Build { count: 100_000 }).expect("accepted").wait(PATIENCE);
    assert!(built.expect("done").iter().copied().eq(0..100_000));
    end_cleanly(rig);
}

#[test]
fn every_carrier_of_a_broadcast_gets_the_buffer_and_gives_it_back() {
    let _alone = ALONE.lock();
    let rig = launch(&format!("{TWO}\n[managers.asker]\nkind = \"asker\""));
    let load: Shared<u8> = (0..MIB).map(|at| at as u8).collect();
    let report = rig.scope().broadcast(CarryAll { load: load.clone() }).expect("accepted");
    let report = report.wait(PATIENCE).expect("a report");
    assert_eq!(report.outcomes.len(), 2);
    for one in report.outcomes {
        assert_eq!(one.outcome.as_ref(), Ok(&load), "{}", one.manager);
    }
    let asked = rig.scope().request(AskAll { load }).expect("accepted");
    let told = asked.wait(PATIENCE).expect("done");
    assert_eq!(told, ["left: 1048576 bytes", "right: 1048576 bytes"]);
    end_cleanly(rig);
}

#[test]
fn the_items_of_a_stream_may_be_arrays() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    for (arrays, count) in [(100, 10_000), (1_000, 10), (3, 0)] {
        let rolled = rig.scope().to("left").request(Roll { arrays, count }).expect("accepted");
        let mut came = 0;
        for item in rolled.wait(PATIENCE).expect("opened") {
            assert!(item.expect("the stream is whole").iter().copied().eq(0..count));
            came += 1;
        }
        assert_eq!(came, arrays);
    }
    end_cleanly(rig);
}

#[test]
fn a_payload_of_any_codec_travels() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    let codecs = CodecRegistry::new();
    let payload = codecs.encode(&image(MIB)).expect("it can be written");
    let carried = rig.scope().to("left").request(CarryAny { load: payload }).expect("accepted");
    let came = carried.wait(PATIENCE).expect("done");
    assert_eq!(came.codec, "ndarray");
    assert!(codecs.decode::<Array<f32>>(&came).expect("it can be read") == image(MIB));
    end_cleanly(rig);
}

#[test]
fn a_table_of_a_hundred_columns_comes_back_as_it_was_sent() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    for (columns, rows) in [(100, 10_000), (1_000, 100), (3, 10)] {
        let column = |number: usize| {
            let values: Vec<f64> = (0..rows).map(|row| (number * rows + row) as f64).collect();
            Column::new(format!("column {number}"), "um", values)
        };
        let table = Table::new((0..columns).map(column).collect::<Vec<_>>()).expect("its columns fit");
        let begun = Instant::now();
        let carried = rig.scope().to("left").request(CarryTable { load: table.clone() }).expect("accepted");
        let came = carried.wait(PATIENCE).expect("done");
        figure(&format!("{columns} columns of {rows} rows, there and back"), begun.elapsed());
        assert!(came == table);
    }
    end_cleanly(rig);
}

/// A copy of a frame whose rows have gaps between them.
fn frame_copy(width: u32, height: u32) -> FrameCopy {
    let format = FrameFormat { width, height, stride_bytes: 2 * width + 6, pixel: PixelType::Gray16 };
    let meta = FrameMeta {
        sequence: 41,
        format,
        bytes: 0,
        exposure_us: 2.5,
        device_time_ns: 7,
        host_time_ns: 8,
        source_index: 9,
    };
    let bytes: Vec<u8> = (0..format.byte_len()).map(|at| (at % 251) as u8).collect();
    FrameCopy::of(&Frame::in_memory(meta, &bytes).expect("a frame")).expect("there is memory")
}

/// A small one travels among the bytes of its envelope, a large one in shared memory; both come back as they were sent.
fn check_luggage(rig: &Rig, width: u32, height: u32) {
    let (scope, is_large) = (rig.scope(), width * height * 2 >= 16 * 1024);
    let load = Luggage { array: image((width * height) as usize), image: frame_copy(width, height) };
    let at_home = scope.request(CarryHome { load: load.clone() }).expect("accepted").wait(PATIENCE);
    let sent = scope.to("left").request(SendHome { load: load.clone() }).expect("accepted").wait(PATIENCE);
    for came in [at_home.expect("done"), sent.expect("done")] {
        assert!(came == load && came.array.values().is_in_shared_memory() == is_large, "{width} × {height}");
    }
    let carried = scope.to("right").request(CarryImage { load: load.image.clone() }).expect("accepted");
    let came = carried.wait(PATIENCE).expect("done");
    assert!(came == load.image && (came.sequence(), came.exposure_us()) == (41, 2.5));
    assert_eq!(came.pixels_u16().map(|it| it.shape().to_vec()), Some(vec![height as usize, width as usize]));
}

#[test]
fn images_and_arrays_go_to_handlers_of_managers_and_of_the_coordinator_and_come_back() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    [(3, 2), (200, 100), (2048, 1024)]
        .into_iter()
        .for_each(|(width, height)| check_luggage(&rig, width, height));
    end_cleanly(rig);
}

#[test]
fn a_frame_of_a_stream_is_kept_by_its_reader_and_sent_on() {
    let _alone = ALONE.lock();
    let rig = launch(&format!(
        "{TWO}\n[managers.filler]\nkind = \"filler\"\n[managers.viewer]\nkind = \"viewer\"\n\
         [streams.video]\nproducer = \"filler\"\nslots = 4\nmax_frame_bytes = 4096\nreaders = {{ viewer = \"lossless\" }}"
    ));
    let scope = rig.scope();
    scope.request(Fill { frames: 5 }).expect("accepted").wait(PATIENCE).expect("done");
    let show = || scope.request(ShowFrame {}).expect("accepted").wait(PATIENCE).ok();
    eventually("the fifth frame", || show().is_some_and(|frame| frame.sequence() == 4));
    let shown = show().expect("it was there");
    let pixels = shown.pixels_u8().expect("of one byte each");
    assert_eq!((pixels.shape(), &pixels[..]), (&[4, 4][..], &[5; 16][..]));
    let carried = scope.to("left").request(CarryImage { load: shown.clone() }).expect("accepted");
    assert_eq!(carried.wait(PATIENCE).ok(), Some(shown));
    end_cleanly(rig);
}

/// How many of this process's descriptors are buffers, and how many bytes of them it has mapped.
fn own_buffers() -> (usize, u64) {
    const NAME: &str = "/memfd:labrig buffer";
    let links = fs::read_dir("/proc/self/fd").expect("the list of descriptors can be read");
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let descriptors = links.filter(|link| link.to_string_lossy().starts_with(NAME)).count();
    let maps = fs::read_to_string("/proc/self/maps").expect("the list of mappings can be read");
    let mapped = maps.lines().filter(|line| line.contains(NAME)).filter_map(|line| {
        let (begin, end) = line.split(' ').next()?.split_once('-')?;
        let at = |number| u64::from_str_radix(number, 16).ok();
        Some(at(end)? - at(begin)?)
    });
    (descriptors, mapped.sum())
}

fn send_many(rig: &Rig, times: u32) {
    let scope = rig.scope();
    (0..times).for_each(|_| {
        let load = Shared::<f32>::build(MIB / 4, |values| values[7] = 7.0).expect("memory");
        let load = Array::new([MIB / 4], load).expect("it fits");
        let carried = scope.to("left").request(Carry { load }).expect("accepted").wait(PATIENCE);
        assert_eq!(carried.expect("done")[7], 7.0);
    });
    let many = SendMany { whom: "right".into(), times, bytes: MIB as u64 };
    let many = scope.without_deadline().to("left").request(many).expect("accepted");
    many.wait(4 * PATIENCE).expect("done");
}

/// Says what it costs to have 16 MiB given back by another manager, beside copying as much.
fn compare_with_copies(rig: &Rig) {
    const TIMES: u32 = 100;
    let scope = rig.scope().without_deadline();
    let send = |times| {
        let many = SendMany { whom: "right".into(), times, bytes: 16 * MIB as u64 };
        scope.to("left").request(many).expect("accepted").wait(4 * PATIENCE).expect("done");
    };
    send(2);
    let begun = Instant::now();
    send(TIMES);
    figure("16 MiB there and back", begun.elapsed() / TIMES);
    let (from, mut to) = (vec![1_u8; 16 * MIB], vec![2_u8; 16 * MIB]);
    let begun = Instant::now();
    (0..TIMES).for_each(|_| to.copy_from_slice(std::hint::black_box(&from)));
    figure("16 MiB copied", begun.elapsed() / TIMES);
    drop(std::hint::black_box(to));
}

#[test]
fn ten_thousand_arrays_leave_descriptors_and_memory_where_they_were() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    let weigh = || (own_buffers(), weigh(&rig, "left"), weigh(&rig, "right"));
    send_many(&rig, 50);
    let before = weigh();
    let begun = Instant::now();
    send_many(&rig, 5_000);
    figure("10000 arrays of a MiB, there and back", begun.elapsed());
    let after = weigh();
    println!("figure: {before:?}, then {after:?}");
    assert!(after.0.0 <= before.0.0 + 4 && after.0.1 <= before.0.1 + 4 * MIB as u64);
    for (before, after) in [(before.1, after.1), (before.2, after.2)] {
        assert!(after.descriptors <= before.descriptors + 4, "{before:?}, then {after:?}");
        assert!(after.resident_kb <= before.resident_kb + 4 * 1024, "{before:?}, then {after:?}");
    }
    compare_with_copies(&rig);
    end_cleanly(rig);
}

#[test]
fn what_a_dead_manager_held_is_free() {
    let _alone = ALONE.lock();
    let rig = launch(TWO);
    let scope = rig.scope();
    let build = || Shared::<u8>::build(3 * MIB, |bytes| bytes.fill(1)).expect("memory");
    let load = build();
    let place = load.as_ptr();
    scope.to("left").send(Keep { load }).expect("accepted");
    let sum = scope.to("left").request(SumUp {}).expect("accepted").wait(PATIENCE);
    assert_eq!(sum.ok(), Some(3 * MIB as u64));
    let other = build();
    assert_ne!(other.as_ptr(), place, "a manager still holds it");
    kill_process(pid_of(&rig, "left"), Signal::KILL).expect("it lives");
    rig.shutdown();
    assert_eq!(build().as_ptr(), place, "nobody holds it any more");
    drop(other);
}

/// A start-up command whose array is given in a config.
fn given(load: &str) -> String {
    let startup = format!("startup = [{{ command = \"Carry\", args = {{ load = {load} }} }}]");
    format!("[managers.left]\nkind = \"carrier\"\n{startup}\n")
}

#[test]
fn arrays_are_given_by_their_fields_in_configs_and_on_the_command_line() {
    let _alone = ALONE.lock();
    for load in
        ["{ shape = [2, 2], data = [1, 2.5, 3, 4] }", "{ shape = [0], data = [], order = \"Fortran\" }"]
    {
        end_cleanly(launch(&given(load)));
    }
    for (load, part) in [
        ("{ shape = [2], data = [1, 2, 3] }", "does not have 3 values"),
        ("{ shape = [1], data = [\"x\"] }", "data"),
        ("{ data = [1] }", "shape"),
        ("{ shape = [1], data = [], buffer = { place = 0, offset = 0, count = 1 } }", "did not come with it"),
    ] {
        let error = fail_to_launch(&given(load));
        let causes = std::iter::successors(Some(&error as &dyn Error), |error| (*error).source());
        let told = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        assert!(told.contains(part), "{told}");
    }
}
