//! What a person sees while a rig runs: a table that stays in place on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::coordinator::{ManagerStatus, RigStatus, StreamStatus};

/// How often the table on a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a plain line is printed.
const REPEAT: Duration = Duration::from_secs(2);

/// Shows a rig's status.
pub(super) struct Live {
    bar: Option<ProgressBar>,
    is_terminal: bool,
    last: Option<(Instant, Vec<u64>)>,
}

impl Live {
    /// A display on standard error; silent when nothing is to be shown.
    pub(super) fn new(display: &MultiProgress, is_terminal: bool, is_silent: bool) -> Self {
        let bar = (is_terminal && !is_silent).then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is well formed");
            display.add(ProgressBar::new_spinner().with_style(style))
        });
        Self { bar, is_terminal, last: None }
    }

    /// How long to wait between two shows.
    pub(super) fn pause(&self) -> Duration {
        if self.is_terminal { REDRAW } else { REPEAT }
    }

    /// Shows the status; returns the line to print where there is no terminal.
    pub(super) fn show(&mut self, status: &RigStatus) -> Option<String> {
        let rates = self.rates(status);
        match &self.bar {
            Some(bar) => {
                bar.set_message(table(status, &rates));
                bar.tick();
                None
            }
            None => Some(line(status, &rates)),
        }
    }

    /// Takes the table away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Frames per second of each stream, since the last look.
    fn rates(&mut self, status: &RigStatus) -> Vec<f64> {
        let now = Instant::now();
        let counts: Vec<u64> = status.streams.iter().map(|stream| stream.published).collect();
        let before = self.last.replace((now, counts.clone()));
        let Some((then, old)) = before else { return vec![0.0; counts.len()] };
        let seconds = (now - then).as_secs_f64().max(1e-3);
        counts.iter().zip(old).map(|(new, old)| new.saturating_sub(old) as f64 / seconds).collect()
    }
}

fn line(status: &RigStatus, rates: &[f64]) -> String {
    let managers: Vec<_> = status.managers.iter().map(|it| format!("{} {}", it.name, it.state)).collect();
    let mut text = format!("{:>6.1} s  {}", status.uptime_s, managers.join(", "));
    for (stream, rate) in status.streams.iter().zip(rates) {
        text.push_str("; ");
        text.push_str(&stream_text(stream, *rate));
    }
    text
}

fn stream_text(stream: &StreamStatus, rate: f64) -> String {
    let mut text = format!("{} {} frames ({rate:.0}/s)", stream.name, stream.published);
    for reader in &stream.readers {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {} {}", reader.manager, reader.taken);
    }
    text
}

fn table(status: &RigStatus, rates: &[f64]) -> String {
    let mut text = format!("\x1b[1m{}\x1b[0m  {:.1} s\n", status.rig, status.uptime_s);
    for manager in &status.managers {
        let _ = writeln!(text, "{}", row(manager));
    }
    for (stream, rate) in status.streams.iter().zip(rates) {
        let _ = writeln!(text, "  {}", stream_text(stream, *rate));
    }
    let totals = &status.totals;
    let _ = write!(text, "  calls: {} accepted, {} ended", totals.accepted, totals.ended());
    text
}

fn row(manager: &ManagerStatus) -> String {
    let colour = match manager.state {
        "ready" | "busy" => "32",
        "failed" => "31",
        _ => "33",
    };
    let about = match &manager.fault {
        // The rest of the table stays in its place, whatever a device has to say.
        Some(why) if manager.state == "absent" => why.chars().take_while(|c| !c.is_control()).collect(),
        _ => format!("pid {:<8} queue {:<5} commands {}", manager.pid, manager.queued, manager.taken),
    };
    let (name, kind, state) = (&manager.name, &manager.kind, manager.state);
    format!("  {name:<14} {kind:<14} \x1b[{colour}m{state:<9}\x1b[0m {about}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::Totals;

    #[test]
    fn a_broadcast_in_flight_counts_as_one_call() {
        let totals = Totals { accepted: 3, done: 1, failed: 1, ..Totals::default() };
        let status = RigStatus {
            rig: "test".to_owned(),
            uptime_s: 1.0,
            managers: Vec::new(),
            streams: Vec::new(),
            totals,
            in_flight: 64,
        };
        assert!(table(&status, &[]).ends_with("calls: 3 accepted, 2 ended"), "{}", table(&status, &[]));
    }

    #[test]
    fn an_absent_manager_shows_why_and_nothing_that_it_has_not() {
        let absent = ManagerStatus {
            name: "stage_z".to_owned(),
            kind: "motor.sim".to_owned(),
            state: "absent",
            pid: 0,
            generation: 1,
            uptime_s: 0.0,
            queued: 0,
            taken: 0,
            throttles: 0,
            fault: Some("could not be set up: no device\non port 3".to_owned()),
        };
        let row = row(&absent);
        assert!(row.ends_with(" could not be set up: no device"), "{row}");
        assert!(row.contains("absent") && !row.contains("pid"), "{row}");
    }
}
