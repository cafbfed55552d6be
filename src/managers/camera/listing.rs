//! Which files a sequence consists of, and in which order.
//!
//! A source is one PNG or TIFF file, or a folder of them. A folder is read once, not below its
//! first level; other files, hidden files and folders are ignored. Numbers in names count as
//! numbers: `frame_2` comes before `frame_10`. No file is opened here.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a source of images could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// Nothing is there.
    #[error("no images at {}, expected a folder or a PNG or TIFF file", path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// Something is there, but it cannot be looked at.
    #[error("cannot list the images at {}: {source}", path.display())]
    Unreadable {
        /// What was asked for.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The folder holds no image.
    #[error("folder {} holds no image, expected names that end in .png, .tif or .tiff", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// The file is no image by its name, or no regular file.
    #[error("{} is not an image file, expected a name that ends in .png, .tif or .tiff", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
}

/// The image formats that are read, told apart by the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageFormat {
    Png,
    Tiff,
}

impl ImageFormat {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_ascii_lowercase();
        match extension.as_encoded_bytes() {
            b"png" => Some(Self::Png),
            b"tif" | b"tiff" => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// An image file of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedImage {
    pub(super) path: PathBuf,
    pub(super) format: ImageFormat,
}

/// Lists the image files of a source in the order in which they are replayed.
///
/// # Errors
/// Each variant of [`SequenceError`].
pub(super) fn list_images(path: &Path) -> Result<Vec<ListedImage>, SequenceError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SequenceError::Missing { path: path.to_path_buf() },
        _ => SequenceError::Unreadable { path: path.to_path_buf(), source },
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return list_folder(path);
    }
    match ImageFormat::of(path) {
        Some(format) if metadata.is_file() => Ok(vec![ListedImage { path: path.to_path_buf(), format }]),
        _ => Err(SequenceError::NotAnImage { path: path.to_path_buf() }),
    }
}

fn list_folder(folder: &Path) -> Result<Vec<ListedImage>, SequenceError> {
    let unreadable = |source| SequenceError::Unreadable { path: folder.to_path_buf(), source };
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        images.extend(listed_image(entry.map_err(unreadable)?.path()));
    }
    if images.is_empty() {
        return Err(SequenceError::NoImages { path: folder.to_path_buf() });
    }
    images.sort_by(|left, right| natural_order(name_of(&left.path), name_of(&right.path)));
    Ok(images)
}

fn listed_image(path: PathBuf) -> Option<ListedImage> {
    let format = ImageFormat::of(&path)?;
    let is_hidden = name_of(&path).first() == Some(&b'.');
    // A dangling link stays in the list: its absence is worth an error when its turn comes. A
    // pipe or device does not: opening it could block for ever.
    let is_something_else = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
    (!is_hidden && !is_something_else).then_some(ListedImage { path, format })
}

fn name_of(path: &Path) -> &[u8] {
    path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default()
}

/// Compares names byte by byte, runs of digits by their value; equal names compare equal only.
fn natural_order(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left_rest, mut right_rest) = (left, right);
    while let (Some(&left_byte), Some(&right_byte)) = (left_rest.first(), right_rest.first()) {
        let order = if left_byte.is_ascii_digit() && right_byte.is_ascii_digit() {
            compare_numbers(take_digits(&mut left_rest), take_digits(&mut right_rest))
        } else {
            left_rest = &left_rest[1..];
            right_rest = &right_rest[1..];
            left_byte.cmp(&right_byte)
        };
        if order.is_ne() {
            return order;
        }
    }
    left_rest.len().cmp(&right_rest.len()).then_with(|| left.cmp(right))
}

fn take_digits<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(count);
    *rest = after;
    digits
}

fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let (left, right) = (without_leading_zeros(left), without_leading_zeros(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_order(names: &[&str]) {
        for pair in names.windows(2) {
            let (first, second) = (pair[0].as_bytes(), pair[1].as_bytes());
            assert_eq!(natural_order(first, second), Ordering::Less, "{pair:?}");
            assert_eq!(natural_order(second, first), Ordering::Greater, "{pair:?}");
            assert_eq!(natural_order(first, first), Ordering::Equal, "{pair:?}");
        }
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        check_order(&["frame_2.png", "frame_10.png", "frame_100.png", "frames.png"]);
        check_order(&["a1b9.tif", "a1b10.tif", "a2b1.tif"]);
        check_order(&["7.png", "18446744073709551617.png", "18446744073709551618.png"]);
    }

    #[test]
    fn names_that_differ_only_in_leading_zeros_still_have_an_order() {
        check_order(&["f001.png", "f01.png", "f1.png", "f002.png"]);
        check_order(&["", "a", "a0", "a1"]);
    }

    #[test]
    fn the_extension_decides_in_any_case() {
        assert_eq!(ImageFormat::of(Path::new("a.PNG")), Some(ImageFormat::Png));
        assert_eq!(ImageFormat::of(Path::new("a.TiFf")), Some(ImageFormat::Tiff));
        assert_eq!(ImageFormat::of(Path::new("png")), None);
        assert_eq!(ImageFormat::of(Path::new("a.png.bak")), None);
    }
}
