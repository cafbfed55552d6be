//! The thread that takes frames, and the handle by which handlers steer it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::commands::{ExposureSet, SetAcquisition, SetExposure};
use super::signals::CameraSignals;
use crate::prelude::*;
use crate::registry::FrameProducer;

/// What a camera takes its frames from.
pub(super) trait FrameSource: Send + 'static {
    /// Takes the next frame into the stream.
    fn take(&mut self, producer: &mut FrameProducer, exposure_ms: f64) -> Taken;
}

/// What became of taking a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is in the stream, or passed over; the next one is due a period later.
    Frame,
    /// There will be no more.
    End,
}

/// Steers the thread that takes frames. Dropping it ends the thread and with it the stream.
pub struct Acquisition {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    controls: Mutex<Controls>,
    changed: Condvar,
    /// The time from frame to frame.
    period: Duration,
}

#[derive(Clone, Copy, Default)]
struct Controls {
    is_on: bool,
    is_ended: bool,
    exposure_ms: f64,
    /// How often the source was asked for a frame and has not come to its end.
    taken: u64,
}

/// Why no frame came.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum NoFrame {
    /// There will be no more; acquisition is as it was before.
    #[error("there are no more frames: the source has come to its end")]
    Ended,
    /// None came in time; acquisition is as it was before.
    #[error("no frame came within {within_ms} ms")]
    Late {
        /// How long was waited, in ms.
        within_ms: u64,
    },
    /// The check was cancelled; acquisition is as it was before.
    #[error("the wait for a frame was cancelled")]
    Cancelled,
}

/// How long a frame that is waited for may take beyond its period.
const FRAME_GRACE: Duration = Duration::from_secs(5);
/// How long to wait for a frame before looking whether it has come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Acquisition {
    /// Starts the thread; `period` is the time from frame to frame, none for as fast as the stream takes them.
    pub(super) fn start(
        source: impl FrameSource,
        (producer, signals): (FrameProducer, Publisher<CameraSignals>),
        period: Option<Duration>,
        is_on: bool,
        exposure_ms: f64,
    ) -> std::io::Result<Self> {
        let controls = Mutex::new(Controls { is_on, is_ended: false, exposure_ms, taken: 0 });
        let shared =
            Arc::new(Shared { controls, changed: Condvar::new(), period: period.unwrap_or_default() });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("acquisition".to_owned())
            .spawn(move || theirs.acquire(source, (producer, signals), period))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Switches it on or off.
    pub fn set_on(&self, on: bool) {
        self.shared.change(|controls| controls.is_on = on);
    }

    /// Waits until one more frame is taken, switched on for that long if need be.
    ///
    /// # Errors
    /// When none is.
    pub fn wait_for_a_frame(&self, context: &Context) -> Result<(), NoFrame> {
        let Controls { is_on, taken, .. } = *self.shared.controls.lock();
        self.set_on(true);
        let came = self.shared.wait_beyond(taken, context);
        self.set_on(is_on);
        came
    }

    /// Sets the exposure of the frames to come, in ms.
    pub fn set_exposure_ms(&self, exposure_ms: f64) {
        self.shared.change(|controls| controls.exposure_ms = exposure_ms);
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        self.shared.change(|controls| controls.is_ended = true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread that takes frames has panicked");
        }
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Controls)) {
        change(&mut self.controls.lock());
        self.changed.notify_all();
    }

    fn acquire(
        &self,
        mut source: impl FrameSource,
        (mut producer, mut signals): (FrameProducer, Publisher<CameraSignals>),
        period: Option<Duration>,
    ) {
        producer.wait_for_start();
        let (mut due, mut last) = (Instant::now(), None);
        while let Some(controls) = self.wait_until(due) {
            if source.take(&mut producer, controls.exposure_ms) == Taken::End {
                return self.change(|controls| controls.is_ended = true);
            }
            self.controls.lock().taken += 1;
            let now = Instant::now();
            let since = last.replace(now).map_or(0.0, |last| (now - last).as_secs_f64());
            let rate_hz = if since > 0.0 { 1.0 / since } else { 0.0 };
            signals.update(|set| *set = CameraSignals { frames_taken: set.frames_taken + 1, rate_hz });
            // A frame that came late does not make the next ones hurry.
            due = period.map_or(due, |period| (due + period).max(Instant::now()));
        }
    }

    /// Waits until more than so many frames are taken.
    fn wait_beyond(&self, taken: u64, context: &Context) -> Result<(), NoFrame> {
        let (begun, within) = (Instant::now(), self.period + FRAME_GRACE);
        loop {
            let controls = *self.controls.lock();
            if controls.taken > taken {
                return Ok(());
            }
            if controls.is_ended {
                return Err(NoFrame::Ended);
            }
            if begun.elapsed() > within {
                return Err(NoFrame::Late { within_ms: within.as_millis() as u64 });
            }
            context.sleep(BETWEEN_LOOKS).map_err(|_| NoFrame::Cancelled)?;
        }
    }

    /// Waits until acquisition is on and the next frame is due; none when it has ended.
    fn wait_until(&self, due: Instant) -> Option<Controls> {
        let mut controls = self.controls.lock();
        loop {
            match *controls {
                Controls { is_ended: true, .. } => return None,
                Controls { is_on: false, .. } => self.changed.wait(&mut controls),
                _ if Instant::now() < due => {
                    self.changed.wait_until(&mut controls, due);
                }
                ready => return Some(ready),
            }
        }
    }
}

/// Kinds whose acquisition can be switched on and off.
#[role]
pub trait Acquires: Manager {
    /// The acquisition of this camera.
    fn acquisition(&mut self) -> &mut Acquisition;

    /// Switches it.
    #[ipc_command]
    fn set_acquisition(&mut self, command: SetAcquisition) {
        self.acquisition().set_on(command.on);
    }
}

/// Kinds whose exposure can be set.
#[role]
pub trait Exposes: Acquires {
    /// Sets it; the stream shows it from the next frame on.
    #[ipc_command]
    fn set_exposure(&mut self, command: SetExposure) -> ExposureSet {
        self.acquisition().set_exposure_ms(command.exposure_ms);
        ExposureSet { exposure_ms: command.exposure_ms }
    }
}
