//! Rows of cells as people read them: each column as wide as its widest cell.

/// The rows under each other, two spaces between their cells, which begin below each other or end so.
pub(crate) fn in_columns<R: AsRef<[String]>>(rows: &[R], ends_below: impl Fn(usize) -> bool) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        let row = row.as_ref();
        widths.resize(widths.len().max(row.len()), 0);
        let wider = widths.iter_mut().zip(row);
        wider.for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let cell = |(column, cell): (usize, &String)| match (ends_below(column), widths[column]) {
        (true, width) => format!("{cell:>width$}"),
        (false, width) => format!("{cell:width$}"),
    };
    let line = |row: &R| {
        let cells: Vec<_> = row.as_ref().iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
