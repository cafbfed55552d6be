//! What managers and their vendor libraries print: cut into lines, escaped, capped, counted.

use std::io::{ErrorKind, Read};
use std::time::Instant;

use super::lines::{LineBudget, MAX_LINE_BYTES, one_line};

/// How much is read at once, so that a flood from one manager does not hold up the others.
const CHUNK_BYTES: usize = 64 * 1024;

/// One output of one manager.
#[derive(Debug)]
pub(crate) struct Output<R> {
    source: R,
    partial: Vec<u8>,
    is_cutting: bool,
    budget: LineBudget,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<String>,
    /// Lines that came too fast since this was last told.
    pub(crate) dropped: u64,
    /// Nothing more will come.
    pub(crate) is_end: bool,
}

impl<R: Read> Output<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, partial: Vec::new(), is_cutting: false, budget: LineBudget::new(Instant::now()) }
    }

    pub(crate) fn source(&self) -> &R {
        &self.source
    }

    /// Reads what is there, without waiting.
    pub(crate) fn read(&mut self) -> Lines {
        let mut chunk = vec![0; CHUNK_BYTES];
        let (bytes, is_end) = match self.source.read(&mut chunk) {
            Ok(0) => (0, true),
            Ok(bytes) => (bytes, false),
            Err(error) => (0, !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)),
        };
        let mut lines = Vec::new();
        for piece in chunk[..bytes].split_inclusive(|byte| *byte == b'\n') {
            self.take(piece, &mut lines);
        }
        if is_end && !self.partial.is_empty() {
            self.end_line(&mut lines);
        }
        let dropped = if lines.is_empty() && !is_end { 0 } else { self.budget.take_dropped() };
        Lines { lines, dropped, is_end }
    }

    fn take(&mut self, piece: &[u8], lines: &mut Vec<String>) {
        let (text, ends) = match piece.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (piece, false),
        };
        let room = MAX_LINE_BYTES.saturating_sub(self.partial.len());
        self.is_cutting |= text.len() > room;
        self.partial.extend(&text[..text.len().min(room)]);
        if ends {
            self.end_line(lines);
        }
    }

    fn end_line(&mut self, lines: &mut Vec<String>) {
        let is_cut = std::mem::take(&mut self.is_cutting);
        // Asked first: a flood is not worth more than being counted.
        if self.budget.admits(Instant::now()) {
            lines.push(one_line(&String::from_utf8_lossy(&self.partial), is_cut));
        }
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::lines::MAX_LINES_PER_S;

    fn check_lines(input: &[u8], expected: &[&str]) {
        let mut output = Output::new(input);
        let mut all = Vec::new();
        loop {
            let lines = output.read();
            all.extend(lines.lines);
            if lines.is_end {
                break;
            }
        }
        assert_eq!(all, expected);
    }

    #[test]
    fn output_comes_line_by_line_and_the_last_line_needs_no_end() {
        check_lines(b"one\ntwo\r\n\nthree", &["one", "two", "", "three"]);
    }

    #[test]
    fn control_characters_are_escaped_and_bad_utf8_survives() {
        check_lines(b"\x1b[2Jred\x07\xff\n", &["\\u{1b}[2Jred\\u{7}\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; MAX_LINE_BYTES + 5];
        let end = " … (cut)";
        check_lines(&long, &[&format!("{}{end}", "x".repeat(MAX_LINE_BYTES - end.len()))]);
    }

    #[test]
    fn a_flood_is_capped_and_counted() {
        let flood = b"x\n".repeat(MAX_LINES_PER_S as usize + 500);
        let mut output = Output::new(&flood[..]);
        let (mut kept, mut dropped) = (0, 0);
        loop {
            let lines = output.read();
            kept += lines.lines.len() as u64;
            dropped += lines.dropped;
            if lines.is_end {
                break;
            }
        }
        assert!(
            dropped > 0 && kept + dropped == u64::from(MAX_LINES_PER_S) + 500,
            "{kept} kept, {dropped} dropped"
        );
    }
}
