//! The manager kind `labrig.recorder`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::book::Book;
use super::commands::{Recorded, SetRecording, WhatIsRecorded};
use super::following::{self, Follower, Following};
use super::keeping::Keeping;
use super::sampling::{Sampler, Sampling, columns};
use super::series::{Limits, Records, Series, Tally};
use super::signals::RecorderSignals;
use super::tiff_stack::{MOST_BYTES, Page, TiffStack};
use crate::prelude::*;
use crate::remote::AnySignal;

/// How often a frame that waits for room in the queue says that it still does.
const SIGN_OF_LIFE: Duration = Duration::from_millis(100);

/// The table `[managers.<name>.config]` of a `labrig.recorder`. Names of files are below the run's folder, and get a number
/// and an ending: `frames-0001.tif`. Name those whose rows are recorded in its `after`, for they must be there when it begins,
/// and in its `outlives`, so that none of their last rows is missing.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[serde(default)]
pub struct RecorderConfig {
    /// What files of frames are called.
    pub frames: String,
    /// Which rows are recorded that managers share, as `manager.object`; their files are called so too.
    pub rows: Vec<String>,
    /// Which signals are recorded, as `manager.signal`.
    pub signals: Vec<String>,
    /// What files of signals are called.
    pub signal_table: String,
    /// How long it is from one row of signals to the next.
    #[schema(unit = "ms", min = 1, max = 3600000)]
    pub signal_period_ms: f64,
    /// How many frames may wait to be written.
    #[schema(min = 1, max = 100000)]
    pub queue_frames: u32,
    /// What becomes of a frame that comes while so many wait.
    pub when_full: WhenFull,
    /// How large a file may become before the next is begun.
    #[schema(unit = "MB", min = 1, max = 4000)]
    pub max_file_mb: u32,
    /// How long a file is written before the next is begun; without it, for ever.
    #[schema(unit = "s", min = 0.1, max = 31536000)]
    pub max_file_s: Option<f64>,
    /// Whether it records from the start.
    pub record_at_start: bool,
}

/// What becomes of a frame that comes while the queue is full.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// It waits, and with it the stream, where the recorder is its `lossless` reader.
    Wait,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            frames: "frames".to_owned(),
            rows: Vec::new(),
            signals: Vec::new(),
            signal_table: "signals".to_owned(),
            signal_period_ms: 100.0,
            queue_frames: 16,
            when_full: WhenFull::Drop,
            max_file_mb: 2000,
            max_file_s: None,
            record_at_start: true,
        }
    }
}

impl RecorderConfig {
    fn limits(&self) -> Limits {
        let bytes = (u64::from(self.max_file_mb) * 1_000_000).min(MOST_BYTES);
        Limits { bytes, age: self.max_file_s.map(Duration::from_secs_f64) }
    }
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The system says no.
    #[error(transparent)]
    System(#[from] io::Error),
    /// There are no such rows.
    #[error(transparent)]
    Rows(#[from] SharedError),
}

/// A recorder.
pub struct Recorder {
    config: RecorderConfig,
    folder: std::path::PathBuf,
    scope: Scope,
    signals: Vec<AnySignal>,
    frame_tally: Arc<Mutex<Tally>>,
    sample_tally: Arc<Mutex<Tally>>,
    /// For each of the rows of the config.
    row_tallies: Vec<Arc<Mutex<Tally>>>,
    /// What is being recorded: nothing while it is off.
    frames: Option<Keeping<Page>>,
    sampling: Option<Sampling>,
    following: Vec<Following>,
    /// Which frame comes next, if none is missing; nothing before the first.
    expected: Option<u64>,
    told: Publisher<RecorderSignals>,
}

impl Manager for Recorder {
    type Config = RecorderConfig;

    fn setup(config: RecorderConfig, context: &mut Context) -> Result<Self, SetupError> {
        let scope = context.scope();
        let signals = config.signals.iter().map(|name| scope.any_signal(name)).collect::<Result<_, _>>()?;
        let mut this = Self {
            folder: context.run_dir().to_owned(),
            scope,
            signals,
            frame_tally: Arc::default(),
            sample_tally: Arc::default(),
            row_tallies: config.rows.iter().map(|_| Arc::default()).collect(),
            frames: None,
            sampling: None,
            following: Vec::new(),
            expected: None,
            told: context.signals(RecorderSignals::default())?,
            config,
        };
        if this.config.record_at_start {
            // Rows that were there before it came are recorded as well.
            this.begin(|rows| rows)?;
        } else {
            this.config.rows.iter().try_for_each(|name| this.scope.rows(name).map(drop))?;
        }
        Ok(this)
    }
}

#[manager(kind = "labrig.recorder", signals(RecorderSignals))]
impl Recorder {
    #[ipc_command]
    fn set_recording(&mut self, command: SetRecording) -> Result<Recorded, RecorderError> {
        if command.on {
            self.begin(RowReader::from_now_on)?;
        } else {
            (self.frames, self.sampling) = (None, None);
            self.following.clear();
        }
        Ok(self.recorded())
    }

    #[ipc_command]
    fn what_is_recorded(&mut self, _command: WhatIsRecorded) -> Recorded {
        self.recorded()
    }

    #[on_frame(input = "video")]
    fn keep(&mut self, frame: &Frame, context: &mut Context) {
        let sequence = frame.meta().sequence;
        // The stream of the producer's next life begins with 0 again.
        let overtaken = self.expected.map_or(0, |expected| sequence.saturating_sub(expected));
        self.expected = Some(sequence + 1);
        let Some(frames) = &self.frames else { return };
        frames.miss(|missing| missing.overtaken += overtaken);
        match spare_page(frames, self.config.when_full, context) {
            Some(mut page) => {
                page.fill(frame);
                frames.put(page);
            }
            None => {
                frames.miss(|missing| missing.queue_full += 1);
                self.scope
                    .report_loss("frames not recorded", &format!("frame {sequence}: the queue is full"));
            }
        }
        let tally = self.frame_tally.lock();
        let (frames_written, frames_missing) = (tally.records, tally.missing.total());
        self.told.publish(RecorderSignals { frames_written, frames_missing });
    }

    fn begin(&mut self, from: impl Fn(RowReader) -> RowReader) -> Result<(), RecorderError> {
        let limits = self.config.limits();
        if self.frames.is_none() {
            self.expected = None;
            let series = Series::<TiffStack>::new(self.folder.join(&self.config.frames), (), limits);
            let book = self.book(series, &self.frame_tally, "frames");
            self.frames = Some(Keeping::start(book, self.config.queue_frames)?);
        }
        if self.sampling.is_none() && !self.signals.is_empty() {
            let prefix = self.folder.join(&self.config.signal_table);
            let series = Series::new(prefix, columns(&self.signals), limits);
            let book = self.book(series, &self.sample_tally, "signals");
            let period = Duration::from_secs_f64(self.config.signal_period_ms / 1e3);
            self.sampling = Some(Sampling::start(Sampler { signals: self.signals.clone(), period, book })?);
        }
        if self.following.is_empty() {
            for (name, tally) in self.config.rows.iter().zip(&self.row_tallies) {
                let rows = from(self.scope.rows(name)?);
                let series = Series::new(self.folder.join(name), following::columns(&rows), limits);
                let book = self.book(series, tally, "rows");
                self.following.push(Following::start(Follower { rows, book })?);
            }
        }
        Ok(())
    }

    fn book<F: Records>(&self, series: Series<F>, tally: &Arc<Mutex<Tally>>, what: &'static str) -> Book<F> {
        Book { series, tally: Arc::clone(tally), scope: self.scope.clone(), what }
    }

    fn recorded(&self) -> Recorded {
        let (frames, samples) = (self.frame_tally.lock().clone(), self.sample_tally.lock().clone());
        let rows: Vec<Tally> = self.row_tallies.iter().map(|tally| tally.lock().clone()).collect();
        let of_rows = |count: fn(&Tally) -> u64| rows.iter().map(count).sum();
        Recorded {
            is_on: self.frames.is_some(),
            frame_files: frames.files,
            frames: frames.records,
            missing: frames.missing,
            signal_rows: samples.records,
            signal_rows_missing: samples.missing.total(),
            shared_rows: of_rows(|tally| tally.records),
            shared_rows_missing: of_rows(|tally| tally.missing.total()),
            last_error: [frames, samples].into_iter().chain(rows).find_map(|tally| tally.last_error),
        }
    }
}

/// A page to be filled; nothing when the queue is full, and remains so while the frame is to be waited for.
fn spare_page(frames: &Keeping<Page>, when_full: WhenFull, context: &Context) -> Option<Page> {
    if when_full == WhenFull::Drop {
        return frames.spare();
    }
    loop {
        if let Some(page) = frames.spare_within(SIGN_OF_LIFE) {
            return Some(page);
        }
        if context.is_cancelled() {
            return None;
        }
        context.extend(SIGN_OF_LIFE * 2);
    }
}
