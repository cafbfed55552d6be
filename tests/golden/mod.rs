//! Golden outputs: what a person reads, pinned word by word. `LABRIG_BLESS=1` writes them anew.

use std::path::Path;

/// Compares a text with `tests/golden/<name>`.
pub(crate) fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LABRIG_BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden output can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let first = text.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    let cure = "`LABRIG_BLESS=1 cargo test` writes it anew";
    assert!(text == expected, "{} differs, first in {first:?}; {cure}. Found:\n{text}", path.display());
}
