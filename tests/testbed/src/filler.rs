//! `filler`: fills the stream `video` when it is told to, in its handler. `viewer`: keeps the newest of its frames.

use labrig::payload::FrameCopy;
use labrig::prelude::*;

use crate::commands::TestError;

/// Fills so many frames, one after the other; gives their number.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u32)]
pub struct Fill {
    /// How many.
    pub frames: u32,
}

/// See the module's words.
pub struct Filler {
    producer: FrameProducer,
    safe_states: u32,
}

/// How often it has entered its safe state.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u32)]
pub struct HowOftenSafe {}

impl Manager for Filler {
    type Config = ();

    fn setup(_: (), context: &mut Context) -> Result<Self, SetupError> {
        let producer = context.producer("video", FrameFormat::packed(4, 4, PixelType::Gray8))?;
        Ok(Self { producer, safe_states: 0 })
    }

    fn enter_safe_state(&mut self, _: SafeReason) {
        self.safe_states += 1;
    }
}

#[manager(kind = "filler")]
impl Filler {
    #[ipc_command]
    fn fill(&mut self, command: Fill, context: &mut Context) -> Result<u32, LoanError> {
        for frame in 0..command.frames {
            context.progress(f64::from(frame), f64::from(command.frames), "filled");
            let mut slot = self.producer.loan()?;
            slot.pixels_mut().fill(frame.wrapping_add(1) as u8);
            slot.publish(Capture::default());
        }
        Ok(command.frames)
    }

    #[ipc_command]
    fn how_often_safe(&mut self, _command: HowOftenSafe) -> u32 {
        self.safe_states
    }
}

/// The newest frame that was seen.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = FrameCopy)]
pub struct ShowFrame {}

/// See the module's words.
#[derive(Default)]
pub struct Viewer {
    newest: Option<FrameCopy>,
}

impl Manager for Viewer {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

#[manager(kind = "viewer")]
impl Viewer {
    #[on_frame(input = "video")]
    fn look(&mut self, frame: &Frame<'_>) {
        self.newest = FrameCopy::of(frame).ok();
    }

    #[ipc_command]
    fn show_frame(&mut self, _command: ShowFrame) -> Result<FrameCopy, TestError> {
        self.newest.clone().ok_or_else(|| TestError::NoAnswer { why: "no frame was seen".to_owned() })
    }
}
