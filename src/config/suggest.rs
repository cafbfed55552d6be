//! "Did you mean": the known name nearest to one that is not known.

/// The help for an unknown name: the nearest known one, else all of them; `None` when nothing is known.
pub(crate) fn suggestion<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match nearest(unknown, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", quoted_list(known))),
    }
}

/// The known name that `unknown` was most likely meant to be.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = |name: &str| 1.max(name.chars().count().max(unknown.chars().count()) / 3);
    let scored = known.into_iter().filter_map(|name| {
        let distance = if differs_by_words(unknown, name) { 1 } else { distance(unknown, name) };
        (distance <= allowed(name)).then_some((distance, name))
    });
    scored.min().map(|(_, name)| name)
}

/// Whether one is the other with words left out at the end, as when a unit was forgotten.
fn differs_by_words(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    !short.is_empty() && long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['_', '-', '.']))
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (folded(left), folded(right));
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let changed = above[j] + usize::from(a != b);
            let mut best = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

/// The letters that count: case and the kind of dash do not, and no name is longer than this.
fn folded(text: &str) -> Vec<char> {
    let fold = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    text.chars().map(fold).take(80).collect()
}

/// Names in backquotes, as a list that reads like a sentence.
pub(crate) fn quoted_list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_nearest(unknown: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(unknown, known.iter().copied()), expected, "{unknown}");
    }

    #[test]
    fn typing_mistakes_and_forgotten_units_are_recognised() {
        let known = ["watchdog_ms", "max_restarts", "exposure_ms", "kind"];
        check_nearest("watchdog_s", &known, Some("watchdog_ms"));
        check_nearest("max-restart", &known, Some("max_restarts"));
        check_nearest("exposure", &known, Some("exposure_ms"));
        check_nearest("knid", &known, Some("kind"));
        check_nearest("Kind", &known, Some("kind"));
        check_nearest("colour", &known, None);
        check_nearest("", &known, None);
    }

    #[test]
    fn without_a_near_name_all_known_ones_are_listed() {
        assert_eq!(suggestion("zoom", ["b", "a"]).as_deref(), Some("known here: `a` and `b`"));
        assert_eq!(suggestion("zoom", []), None);
    }
}
