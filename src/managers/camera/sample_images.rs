//! Images that the tests write: PNG and TIFF files in a folder that vanishes with its owner.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tiff::encoder::{Compression, TiffEncoder, colortype};

/// A new folder below the system's temporary one, removed on drop.
pub(super) struct SampleFolder {
    path: PathBuf,
}

impl SampleFolder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("labrig-sample-images-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).expect("the temporary folder is writable");
        path
    }
}

impl Drop for SampleFolder {
    fn drop(&mut self) {
        if let Err(fault) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays behind: {fault}", self.path.display());
        }
    }
}

/// What the PNG encoder is told about an image.
pub(super) struct PngSample<'a> {
    pub(super) size: (u32, u32),
    pub(super) color: png::ColorType,
    pub(super) depth: png::BitDepth,
    pub(super) palette: Option<&'a [u8]>,
    pub(super) transparent: Option<&'a [u8]>,
}

impl Default for PngSample<'_> {
    fn default() -> Self {
        Self {
            size: (1, 1),
            color: png::ColorType::Grayscale,
            depth: png::BitDepth::Eight,
            palette: None,
            transparent: None,
        }
    }
}

impl PngSample<'_> {
    pub(super) fn encode(self, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.size.0, self.size.1);
        encoder.set_color(self.color);
        encoder.set_depth(self.depth);
        if let Some(palette) = self.palette {
            encoder.set_palette(palette);
        }
        if let Some(transparent) = self.transparent {
            encoder.set_trns(transparent);
        }
        let mut writer = encoder.write_header().expect("the sample has a valid header");
        writer.write_image_data(data).expect("the sample has as much data as it claims");
        writer.finish().expect("a vector takes everything");
        file
    }
}

/// A PNG file in the seven passes of Adam7, stored without compression.
///
/// `color` is the type in the header: 0 for grey, 2 for RGB; `data` has whole bytes a sample.
pub(super) fn interlaced_png(size: (u32, u32), bits: u8, color: u8, data: &[u8]) -> Vec<u8> {
    const PASSES: [(usize, usize, usize, usize); 7] =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let (width, height) = (size.0 as usize, size.1 as usize);
    let pixel_bytes = data.len() / (width * height);
    let mut rows = Vec::new();
    for (left, top, right, down) in PASSES {
        for y in (top..height).step_by(down).filter(|_| left < width) {
            rows.push(0); // The row is not filtered.
            for x in (left..width).step_by(right) {
                rows.extend_from_slice(&data[(y * width + x) * pixel_bytes..][..pixel_bytes]);
            }
        }
    }
    let header = [&size.0.to_be_bytes()[..], &size.1.to_be_bytes(), &[bits, color, 0, 0, 1]];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(png_chunk(b"IHDR", &header.concat()));
    file.extend(png_chunk(b"IDAT", &stored_zlib(&rows)));
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// A PNG chunk with its length and checksum.
pub(super) fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let checked = [kind, content].concat();
    let checksum = !checked.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    });
    let length = (content.len() as u32).to_be_bytes();
    [&length[..], &checked, &checksum.to_be_bytes()].concat()
}

/// A zlib stream of one block that is not compressed; takes less than 64 KiB.
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("the sample is small");
    let (low, high) = data.iter().fold((1, 0), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    let (length, inverse) = (length.to_le_bytes(), (!length).to_le_bytes());
    let checksum = (high << 16 | low).to_be_bytes();
    [&[0x78, 0x01, 0x01][..], &length, &inverse, data, &checksum].concat()
}

/// A grey 8-bit PNG file.
pub(super) fn grey_png(size: (u32, u32), data: &[u8]) -> Vec<u8> {
    PngSample { size, ..PngSample::default() }.encode(data)
}

/// A grey 8-bit TIFF file with a page for each of `pages`.
pub(super) fn grey_tiff(size: (u32, u32), pages: &[&[u8]], compression: Compression) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder =
        TiffEncoder::new(&mut file).expect("a vector takes everything").with_compression(compression);
    for page in pages {
        encoder
            .write_image::<colortype::Gray8>(size.0, size.1, page)
            .expect("the sample has as much data as it claims");
    }
    file.into_inner()
}

/// A TIFF file of one page in any layout, uncompressed, made field by field.
pub(super) struct TiffSample<'a> {
    pub(super) size: (u32, u32),
    pub(super) is_big_endian: bool,
    pub(super) photometric: u16,
    pub(super) bits: u16,
    pub(super) samples: u16,
    /// 1 for unsigned, 2 for signed, 3 for float.
    pub(super) format: u16,
    /// 1 for interleaved, 2 for a plane a sample.
    pub(super) planar: u16,
    /// Width and height of tiles; `None` stores strips.
    pub(super) tile: Option<(u32, u32)>,
    pub(super) rows_per_strip: u16,
    /// The content of each strip or tile.
    pub(super) chunks: &'a [&'a [u8]],
}

impl Default for TiffSample<'_> {
    fn default() -> Self {
        Self {
            size: (1, 1),
            is_big_endian: false,
            photometric: 1,
            bits: 8,
            samples: 1,
            format: 1,
            planar: 1,
            tile: None,
            rows_per_strip: u16::MAX,
            chunks: &[],
        }
    }
}

impl TiffSample<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut file = if self.is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        file.extend(self.short(42));
        file.extend(self.long(0));
        let mut places = Vec::new();
        for chunk in self.chunks {
            places.push((file.len() as u32, chunk.len() as u32));
            file.extend_from_slice(chunk);
        }
        let offsets = self.list(&mut file, places.iter().map(|place| place.0));
        let lengths = self.list(&mut file, places.iter().map(|place| place.1));
        let directory = file.len() as u32;
        let entries = self.entries(offsets, lengths);
        file.extend(self.short(entries.len() as u16));
        file.extend(entries.concat());
        file.extend(self.long(0));
        file[4..8].copy_from_slice(&self.long(directory));
        file
    }

    fn entries(&self, offsets: u32, lengths: u32) -> Vec<Vec<u8>> {
        let count = self.chunks.len() as u32;
        let mut entries = vec![
            self.entry(256, 4, 1, self.long(self.size.0)),
            self.entry(257, 4, 1, self.long(self.size.1)),
            self.small(258, self.bits),
            self.small(259, 1),
            self.small(262, self.photometric),
            self.small(277, self.samples),
            self.small(284, self.planar),
            self.small(339, self.format),
        ];
        match self.tile {
            Some((width, height)) => entries.extend([
                self.entry(322, 4, 1, self.long(width)),
                self.entry(323, 4, 1, self.long(height)),
                self.entry(324, 4, count, self.long(offsets)),
                self.entry(325, 4, count, self.long(lengths)),
            ]),
            None => entries.extend([
                self.entry(273, 4, count, self.long(offsets)),
                self.small(278, self.rows_per_strip),
                self.entry(279, 4, count, self.long(lengths)),
            ]),
        }
        entries
    }

    /// Writes a list and says where, or gives its only element: that is how TIFF stores both.
    fn list(&self, file: &mut Vec<u8>, values: impl ExactSizeIterator<Item = u32>) -> u32 {
        let (place, count) = (file.len() as u32, values.len());
        let mut last = 0;
        for value in values {
            file.extend(self.long(value));
            last = value;
        }
        if count == 1 { last } else { place }
    }

    fn small(&self, tag: u16, value: u16) -> Vec<u8> {
        let mut padded = [0; 4];
        padded[..2].copy_from_slice(&self.short(value));
        self.entry(tag, 3, 1, padded)
    }

    fn entry(&self, tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let head = [self.short(tag), self.short(kind)].concat();
        [head, self.long(count).to_vec(), value.to_vec()].concat()
    }

    fn short(&self, value: u16) -> [u8; 2] {
        if self.is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn long(&self, value: u32) -> [u8; 4] {
        if self.is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}
