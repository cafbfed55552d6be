//! Why one image of a sequence gave no frame, and which image it was.
//!
//! Each error is about one image alone; the sequence goes on with the next one. Whether to skip
//! or to stop is the caller's policy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where an image comes from: a file and, in TIFF files, a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageOrigin {
    /// The image file.
    pub path: PathBuf,
    /// The page in a TIFF file, from 1; `None` for PNG.
    pub page: Option<u32>,
}

impl ImageOrigin {
    pub(super) fn file(path: &Path) -> Self {
        Self { path: path.to_path_buf(), page: None }
    }

    pub(super) fn page(path: &Path, page: u32) -> Self {
        Self { path: path.to_path_buf(), page: Some(page) }
    }
}

impl fmt::Display for ImageOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.path.display())?;
        self.page.map_or(Ok(()), |page| write!(out, ", page {page}"))
    }
}

/// Why an image gave no frame; the caller's buffer may be partly overwritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be opened, though it was there when the sequence was opened.
    #[error("cannot open image {origin}: {source}")]
    Unreadable {
        /// The image.
        origin: ImageOrigin,
        /// What the system answered.
        source: io::Error,
    },
    /// The file is not PNG, or is cut short or damaged.
    #[error("{origin} is not a complete PNG image: {source}")]
    DamagedPng {
        /// The image.
        origin: ImageOrigin,
        /// What the decoder met.
        source: png::DecodingError,
    },
    /// The page is not TIFF, or is cut short or damaged. After a damaged first page or a damaged
    /// list of pages the rest of the file is given up with it.
    #[error("{origin} is not a complete TIFF image: {source}")]
    DamagedTiff {
        /// The image.
        origin: ImageOrigin,
        /// What the decoder met.
        source: tiff::TiffError,
    },
    /// The decoder panicked, which damaged files can make it do; the file has been closed, and
    /// what was left of it is given up.
    #[error("the decoder panicked over {origin}: {message}")]
    DecoderPanicked {
        /// The image, or its file if no page was reached.
        origin: ImageOrigin,
        /// What the decoder said.
        message: String,
    },
    /// The image is sound, but its samples or its compression are not among those that are read.
    #[error(
        "{origin} holds {found}, expected 8- or 16-bit unsigned grey or interleaved RGB, \
         stored plain or with LZW, deflate or PackBits"
    )]
    Unsupported {
        /// The image.
        origin: ImageOrigin,
        /// What the file declares.
        found: String,
    },
    /// The header asks for more memory than allowed; nothing was allocated.
    #[error("{origin} takes {bytes} bytes to decode, expected at most {limit}")]
    TooLarge {
        /// The image.
        origin: ImageOrigin,
        /// What the frame, or decoding it, would take.
        bytes: u64,
        /// What was allowed.
        limit: u64,
    },
    /// The caller's buffer has not exactly the size of the frame.
    #[error("the buffer for {origin} has {actual} bytes, expected {expected}")]
    WrongBuffer {
        /// The image.
        origin: ImageOrigin,
        /// Bytes in the buffer.
        actual: u64,
        /// Bytes in the frame.
        expected: u64,
    },
}

impl ImageError {
    /// The image that gave no frame.
    pub fn origin(&self) -> &ImageOrigin {
        match self {
            Self::Unreadable { origin, .. }
            | Self::DamagedPng { origin, .. }
            | Self::DamagedTiff { origin, .. }
            | Self::DecoderPanicked { origin, .. }
            | Self::Unsupported { origin, .. }
            | Self::TooLarge { origin, .. }
            | Self::WrongBuffer { origin, .. } => origin,
        }
    }

    pub(super) fn from_tiff(origin: ImageOrigin, source: tiff::TiffError) -> Self {
        match source {
            tiff::TiffError::UnsupportedError(what) => Self::Unsupported { origin, found: what.to_string() },
            source => Self::DamagedTiff { origin, source },
        }
    }
}
