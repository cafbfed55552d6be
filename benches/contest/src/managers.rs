//! The commands of the contest, the managers that serve them, and the desk where results arrive.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use harness::payload::{self, shade, sum_of};
use labrig::prelude::*;
use labrig::shm::monotonic_ns;

/// A small typed command, answered by the same with `x + 1`.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Exchange)]
pub(crate) struct Exchange {
    id: u64,
    x: f64,
    name: String,
}

impl From<payload::Exchange> for Exchange {
    fn from(payload::Exchange { id, x, name }: payload::Exchange) -> Self {
        Self { id, x, name }
    }
}

impl From<Exchange> for payload::Exchange {
    fn from(Exchange { id, x, name }: Exchange) -> Self {
        Self { id, x, name }
    }
}

/// The same for everybody at once.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, reply = Exchange)]
pub(crate) struct Tell {
    id: u64,
    x: f64,
    name: String,
}

impl From<payload::Exchange> for Tell {
    fn from(payload::Exchange { id, x, name }: payload::Exchange) -> Self {
        Self { id, x, name }
    }
}

/// A one-way command of 64 bytes.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub(crate) struct Datum {
    id: u64,
    x: f64,
    low: u32,
    high: u32,
    rest: [f64; 5],
}

impl From<payload::Datum> for Datum {
    fn from(payload::Datum { id, x, low, high, rest }: payload::Datum) -> Self {
        Self { id, x, low, high, rest }
    }
}

/// How many [`Datum`] have come since this was last asked.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub(crate) struct HowMany {}

#[derive(Default)]
pub(crate) struct Echo {
    received: u64,
}

impl Manager for Echo {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self::default())
    }
}

#[manager(kind = "echo")]
impl Echo {
    #[ipc_command]
    fn exchange(&mut self, command: Exchange) -> Exchange {
        Exchange { x: command.x + 1.0, ..command }
    }

    #[ipc_command]
    fn tell(&mut self, Tell { id, x, name }: Tell) -> Exchange {
        Exchange { id, x: x + 1.0, name }
    }

    #[ipc_command]
    fn take(&mut self, _command: Datum) {
        self.received += 1;
    }

    #[ipc_command]
    fn how_many(&mut self, _command: HowMany) -> u64 {
        std::mem::take(&mut self.received)
    }
}

/// Sends that many [`Exchange`]s to the echo, and replies how long each took, in nanoseconds.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<u64>)]
pub(crate) struct Ask {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) gap_us: u64,
}

/// Asks the echo on behalf of whoever measures.
pub(crate) struct Asker;

impl Manager for Asker {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "asker")]
impl Asker {
    #[ipc_command]
    fn ask(&mut self, command: Ask, context: &mut Context) -> Result<Vec<u64>, CallError> {
        let one = |id| {
            if command.gap_us > 0 {
                thread::sleep(Duration::from_micros(command.gap_us));
            }
            let begun = Instant::now();
            let answer = context.call(Exchange::from(payload::Exchange::new(id)))?;
            let elapsed = begun.elapsed();
            payload::Exchange::from(answer).check(id);
            Ok(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
        };
        (command.first..command.first + command.count).map(one).collect()
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

    /// Publishing notes the moment at which the frame was filled.
    fn publish(&mut self) -> io::Result<()> {
        let mut slot = self.producer.loan().map_err(io::Error::other)?;
        slot.pixels_mut().fill(shade(self.published));
        slot.publish(Capture { source_index: self.published, ..Capture::default() });
        self.published += 1;
        Ok(())
    }
}

/// How many frames to look at before [`FramesSeen`] is sent, and whether to ask for them one by one.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ())]
pub(crate) struct Expect {
    pub(crate) frames: u32,
    pub(crate) one_by_one: bool,
}

/// What became of the frames.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[command(scope)]
pub(crate) struct FramesSeen {
    /// From the end of filling until a byte of each page was read, per frame.
    pub(crate) done_after_ns: Vec<u64>,
    /// The number of each frame, and the sum of those bytes.
    pub(crate) sums: Vec<(u64, u64)>,
    /// When the last one was done, by the clock of the whole machine.
    pub(crate) last_done_ns: u64,
}

pub(crate) struct Sink {
    expected: Expect,
    seen: FramesSeen,
}

impl Manager for Sink {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { expected: Expect { frames: 0, one_by_one: false }, seen: FramesSeen::default() })
    }
}

#[manager(kind = "sink")]
impl Sink {
    #[ipc_command]
    fn expect(&mut self, command: Expect) {
        self.seen = FramesSeen::default();
        self.expected = command;
    }

    #[on_frame(input = "video")]
    fn look(&mut self, frame: &Frame, context: &mut Context) -> Result<(), Refusal> {
        let sum = sum_of(frame.bytes());
        let done_ns = monotonic_ns();
        self.seen.done_after_ns.push(done_ns.saturating_sub(frame.meta().host_time_ns));
        self.seen.sums.push((frame.meta().source_index, sum));
        self.seen.last_done_ns = done_ns;
        if self.seen.sums.len() >= self.expected.frames as usize {
            context.send(std::mem::take(&mut self.seen))
        } else if self.expected.one_by_one {
            context.send(Another {})
        } else {
            Ok(())
        }
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
