//! What became of a fault, in words, and whether that is what was promised.

use std::fmt;
use std::path::Path;
use std::time::Duration;

/// See the module's words.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    /// From the command to misbehave until the coordinator knew: the call had ended, or the manager was shown as stuck.
    pub(super) seen: Option<Duration>,
    /// Until the hardware was known to be safe, where the manager was on its way out.
    pub(super) safe: Option<Duration>,
    /// By whom: the manager, or its safe program.
    pub(super) safe_by: &'static str,
    /// Until it worked again, in its old or a new life.
    pub(super) back: Option<Duration>,
    /// Which life it is in then.
    pub(super) generation: u32,
    /// How many commands did not run, or nobody knows whether they did.
    pub(super) lost: u64,
    /// What was not as promised.
    pub(super) broken: Vec<String>,
}

impl Verdict {
    /// Whether everything was as promised.
    pub(super) fn is_kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// Notes what was not as promised, unless it was.
    pub(super) fn demand(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.broken.push(otherwise());
        }
    }
}

fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_kept() { "as promised" } else { "NOT AS PROMISED" };
        write!(f, "{word}: ")?;
        if let Some(seen) = self.seen {
            write!(f, "seen after {}, ", ms(seen))?;
        }
        if let Some(safe) = self.safe {
            write!(f, "safe after {} ({}), ", ms(safe), self.safe_by)?;
        }
        if let Some(back) = self.back {
            write!(f, "back after {} in life {}, ", ms(back), self.generation)?;
        }
        match self.lost {
            0 => write!(f, "lost: nothing")?,
            1 => write!(f, "lost: 1 command")?,
            lost => write!(f, "lost: {lost} commands")?,
        }
        self.broken.iter().try_for_each(|broken| write!(f, "\n    BROKEN: {broken}"))
    }
}

/// The end of the show: how many were as promised, the slowest, and whoever else came to harm.
pub(super) fn summary(verdicts: &[Verdict], others: &[(&str, &str)], run_dir: &Path) -> String {
    let kept = verdicts.iter().filter(|verdict| verdict.is_kept()).count();
    let slowest = |of: fn(&Verdict) -> Option<Duration>| {
        verdicts.iter().filter_map(of).max().map_or_else(|| "–".to_owned(), ms)
    };
    let lost: u64 = verdicts.iter().map(|verdict| verdict.lost).sum();
    let mut lines = vec![
        format!("{kept} of {} faults ended as promised; nobody else was disturbed by them", verdicts.len()),
        format!(
            "at worst: seen after {}, safe after {}, back after {}; lost in all: {lost} commands",
            slowest(|it| it.seen),
            slowest(|it| it.safe),
            slowest(|it| it.back)
        ),
    ];
    if kept < verdicts.len() {
        lines[0] = format!("{kept} of {} faults ended as promised", verdicts.len());
    }
    lines.extend(others.iter().map(|(name, why)| format!("FAILED: {name}: {why}")));
    lines.push(format!("run folder: {}", run_dir.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_what_was_seen_and_what_was_broken() {
        let mut verdict = Verdict {
            seen: Some(Duration::from_micros(310)),
            safe: Some(Duration::from_micros(1_240)),
            safe_by: "its safe program",
            back: Some(Duration::from_millis(140)),
            generation: 3,
            lost: 1,
            broken: Vec::new(),
        };
        let text = "seen after 0.3 ms, safe after 1.2 ms (its safe program), back after 140 ms in life 3, \
                    lost: 1 command";
        verdict.demand(true, || unreachable!("it is as promised"));
        assert_eq!(verdict.to_string(), format!("as promised: {text}"));
        verdict.demand(false, || "`motor` is in its life 2".to_owned());
        let broken = "\n    BROKEN: `motor` is in its life 2";
        assert_eq!(verdict.to_string(), format!("NOT AS PROMISED: {text}{broken}"));
    }

    #[test]
    fn the_summary_counts_what_was_kept() {
        let (kept, mut broken) = (Verdict { lost: 2, ..Verdict::default() }, Verdict::default());
        broken.demand(false, || "it did not come back".to_owned());
        let text = summary(&[kept.clone(), broken], &[("motor", "it died")], Path::new("runs/x"));
        assert!(text.starts_with("1 of 2 faults ended as promised\n"), "{text}");
        assert!(
            text.contains("lost in all: 2 commands\nFAILED: motor: it died\nrun folder: runs/x"),
            "{text}"
        );
        assert!(summary(&[kept], &[], Path::new("x")).contains("nobody else was disturbed"));
    }
}
