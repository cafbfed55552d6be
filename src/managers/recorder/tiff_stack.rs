//! A multi-page TIFF that can be read after each page, whatever happens in the middle of the next one.
//!
//! A page is appended behind everything else, and becomes part of the file by the last four bytes that are written of it: the
//! link from the page before. (The `tiff` crate writes a page's directory even when its pixels could not be written, and
//! cannot go on with a file that was cut back.) Each page is one strip, uncompressed; the description of a page is JSON with
//! what is known of its frame. Format: TIFF 6.0 (Adobe, 1992), in the byte order of the machine.

use std::io;
use std::path::Path;

use serde_json::json;

use super::super::whole_file::WholeFile;
use super::series::Records;
use crate::prelude::*;
use crate::shm::FrameMeta;

/// Offsets in the file have 32 bits.
pub(super) const MOST_BYTES: u64 = 4_000_000_000;
/// Where the header points to the first page.
const FIRST_LINK: u64 = 4;
/// So many fields has a page's directory.
const FIELDS: u16 = 11;

const SHORT: u16 = 3;
const LONG: u16 = 4;
const ASCII: u16 = 2;

/// A frame on its way into a file: rows without padding.
#[derive(Debug, Default)]
pub(super) struct Page {
    meta: Option<FrameMeta>,
    pixels: Vec<u8>,
}

impl Page {
    /// Copies a frame.
    pub(super) fn fill(&mut self, frame: &Frame<'_>) {
        let format = frame.meta().format;
        self.meta = Some(*frame.meta());
        self.pixels.clear();
        let rows = frame.bytes().chunks(format.stride_bytes as usize).take(format.height as usize);
        rows.for_each(|row| self.pixels.extend_from_slice(&row[..format.row_bytes() as usize]));
    }

    fn description(meta: &FrameMeta) -> Vec<u8> {
        let told = json!({
            "sequence": meta.sequence,
            "source_index": meta.source_index,
            "host_time_ns": meta.host_time_ns,
            "device_time_ns": meta.device_time_ns,
            "exposure_us": meta.exposure_us,
        });
        let mut text = told.to_string().into_bytes();
        text.push(0);
        text.resize(text.len().next_multiple_of(2), 0);
        text
    }
}

/// See the module's words.
#[derive(Debug)]
pub(super) struct TiffStack {
    file: WholeFile,
    /// Where the next page's offset is to be written.
    link: u64,
}

impl Records for TiffStack {
    type Record = Page;
    type Heading = ();
    const EXTENSION: &'static str = "tif";

    fn create(path: &Path, (): &()) -> io::Result<Self> {
        let order = if cfg!(target_endian = "little") { b"II" } else { b"MM" };
        let heading = [&order[..], &42u16.to_ne_bytes(), &0u32.to_ne_bytes()].concat();
        Ok(Self { file: WholeFile::create(path, &heading)?, link: FIRST_LINK })
    }

    fn append(&mut self, page: &Page) -> io::Result<()> {
        let Some(meta) = &page.meta else { return Ok(()) };
        let begin = self.file.bytes();
        let pad: &[u8] = if page.pixels.len().is_multiple_of(2) { &[] } else { &[0] };
        let description = Page::description(meta);
        let described_at = begin + (page.pixels.len() + pad.len()) as u64;
        let directory_at = described_at + description.len() as u64;
        let places = [begin, described_at, directory_at].map(|place| u32::try_from(place).ok());
        let [Some(pixels_at), Some(described_at), Some(directory_at)] = places else {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a TIFF file cannot be longer than 4 GiB",
            ));
        };
        let directory =
            directory(&meta.format, (pixels_at, page.pixels.len()), (described_at, description.len()));
        self.file.append(&[&page.pixels, pad, &description, &directory])?;
        if let Err(error) = self.file.patch(&directory_at.to_ne_bytes(), self.link) {
            return Err(self.file.take_back(begin, error));
        }
        self.link = self.file.bytes() - 4;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn bytes_of(page: &Page) -> u64 {
        page.pixels.len() as u64
    }
}

/// The directory of a page, without a next one. The offset and count of its pixels and its description are in bytes.
fn directory(
    format: &FrameFormat,
    (pixels_at, pixel_bytes): (u32, usize),
    (described_at, described): (u32, usize),
) -> Vec<u8> {
    let bits = format.pixel.bytes() * 8;
    let fields: [(u16, u16, usize, u32); FIELDS as usize] = [
        (256, LONG, 1, format.width),
        (257, LONG, 1, format.height),
        (258, SHORT, 1, bits),
        (259, SHORT, 1, 1), // not compressed
        (262, SHORT, 1, 1), // 0 is black
        (270, ASCII, described, described_at),
        (273, LONG, 1, pixels_at),
        (277, SHORT, 1, 1),            // one sample per pixel
        (278, LONG, 1, format.height), // all rows in one strip
        (279, LONG, 1, pixel_bytes as u32),
        (339, SHORT, 1, 1), // unsigned
    ];
    let mut bytes = FIELDS.to_ne_bytes().to_vec();
    for (tag, kind, count, value) in fields {
        bytes.extend(tag.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((count as u32).to_ne_bytes());
        match kind {
            // Left-justified in its four bytes.
            SHORT => bytes.extend([(value as u16).to_ne_bytes(), [0; 2]].concat()),
            _ => bytes.extend(value.to_ne_bytes()),
        }
    }
    bytes.extend(0u32.to_ne_bytes());
    bytes
}
