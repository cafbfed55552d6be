//! The commands of the benchmarks, the managers that serve them, and the desk where results arrive.

use std::io;
use std::sync::mpsc::Sender;

use labrig::prelude::*;
use labrig::registry::FrameProducer;
use labrig::shm::{Capture, monotonic_ns};

use crate::placement;

/// A small typed command, answered by the same with `x + 1`.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
#[command(reply = Exchange)]
pub(crate) struct Exchange {
    pub(crate) id: u64,
    pub(crate) x: f64,
    pub(crate) name: String,
}

impl Exchange {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, x: id as f64 * 0.5, name: "sixteen letters.".to_owned() }
    }

    pub(crate) fn answered(self) -> Self {
        Self { x: self.x + 1.0, ..self }
    }
}

/// A one-way command of 64 bytes.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub(crate) struct Datum {
    pub(crate) id: u64,
    pub(crate) x: f64,
    pub(crate) low: u32,
    pub(crate) high: u32,
    pub(crate) rest: [f64; 5],
}

impl Datum {
    pub(crate) fn new(id: u64) -> Self {
        // Varints: these take 10 and 5 bytes, so that the bytes on the pipe do not depend on the count.
        Self { id: id | 1 << 63, x: 0.5, low: u32::MAX, high: u32::MAX, rest: [0.25; 5] }
    }
}

/// How many [`Datum`] have come since this was last asked.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub(crate) struct HowMany {}

/// Answered by everybody with its argument.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = u64)]
pub(crate) struct Tell {
    pub(crate) id: u64,
}

/// The table of an `echo`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct EchoConfig {
    /// The processor it stays on; without it, any.
    cpu: Option<u32>,
}

pub(crate) struct Echo {
    received: u64,
}

impl Manager for Echo {
    type Config = EchoConfig;

    fn setup(config: EchoConfig, _: &mut Context) -> Result<Self, SetupError> {
        config.cpu.map_or(Ok(()), placement::stay_on)?;
        Ok(Self { received: 0 })
    }
}

#[manager(kind = "echo")]
impl Echo {
    #[ipc_command]
    fn exchange(&mut self, command: Exchange) -> Exchange {
        command.answered()
    }

    #[ipc_command]
    fn take(&mut self, _command: Datum) {
        self.received += 1;
    }

    #[ipc_command]
    fn how_many(&mut self, _command: HowMany) -> u64 {
        std::mem::take(&mut self.received)
    }

    #[ipc_command]
    fn tell(&mut self, command: Tell) -> u64 {
        command.id
    }
}

/// Fills and publishes frames: all as fast as slots come free, or one and then one for each [`Another`].
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub(crate) struct Produce {
    pub(crate) frames: u32,
    pub(crate) one_by_one: bool,
}

/// The frame before has been looked at.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub(crate) struct Another {}

/// The table of a `source`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct SourceConfig {
    cpu: Option<u32>,
    width: u32,
    height: u32,
}

pub(crate) struct Source {
    producer: FrameProducer,
    published: u64,
}

impl Manager for Source {
    type Config = SourceConfig;

    fn setup(config: SourceConfig, context: &mut Context) -> Result<Self, SetupError> {
        config.cpu.map_or(Ok(()), placement::stay_on)?;
        let format = FrameFormat::packed(config.width, config.height, PixelType::Gray8);
        Ok(Self { producer: context.producer("video", format)?, published: 0 })
    }
}

#[manager(kind = "source")]
impl Source {
    #[ipc_command]
    fn produce(&mut self, command: Produce) -> io::Result<()> {
        let now = if command.one_by_one { 1 } else { command.frames };
        (0..now).try_for_each(|_| self.publish())
    }

    #[ipc_command]
    fn another(&mut self, _command: Another) -> io::Result<()> {
        self.publish()
    }

    fn publish(&mut self) -> io::Result<()> {
        let mut slot = self.producer.loan().map_err(io::Error::other)?;
        slot.pixels_mut().fill(shade(self.published));
        slot.publish(Capture { source_index: self.published, ..Capture::default() });
        self.published += 1;
        Ok(())
    }
}

/// What a frame or a block is filled with.
pub(crate) fn shade(index: u64) -> u8 {
    index.to_le_bytes()[0]
}

/// How many frames to look at before [`FramesSeen`] is sent, and whether to ask for them one by one.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ())]
pub(crate) struct Expect {
    pub(crate) frames: u32,
    pub(crate) one_by_one: bool,
}

/// What became of the frames.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
pub(crate) struct FramesSeen {
    /// From publishing to the first line of the handler, per frame.
    pub(crate) seen_after_ns: Vec<u32>,
    /// From publishing to a byte of each page read, per frame.
    pub(crate) done_after_ns: Vec<u32>,
    /// When the last one was done, by the clock of the whole machine.
    pub(crate) last_done_ns: u64,
    /// How many had a byte that was not what they were filled with.
    pub(crate) wrong: u32,
}

/// The table of a `sink`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct SinkConfig {
    cpu: Option<u32>,
}

pub(crate) struct Sink {
    expected: Expect,
    seen: FramesSeen,
}

impl Manager for Sink {
    type Config = SinkConfig;

    fn setup(config: SinkConfig, _: &mut Context) -> Result<Self, SetupError> {
        config.cpu.map_or(Ok(()), placement::stay_on)?;
        Ok(Self { expected: Expect { frames: 0, one_by_one: false }, seen: FramesSeen::none() })
    }
}

#[manager(kind = "sink")]
impl Sink {
    #[ipc_command]
    fn expect(&mut self, command: Expect) {
        self.seen = FramesSeen::none();
        self.expected = command;
    }

    #[on_frame(input = "video")]
    fn look(&mut self, frame: &Frame, context: &mut Context) -> Result<(), Refusal> {
        let (published, seen) = (frame.meta().host_time_ns, monotonic_ns());
        let expected = shade(frame.meta().source_index);
        let is_right = frame.bytes().iter().step_by(4096).all(|byte| *byte == expected);
        let done = monotonic_ns();
        self.seen.seen_after_ns.push(elapsed(published, seen));
        self.seen.done_after_ns.push(elapsed(published, done));
        self.seen.wrong += u32::from(!is_right);
        self.seen.last_done_ns = done;
        if self.seen.seen_after_ns.len() >= self.expected.frames as usize {
            context.send(std::mem::replace(&mut self.seen, FramesSeen::none()))
        } else if self.expected.one_by_one {
            context.send(Another {})
        } else {
            Ok(())
        }
    }
}

fn elapsed(from_ns: u64, to_ns: u64) -> u32 {
    u32::try_from(to_ns.saturating_sub(from_ns)).unwrap_or(u32::MAX)
}

impl FramesSeen {
    fn none() -> Self {
        Self { seen_after_ns: Vec::new(), done_after_ns: Vec::new(), last_done_ns: 0, wrong: 0 }
    }
}

/// Passes on what the sink says to whoever measures.
pub(crate) struct Desk {
    pub(crate) seen: Sender<FramesSeen>,
}

#[scope]
impl Desk {
    #[ipc_command]
    fn frames_seen(&mut self, command: FramesSeen) -> io::Result<()> {
        self.seen.send(command).map_err(io::Error::other)
    }
}
