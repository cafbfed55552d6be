//! `tracks.csv`: one row per particle, appended frame by frame.
//!
//! A frame is written whole or not at all: when an append fails, the file is taken back to the last whole
//! frame, so that it can be read whatever happens later.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::super::whole_file::WholeFile;
use super::locate::Feature;

const HEADER: &str = "frame,x_px,y_px,mass,size_px,eccentricity,signal,raw_mass\n";

/// The table of a run.
#[derive(Debug)]
pub(super) struct Table {
    file: WholeFile,
    rows: String,
}

impl Table {
    /// Creates the file with its heading.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: WholeFile::create(path, HEADER.as_bytes())?, rows: String::new() })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Appends the particles of a frame.
    pub(super) fn append(&mut self, frame: u64, features: &[Feature]) -> io::Result<()> {
        self.rows.clear();
        for it in features {
            let Feature { x_px, y_px, mass, size_px, eccentricity, signal, raw_mass } = it;
            // Writing to a String cannot fail.
            let _ = writeln!(
                self.rows,
                "{frame},{x_px:.6},{y_px:.6},{mass:.6},{size_px:.6},{eccentricity:.6},{signal:.6},{raw_mass:.6}"
            );
        }
        self.file.append(&[self.rows.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(x_px: f64) -> Feature {
        Feature { x_px, y_px: 2.5, mass: 3.0, size_px: 1.5, eccentricity: 0.25, signal: 9.0, raw_mass: 100.0 }
    }

    #[test]
    fn a_table_has_a_heading_and_a_row_per_particle() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tracks.csv");
        let mut table = Table::create(&path).expect("a table");
        table.append(0, &[feature(1.0), feature(2.0)]).expect("room");
        table.append(1, &[]).expect("room");
        let text = std::fs::read_to_string(&path).expect("the table");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], HEADER.trim_end());
        assert_eq!(lines[1], "0,1.000000,2.500000,3.000000,1.500000,0.250000,9.000000,100.000000");
        assert_eq!(lines.len(), 3);
    }
}
