//! Patterns over names: `*` stands for any text, also none, `?` for one character, all else for itself.
//!
//! A pattern is compared with the whole text, without recursion and without memory, in at most as many
//! steps as pattern times text has characters.

use std::fmt;

/// A pattern for names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob(String);

impl Glob {
    /// Takes `pattern` as it is written; every text is a pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut left) = (self.0.chars(), text.chars());
        // Behind the last star, and the text from where it may stand for one character more.
        let mut retry = None;
        loop {
            let here = left.clone();
            match (pattern.next(), left.next()) {
                (Some('*'), _) => {
                    left = here;
                    retry = Some((pattern.clone(), left.clone()));
                }
                (None, None) => return true,
                (Some('?'), Some(_)) => {}
                (Some(expected), Some(found)) if expected == found => {}
                _ => {
                    let Some((behind, longer)) = &mut retry else { return false };
                    if longer.next().is_none() {
                        return false;
                    }
                    (pattern, left) = (behind.clone(), longer.clone());
                }
            }
        }
    }
}

impl Default for Glob {
    /// Every text fits.
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which broadcasts a manager hears: those whose command and whose sender both fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// The command's name.
    pub subject: Glob,
    /// The manager that broadcasts, or `scope`.
    pub sender: Glob,
}

impl Filter {
    /// Whether this broadcast is heard.
    pub fn passes(&self, subject: &str, sender: &str) -> bool {
        self.subject.matches(subject) && self.sender.matches(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pattern(pattern: &str, fits: &[&str], fits_not: &[&str]) {
        let glob = Glob::new(pattern);
        fits.iter().for_each(|text| assert!(glob.matches(text), "`{pattern}` fits `{text}`"));
        fits_not.iter().for_each(|text| assert!(!glob.matches(text), "`{pattern}` does not fit `{text}`"));
    }

    #[test]
    fn a_pattern_is_compared_with_the_whole_text() {
        check_pattern("MoveTo", &["MoveTo"], &["", "Move", "MoveToo", "aMoveTo", "moveto"]);
        check_pattern("", &[""], &["a"]);
    }

    #[test]
    fn a_star_stands_for_any_text_and_for_none() {
        check_pattern("*", &["", "a", "stage_x"], &[]);
        check_pattern("Set*", &["Set", "SetExposure"], &["Se", "ASet"]);
        check_pattern("*_x", &["_x", "stage_x", "_x_x"], &["stage_y", "_x_"]);
        check_pattern("a*b*c", &["abc", "aXbYc", "abbcbc"], &["acb", "ab", "abcd"]);
        check_pattern("**a**", &["a", "bab"], &["", "b"]);
    }

    #[test]
    fn a_question_mark_stands_for_one_character() {
        check_pattern("stage_?", &["stage_x", "stage_µ"], &["stage_", "stage_xy"]);
        check_pattern("?*?", &["ab", "abc"], &["", "a"]);
        check_pattern("*?µ", &["aµ", "µµ"], &["µ", "µa"]);
    }

    #[test]
    fn other_signs_of_other_patterns_stand_for_themselves() {
        check_pattern("[a-z]+.", &["[a-z]+."], &["abc."]);
        check_pattern(r"\*", &[r"\", r"\x"], &["*"]);
    }

    #[test]
    fn a_pattern_of_stars_ends() {
        let text = "a".repeat(5_000);
        check_pattern(&"*a".repeat(200), &[&text], &[]);
        check_pattern(&("*a".repeat(200) + "b"), &[], &[&text]);
    }

    #[test]
    fn a_filter_passes_what_both_patterns_fit() {
        let filter = Filter { subject: Glob::new("Set*"), ..Filter::default() };
        assert!(filter.passes("SetExposure", "scope") && filter.passes("Set", "tracker"));
        assert!(!filter.passes("MoveTo", "scope"));
        let filter = Filter { sender: Glob::new("scope"), ..filter };
        assert!(filter.passes("Set", "scope") && !filter.passes("Set", "tracker"));
    }
}
