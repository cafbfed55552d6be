//! `gauge`: publishes signals as it is told; `onlooker`: reads those of another manager, and says what it saw.

use std::time::Duration;

use labrig::prelude::*;

use crate::commands::TestError;

/// Values that belong together: all of them follow from the first.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct Related {
    /// The number that the others follow from.
    pub count: u64,
    /// Less than nothing by that much.
    pub below: i64,
    /// Multiples of it.
    pub multiples: [f64; 6],
    /// Whether it can be halved.
    pub parity: Parity,
}

/// Whether a number can be halved.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// It can.
    Even,
    /// It cannot.
    Odd,
}

impl Related {
    /// All that follows from a number.
    pub fn to(count: u64) -> Self {
        let multiples = std::array::from_fn(|index| count as f64 * index as f64);
        let parity = if count.is_multiple_of(2) { Parity::Even } else { Parity::Odd };
        Self { count, below: -(count as i64), multiples, parity }
    }

    /// Whether they are of one publication.
    pub fn is_whole(&self) -> bool {
        *self == Self::to(self.count)
    }
}

/// Something that changes on its own.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// How high.
    #[schema(unit = "mm", min = 0, max = 100)]
    pub level_mm: f64,
}

/// A set that no kind declares.
#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
pub struct Undeclared {
    /// Nothing.
    pub nothing: bool,
}

/// Publishes related values, each number up to that; replied to after the last.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
pub struct CountTo {
    /// The last number.
    pub last: u64,
}

/// Publishes a level.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scriptable)]
pub struct SetLevel {
    /// How high.
    #[schema(unit = "mm", min = 0, max = 100)]
    pub level_mm: f64,
}

/// Asks for publishers that there are not; answered with what it is told.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Vec<String>)]
pub struct PublishInVain {}

/// Publishes what it is told.
pub struct Gauge {
    related: Publisher<Related>,
    level: Publisher<Level>,
}

impl Manager for Gauge {
    type Config = ();

    fn setup(_: (), context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self {
            related: context.signals(Related::to(0))?,
            level: context.signals(Level { level_mm: 0.0 })?,
        })
    }
}

#[manager(kind = "gauge", signals(Related, Level))]
impl Gauge {
    #[ipc_command]
    fn count_to(&mut self, command: CountTo) {
        (self.related.last().count + 1..=command.last)
            .for_each(|count| self.related.publish(Related::to(count)));
    }

    #[ipc_command]
    fn set_level(&mut self, command: SetLevel) {
        self.level.update(|now| now.level_mm = command.level_mm);
    }

    #[ipc_command]
    fn publish_in_vain(&mut self, command: PublishInVain, context: &mut Context) -> Vec<String> {
        let PublishInVain {} = command;
        let undeclared = context.signals(Undeclared { nothing: true }).expect_err("it is not declared");
        let taken = context.signals(Related::to(0)).expect_err("it is in use");
        vec![undeclared.to_string(), taken.to_string()]
    }
}

/// Reads a number of a gauge.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Seen)]
pub struct LookAt {
    /// Which signal; a number.
    pub signal: String,
}

/// What was read.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
pub struct Seen {
    /// The value.
    pub value: f64,
    /// Which life of its manager published it.
    pub generation: u32,
    /// Whether that has ended.
    pub is_stale: bool,
}

/// Reads a gauge's related values until their number is that, and says how many publications it has seen.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = u64)]
pub struct LookUntil {
    /// Whose.
    pub manager: String,
    /// The number to stop at.
    pub count: u64,
}

/// Waits until a level is above something, and says how high it was.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = f64)]
pub struct AwaitLevel {
    /// Which signal.
    pub signal: String,
    /// It is to be above that.
    pub above_mm: f64,
    /// For at most so long.
    pub patience_ms: u64,
}

/// The table `[managers.<name>.config]` of an onlooker.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, Default)]
#[serde(default)]
pub struct OnlookerConfig {
    /// A signal that it reads while it is set up.
    pub first: Option<String>,
}

/// Reads what others publish.
pub struct Onlooker {
    height: Option<SignalReader<f64>>,
}

impl Manager for Onlooker {
    type Config = OnlookerConfig;

    fn setup(config: OnlookerConfig, context: &mut Context) -> Result<Self, SetupError> {
        if let Some(first) = config.first {
            context.scope().signal::<f64>(&first)?.read()?;
        }
        Ok(Self { height: None })
    }
}

#[manager(kind = "onlooker")]
impl Onlooker {
    /// The reader of that signal: the one that it has, if it is of that.
    fn reader(&mut self, signal: &str, context: &Context) -> Result<&mut SignalReader<f64>, SignalError> {
        let reader = match self.height.take().filter(|reader| reader.name() == signal) {
            Some(reader) => reader,
            None => context.scope().signal(signal)?,
        };
        Ok(self.height.insert(reader))
    }

    #[ipc_command]
    fn look_at(&mut self, command: LookAt, context: &mut Context) -> Result<Seen, SignalError> {
        let Reading { value, generation, is_stale, .. } = self.reader(&command.signal, context)?.read()?;
        Ok(Seen { value, generation, is_stale })
    }

    #[ipc_command]
    fn look_until(&mut self, command: LookUntil, context: &mut Context) -> Result<u64, TestError> {
        let failed = |error: SignalError| TestError::NoAnswer { why: error.to_string() };
        let mut reader = context.scope().signals::<Related>(&command.manager).map_err(failed)?;
        context.progress(0.0, 0.0, "looks");
        let (mut seen, mut last) = (0, None);
        loop {
            let Reading { value, sequence, .. } = reader.read().map_err(failed)?;
            if !value.is_whole() || last > Some(sequence) {
                return Err(TestError::NoAnswer { why: format!("torn or out of order: {value:?}") });
            }
            seen += u64::from(last != Some(sequence));
            last = Some(sequence);
            if value.count >= command.count || context.is_cancelled() {
                return Ok(seen);
            }
        }
    }

    #[ipc_command]
    fn await_level(&mut self, command: AwaitLevel, context: &mut Context) -> Result<f64, SignalError> {
        let AwaitLevel { signal, above_mm, patience_ms } = command;
        let mut reader = context.scope().signal::<f64>(&signal)?;
        context.progress(0.0, 0.0, "waits");
        let patience = Duration::from_millis(patience_ms);
        reader.wait_until(|level_mm| *level_mm > above_mm, patience).map(|reading| reading.value)
    }
}
