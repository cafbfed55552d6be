//! A table of comma-separated values, appended row by row.

use std::io;
use std::path::Path;

use super::super::whole_file::WholeFile;
use super::series::Records;

/// Rows on their way into a file, written in one go.
#[derive(Debug, Default)]
pub(super) struct Rows {
    lines: String,
    count: u64,
}

impl Rows {
    /// A single row of such cells.
    pub(super) fn of<C: ToString>(cells: impl IntoIterator<Item = C>) -> Self {
        let mut rows = Self::default();
        rows.add(cells);
        rows
    }

    /// One more row of such cells.
    pub(super) fn add<C: ToString>(&mut self, cells: impl IntoIterator<Item = C>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| quoted(cell.to_string())).collect();
        self.lines += &cells.join(",");
        self.lines.push('\n');
        self.count += 1;
    }
}

/// How a column is headed.
pub(super) fn heading(name: &str, unit: Option<&str>) -> String {
    unit.map_or_else(|| name.to_owned(), |unit| format!("{name} [{unit}]"))
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
    type Record = Rows;
    /// The names of the columns.
    type Heading = Vec<String>;
    const EXTENSION: &'static str = "csv";

    fn create(path: &Path, columns: &Vec<String>) -> io::Result<Self> {
        Ok(Self { file: WholeFile::create(path, Rows::of(columns).lines.as_bytes())? })
    }

    fn append(&mut self, rows: &Rows) -> io::Result<()> {
        self.file.append(&[rows.lines.as_bytes()])
    }

    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn bytes_of(rows: &Rows) -> u64 {
        rows.lines.len() as u64
    }

    fn count_of(rows: &Rows) -> u64 {
        rows.count
    }
}
