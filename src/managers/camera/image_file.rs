//! One opened image file of either format: a queue of pages that become frames.
//!
//! A PNG file has one page, a TIFF file at least one. A page is described before it is decoded,
//! so that the caller can find a buffer of the right size; decoding goes into that buffer.
//! A decoder that panics is caught here and never asked again, and the panic becomes an error:
//! tiff 0.11 multiplies counts out of the file, which panics in builds with overflow checks.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use super::grey::FrameShape;
use super::image_error::{ImageError, ImageOrigin};
use super::listing::{ImageFormat, ListedImage};
use super::png_file::PngFile;
use super::tiff_file::TiffFile;

/// An opened file, standing before or on one of its pages.
pub(super) struct ImageFile {
    pages: Pages,
    /// The page that is described and not yet decoded or skipped.
    waiting: Option<FrameShape>,
    /// The decoder has panicked; what it holds is not to be trusted.
    is_closed: bool,
}

enum Pages {
    Png { file: Box<PngFile>, is_taken: bool },
    Tiff(Box<TiffFile>),
}

impl ImageFile {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// Each variant of [`ImageError`] but `WrongBuffer`.
    pub(super) fn open(image: &ListedImage, limit_bytes: usize) -> Result<Self, ImageError> {
        let opened = panic::catch_unwind(|| Pages::open(image, limit_bytes));
        let origin = || ImageOrigin::file(&image.path);
        let pages = opened.unwrap_or_else(|payload| Err(panicked(origin(), payload.as_ref())))?;
        Ok(Self { pages, waiting: None, is_closed: false })
    }

    /// The page that waits to be decoded, or else the next one; `None` after the last page.
    ///
    /// # Errors
    /// Each variant of [`ImageError`] but `Unreadable` and `WrongBuffer`.
    pub(super) fn waiting_page(&mut self) -> Option<Result<FrameShape, ImageError>> {
        if self.waiting.is_none() && !self.is_closed {
            match self.contain(Pages::next) {
                Ok(page) => self.waiting = page,
                Err(fault) => return Some(Err(fault)),
            }
        }
        self.waiting.map(Ok)
    }

    pub(super) fn origin(&self) -> ImageOrigin {
        match &self.pages {
            Pages::Png { file, .. } => file.origin(),
            Pages::Tiff(file) => file.origin(),
        }
    }

    /// Gives up the waiting page.
    pub(super) fn skip_page(&mut self) {
        self.waiting = None;
    }

    /// Decodes the waiting page, which waits no longer, whatever comes of it.
    ///
    /// # Errors
    /// [`ImageError::DamagedPng`], [`ImageError::DamagedTiff`], [`ImageError::Unsupported`],
    /// [`ImageError::DecoderPanicked`]: the pixels cannot be read.
    pub(super) fn decode(&mut self, target: &mut [u8]) -> Result<(), ImageError> {
        self.waiting = None;
        self.contain(|pages| pages.decode(target))
    }

    fn contain<T>(
        &mut self,
        work: impl FnOnce(&mut Pages) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        // Nobody looks at what a panic left behind: `is_closed` sees to that.
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(&mut self.pages)));
        done.unwrap_or_else(|payload| {
            self.is_closed = true;
            Err(panicked(self.origin(), payload.as_ref()))
        })
    }
}

impl Pages {
    fn open(image: &ListedImage, limit_bytes: usize) -> Result<Self, ImageError> {
        Ok(match image.format {
            ImageFormat::Png => {
                let file = Box::new(PngFile::open(&image.path, limit_bytes)?);
                Self::Png { file, is_taken: false }
            }
            ImageFormat::Tiff => Self::Tiff(Box::new(TiffFile::open(&image.path, limit_bytes)?)),
        })
    }

    fn next(&mut self) -> Result<Option<FrameShape>, ImageError> {
        match self {
            Self::Png { is_taken: true, .. } => Ok(None),
            Self::Png { file, is_taken } => {
                *is_taken = true;
                Ok(Some(file.shape()))
            }
            Self::Tiff(file) => file.next_page(),
        }
    }

    fn decode(&mut self, target: &mut [u8]) -> Result<(), ImageError> {
        match self {
            Self::Png { file, .. } => file.decode(target),
            Self::Tiff(file) => file.decode(target),
        }
    }
}

fn panicked(origin: ImageOrigin, payload: &(dyn Any + Send)) -> ImageError {
    let as_text = payload.downcast_ref::<&str>().copied();
    let message = as_text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    ImageError::DecoderPanicked { origin, message: message.unwrap_or("no message").to_owned() }
}
