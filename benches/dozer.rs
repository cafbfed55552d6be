//! The manager whose calls take long: they sleep until they are cancelled, or stream their reply.

use std::hint;
use std::time::Duration;

use labrig::prelude::*;
use labrig::shm::monotonic_ns;

use crate::managers::shade;
use crate::placement;

/// What a `Doze` that nobody cancels takes.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Reports that it has begun, does nothing for a minute or until it is cancelled, and answers when it noticed,
/// in ns of the clock of the whole machine.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub(crate) struct Doze {
    /// Whether it keeps its processor busy and asks again and again, instead of sleeping.
    pub(crate) computes: bool,
}

/// Answered by so many numbers: 0, 1, 2 …
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ReplyStream<f64>)]
pub(crate) struct PourNumbers {
    pub(crate) count: u32,
}

/// Answered by so many blocks of [`BLOCK_BYTES`], each filled with its [`shade`].
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = ReplyStream<Vec<u8>>)]
pub(crate) struct PourBlocks {
    pub(crate) count: u32,
}

/// The size of a block.
pub(crate) const BLOCK_BYTES: usize = 8192;

fn block(index: u32) -> Vec<u8> {
    vec![shade(u64::from(index)); BLOCK_BYTES]
}

/// The table of a `dozer`.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub(crate) struct DozerConfig {
    /// The processor it stays on; without it, any.
    cpu: Option<u32>,
}

pub(crate) struct Dozer;

impl Manager for Dozer {
    type Config = DozerConfig;

    fn setup(config: DozerConfig, _: &mut Context) -> Result<Self, SetupError> {
        config.cpu.map_or(Ok(()), placement::stay_on)?;
        Ok(Self)
    }
}

#[manager(kind = "dozer")]
impl Dozer {
    #[ipc_command]
    fn doze(&mut self, command: Doze, context: &mut Context) -> u64 {
        context.progress(0.0, 1.0, "dozing");
        if command.computes {
            while !context.is_cancelled() {
                hint::spin_loop();
            }
        } else {
            // Whether it was cancelled shows in the time that it answers.
            let _ = context.sleep(A_MINUTE);
        }
        monotonic_ns()
    }

    #[ipc_command]
    fn pour_numbers(&mut self, command: PourNumbers) -> ReplyStream<f64> {
        ReplyStream::new((0..command.count).map(f64::from))
    }

    #[ipc_command]
    fn pour_blocks(&mut self, command: PourBlocks) -> ReplyStream<Vec<u8>> {
        ReplyStream::new((0..command.count).map(block))
    }
}
