//! A table of comma-separated values, appended row by row.

use std::io;
use std::path::Path;

use super::super::whole_file::WholeFile;
use super::series::Records;

/// A row on its way into a file.
#[derive(Debug, Default)]
pub(super) struct Row {
    line: String,
}

impl Row {
    /// A row of such cells.
    pub(super) fn of<C: std::fmt::Display>(cells: impl IntoIterator<Item = C>) -> Self {
        let cells: Vec<_> = cells.into_iter().map(|cell| quoted(cell.to_string())).collect();
        Self { line: cells.join(",") + "\n" }
    }
}

/// Text with a comma, a quote or the end of a line in it is quoted (RFC 4180).
fn quoted(cell: String) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

/// See the module's words.
#[derive(Debug)]
pub(super) struct CsvTable {
    file: WholeFile,
}

impl Records for CsvTable {
    type Record = Row;
    /// The names of the columns.
    type Heading = Vec<String>;
    const EXTENSION: &'static str = "csv";

    fn create(path: &Path, columns: &Vec<String>) -> io::Result<Self> {
        Ok(Self { file: WholeFile::create(path, Row::of(columns).line.as_bytes())? })
    }

    fn append(&mut self, row: &Row) -> io::Result<()> {
        self.file.append(&[row.line.as_bytes()])
    }

    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn bytes_of(row: &Row) -> u64 {
        row.line.len() as u64
    }
}
