//! What may become a line of the log: without control characters, of bounded length, at a bounded rate.

use std::time::{Duration, Instant};

use log::Level;

/// The longest line, in bytes, with the word that it was cut.
pub(crate) const MAX_LINE_BYTES: usize = 8 * 1024;
/// How many lines of one source are kept in a second.
pub(crate) const MAX_LINES_PER_S: u32 = 2_000;
/// How a line ends that was longer.
const CUT: &str = " … (cut)";

/// Text as one line: a manager can neither begin lines nor move the cursor of whoever reads the log, nor change the
/// direction in which it is read. `is_cut`: it is the beginning of something longer.
pub(crate) fn one_line(text: &str, is_cut: bool) -> String {
    let text = text.trim_end_matches('\r');
    let mut line = String::with_capacity(text.len().min(MAX_LINE_BYTES));
    for character in text.chars() {
        match character {
            '\t' => line.push('\t'),
            evil if evil.is_control() || turns_text(evil) => line.extend(evil.escape_unicode()),
            plain => line.push(plain),
        }
        if line.len() > MAX_LINE_BYTES {
            return cut(line);
        }
    }
    if is_cut { cut(line) } else { line }
}

fn cut(mut line: String) -> String {
    line.truncate(line.floor_char_boundary(MAX_LINE_BYTES - CUT.len()));
    line + CUT
}

/// Whether a character changes where or in which order others are shown.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many lines a source may still add to the log in this second, and how many it wanted to beyond that.
#[derive(Debug)]
pub(crate) struct LineBudget {
    second: Instant,
    lines: u32,
    dropped: u64,
}

impl LineBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { second: now, lines: 0, dropped: 0 }
    }

    /// Whether one more line may be kept; one that may not is counted.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.lines = 0;
        }
        let admits = self.lines < MAX_LINES_PER_S;
        if admits {
            self.lines += 1;
        } else {
            self.dropped += 1;
        }
        admits
    }

    /// How many were dropped since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// What a manager's log records may take: warnings and errors have a budget of their own, so that no flood of small
/// talk drowns them.
#[derive(Debug)]
pub(crate) struct RecordBudget {
    grave: LineBudget,
    others: LineBudget,
}

impl RecordBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { grave: LineBudget::new(now), others: LineBudget::new(now) }
    }

    /// Whether one more record may be kept; and how many were dropped that nobody has been told of.
    pub(crate) fn admits(&mut self, level: Level, now: Instant) -> Option<u64> {
        let budget = if level <= Level::Warn { &mut self.grave } else { &mut self.others };
        budget.admits(now).then(|| budget.take_dropped())
    }

    /// How many were dropped in all since it was last told.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        self.grave.take_dropped() + self.others.take_dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(text: &str, expected: &str) {
        assert_eq!(one_line(text, false), expected);
        assert_eq!(one_line(expected, false), expected, "a line stays what it is");
    }

    #[test]
    fn nothing_in_a_line_moves_the_cursor_or_turns_the_text() {
        check_line("plain µm\tand wide 漢字", "plain µm\tand wide 漢字");
        check_line("a\nforged line\r\nand more\r", "a\\u{a}forged line\\u{d}\\u{a}and more");
        check_line("\x1b[2J\u{9b}1A\x07\x7f\0", "\\u{1b}[2J\\u{9b}1A\\u{7}\\u{7f}\\u{0}");
        check_line("\u{202e}desrever\u{2029}\u{2066}", "\\u{202e}desrever\\u{2029}\\u{2066}");
    }

    #[test]
    fn no_line_is_longer_than_its_bound_whatever_it_is_made_of() {
        for piece in ["x", "µ", "漢", "\x07"] {
            let line = one_line(&piece.repeat(MAX_LINE_BYTES), false);
            assert!(line.len() <= MAX_LINE_BYTES && line.ends_with(CUT) == (piece != "x"), "{piece:?}");
            let line = one_line(&piece.repeat(MAX_LINE_BYTES + 1), false);
            assert!(line.len() <= MAX_LINE_BYTES && line.ends_with(CUT), "{piece:?}: {}", line.len());
            assert!(line.len() > MAX_LINE_BYTES - 32, "{piece:?}: {}", line.len());
        }
        assert_eq!(one_line("the rest went on", true), format!("the rest went on{CUT}"));
    }

    #[test]
    fn what_comes_too_fast_is_counted_and_the_next_second_is_a_new_one() {
        let begin = Instant::now();
        let mut budget = LineBudget::new(begin);
        let kept = (0..MAX_LINES_PER_S + 500).filter(|_| budget.admits(begin)).count();
        assert_eq!((kept, budget.take_dropped()), (MAX_LINES_PER_S as usize, 500));
        assert_eq!(budget.take_dropped(), 0, "it is told once");
        assert!(budget.admits(begin + Duration::from_secs(1)));
    }

    #[test]
    fn a_flood_of_small_talk_does_not_drown_an_error() {
        let now = Instant::now();
        let mut budget = RecordBudget::new(now);
        let kept = (0..MAX_LINES_PER_S + 7).filter(|_| budget.admits(Level::Info, now).is_some()).count();
        assert_eq!(kept, MAX_LINES_PER_S as usize);
        assert_eq!(budget.admits(Level::Error, now), Some(0));
        assert_eq!(budget.admits(Level::Info, now + Duration::from_secs(1)), Some(7), "it is told then");
    }
}
