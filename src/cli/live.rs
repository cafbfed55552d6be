//! What a person sees while a rig runs: a table that stays in place on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table;
use crate::coordinator::RigStatus;

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
        let rates = Some(self.rates(status));
        let status = serde_json::to_value(status).expect("a status holds only plain values");
        match &self.bar {
            Some(bar) => {
                bar.set_message(table::table(&status, &rates, true));
                bar.tick();
                None
            }
            None => Some(table::line(&status, &rates)),
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
