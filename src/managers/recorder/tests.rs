//! Files of a recorder: read back by others, cut short, filled up, rotated.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::csv_table::{CsvTable, Rows};
use super::ending::{EndMark, Missing};
use super::series::{Limits, Records, Series, Tally};
use super::tiff_stack::{Page, TiffStack};
use crate::prelude::*;
use crate::shm::FrameMeta;

const UNLIMITED: Limits = Limits { bytes: u64::MAX, age: None };

fn meta(sequence: u64, format: FrameFormat) -> FrameMeta {
    FrameMeta {
        sequence,
        format,
        bytes: format.byte_len(),
        exposure_us: 10.0,
        device_time_ns: 5,
        host_time_ns: 6,
        source_index: 7,
    }
}

fn page(sequence: u64, format: FrameFormat, bytes: &[u8]) -> Page {
    let mut page = Page::default();
    page.fill(&Frame::in_memory(meta(sequence, format), bytes).expect("a frame"));
    page
}

fn grey(sequence: u64) -> Page {
    page(sequence, FrameFormat::packed(3, 1, PixelType::Gray8), &[sequence as u8, 1, 2])
}

/// The first pixel of every page that can be reached.
fn pages_of(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(io::Cursor::new(bytes)).expect("a TIFF with a page");
    let mut found = Vec::new();
    loop {
        match decoder.read_image().expect("a whole page") {
            DecodingResult::U8(pixels) => found.push(pixels[0]),
            other => panic!("{other:?}"),
        }
        if !decoder.more_images() {
            return found;
        }
        decoder.next_image().expect("a next page");
    }
}

#[test]
fn pages_of_either_depth_are_read_back_without_the_padding_of_their_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("frames.tif");
    let mut stack = TiffStack::create(&path, &()).expect("created");
    let padded = FrameFormat { width: 3, height: 2, stride_bytes: 4, pixel: PixelType::Gray8 };
    stack.append(&page(0, padded, &[1, 2, 3, 0, 4, 5, 6, 0])).expect("appended");
    let wide: Vec<u8> = [1000u16, 2000].iter().flat_map(|pixel| pixel.to_ne_bytes()).collect();
    stack.append(&page(1, FrameFormat::packed(2, 1, PixelType::Gray16), &wide)).expect("appended");
    let mut decoder = Decoder::new(fs::File::open(&path).expect("there")).expect("a TIFF");
    let first = decoder.read_image().expect("a page");
    assert!(matches!(&first, DecodingResult::U8(pixels) if *pixels == [1, 2, 3, 4, 5, 6]), "{first:?}");
    let described = decoder.get_tag_ascii_string(Tag::ImageDescription).expect("it is described");
    let described: serde_json::Value = serde_json::from_str(&described).expect("JSON");
    assert_eq!(
        described,
        serde_json::json!({
            "sequence": 0, "source_index": 7, "host_time_ns": 6, "device_time_ns": 5, "exposure_us": 10.0,
        })
    );
    decoder.next_image().expect("another page");
    assert_eq!(decoder.dimensions().expect("its size"), (2, 1));
    let second = decoder.read_image().expect("a page");
    assert!(matches!(&second, DecodingResult::U16(pixels) if *pixels == [1000, 2000]), "{second:?}");
    assert!(!decoder.more_images());
}

#[test]
fn a_stack_that_is_cut_off_in_the_middle_of_a_page_is_read_up_to_the_page_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("frames.tif");
    let mut stack = TiffStack::create(&path, &()).expect("created");
    (0..3).for_each(|index| stack.append(&grey(index)).expect("appended"));
    let (whole, before) = (fs::read(&path).expect("read"), stack.bytes());
    stack.append(&grey(3)).expect("appended");
    let longer = fs::read(&path).expect("read");
    assert_eq!(pages_of(&longer), [0, 1, 2, 3]);
    // Whatever of the last page was written, without the link to it, which comes last.
    for end in usize::try_from(before).expect("small")..=longer.len() {
        let cut = [&whole[..], &longer[whole.len()..end]].concat();
        assert_eq!(pages_of(&cut), [0, 1, 2], "cut at {end}");
    }
}

/// A file that takes so many records, and says no to the next ones.
struct Narrow {
    room: u64,
}

impl Records for Narrow {
    type Record = ();
    type Heading = u64;
    const EXTENSION: &'static str = "narrow";

    fn create(path: &Path, room: &u64) -> io::Result<Self> {
        fs::write(path, "")?;
        Ok(Self { room: *room })
    }

    fn append(&mut self, (): &()) -> io::Result<()> {
        self.room = self.room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn bytes_of((): &()) -> u64 {
        1
    }
}

fn mark_of(file: &Path) -> EndMark {
    serde_json::from_slice(&fs::read(EndMark::path_of(file)).expect("a mark")).expect("a mark's JSON")
}

#[test]
fn a_file_that_is_large_enough_is_marked_as_complete_and_names_the_one_that_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = folder.path().join("frames");
    let limits = Limits { bytes: 450, age: None };
    let (mut series, mut tally) = (Series::<TiffStack>::new(prefix, (), limits), Tally::default());
    (0..5).for_each(|index| series.append(&grey(index), &mut tally).expect("appended"));
    series.end(&mut tally).expect("marked");
    let files =
        ["frames-0001.tif", "frames-0002.tif", "frames-0003.tif"].map(|name| folder.path().join(name));
    let pages = files.each_ref().map(|file| pages_of(&fs::read(file).expect("there")));
    assert_eq!(pages, [vec![0, 1], vec![2, 3], vec![4]]);
    assert_eq!((tally.files, tally.records), (3, 5));
    let first = mark_of(&files[0]);
    assert_eq!((first.complete, first.records), (true, 2));
    assert_eq!(first.continued_in.as_deref(), Some("frames-0002.tif"));
    assert_eq!(mark_of(&files[2]).continued_in, None);
}

#[test]
fn a_file_that_is_old_enough_is_followed_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { bytes: u64::MAX, age: Some(Duration::ZERO) };
    let mut series = Series::<TiffStack>::new(folder.path().join("frames"), (), limits);
    let mut tally = Tally::default();
    (0..3).for_each(|index| series.append(&grey(index), &mut tally).expect("appended"));
    assert_eq!(tally.files, 3);
}

#[test]
fn what_could_not_be_written_is_in_the_mark_of_the_file_that_lacks_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut series, mut tally) =
        (Series::<Narrow>::new(folder.path().join("few"), 2, UNLIMITED), Tally::default());
    tally.missing.overtaken = 4;
    for index in 0..3 {
        let appended = series.append(&(), &mut tally);
        assert_eq!(appended.is_ok(), index < 2);
        tally.missing.not_written += u64::from(index == 2);
    }
    tally.last_error = Some("no space".to_owned());
    series.end(&mut tally).expect("marked");
    let missing = Missing { overtaken: 4, queue_full: 0, not_written: 1 };
    let expected = EndMark {
        complete: false,
        records: 2,
        missing,
        last_error: Some("no space".to_owned()),
        continued_in: None,
    };
    assert_eq!(mark_of(&folder.path().join("few-0001.narrow")), expected);
}

#[test]
fn files_of_an_earlier_life_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("few-0001.narrow"), "earlier").expect("written");
    let mut series = Series::<Narrow>::new(folder.path().join("few"), 9, UNLIMITED);
    series.append(&(), &mut Tally::default()).expect("appended");
    assert_eq!(fs::read(folder.path().join("few-0001.narrow")).expect("there"), b"earlier");
    assert!(folder.path().join("few-0002.narrow").exists());
}

#[test]
fn cells_with_commas_and_quotes_are_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("table.csv");
    let mut table = CsvTable::create(&path, &vec!["a".to_owned(), "b [um]".to_owned()]).expect("created");
    table.append(&Rows::of(["1.5", "say \"no\", twice"])).expect("appended");
    table.append(&Rows::of(["", "-2"])).expect("appended");
    let text = fs::read_to_string(&path).expect("read");
    assert_eq!(text, "a,b [um]\n1.5,\"say \"\"no\"\", twice\"\n,-2\n");
}
