//! What actors do: they produce or read frames, and report what they saw.

use super::super::{Capture, Doorbell, Frame, FrameFormat, PixelType, Producer, Reader, RingOpenError, Wake};
use super::actor::{Link, ROLE_VARIABLE};
use super::shared::write_shared;
use super::signals::publish_signals;
use super::stacks::{publish_until_dead, reserve_until_dead};
use super::subjects::Subject;
use super::{WATCHDOG, row};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A part to play. Each begins by hearing `ring` or `reader` with the descriptors it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Publishes frames as fast as it can.
    Producer(Script),
    /// Reads to the end and says what it saw. Without `spin` it sleeps whenever there is nothing to do.
    Reader { spin: bool },
    /// Takes one frame, says `holding`, and keeps it until it is told to go on; then reads to the end.
    Holder,
    /// Takes a stack, says `holding`, and keeps it until it is told to go on, or to die; then takes one after the other.
    Stacker,
    /// Publishes signals, and dies before that step of its fourth publication; of none, it publishes on and on.
    Gauge { dies_at: Option<usize> },
    /// Writes the history of a shared object, and dies before that step of its last part; of none, it goes on and on.
    Sharer { subject: Subject, before: u64, dies_at: Option<usize> },
}

/// What a producer publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) frames: u64,
    /// The most bytes a frame has.
    pub(super) bytes: u32,
    /// Whether frames change their size.
    pub(super) is_varying: bool,
    /// Whether it looks for a moment before it sleeps.
    pub(super) spin: bool,
}

impl Role {
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Producer(Script { frames, bytes, is_varying, spin }) => {
                format!("producer {frames} {bytes} {} {}", u32::from(is_varying), u32::from(spin))
            }
            Self::Reader { spin } => format!("reader {}", u32::from(spin)),
            Self::Holder => "holder".to_owned(),
            Self::Stacker => "stacker".to_owned(),
            Self::Gauge { dies_at: None } => "gauge".to_owned(),
            Self::Gauge { dies_at: Some(step) } => format!("gauge {step}"),
            Self::Sharer { subject, before, dies_at } => {
                let step = dies_at.map_or(-1, |step| step as i64);
                format!("sharer {} {before} {step}", subject as u8)
            }
        }
    }

    fn from_text(text: &str) -> Self {
        let words: Vec<_> = text.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        match words[0] {
            "producer" => Self::Producer(Script {
                frames: number(1),
                bytes: number(2) as u32,
                is_varying: number(3) == 1,
                spin: number(4) == 1,
            }),
            "reader" => Self::Reader { spin: number(1) == 1 },
            "holder" => Self::Holder,
            "stacker" => Self::Stacker,
            "gauge" => Self::Gauge { dies_at: words.get(1).map(|_| number(1) as usize) },
            "sharer" => Self::Sharer {
                subject: Subject::ALL[number(1) as usize],
                before: number(2),
                dies_at: words[3].parse().ok(),
            },
            unknown => panic!("no role `{unknown}`"),
        }
    }
}

/// What a reader saw; travels as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) frames: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Frames whose number was not the one after the last.
    pub(super) jumps: u64,
    /// Frames whose number was not above the last.
    pub(super) disorder: u64,
    /// Frames that did not consist of one value throughout, or not of the right one.
    pub(super) torn: u64,
}

impl Seen {
    pub(super) fn from_text(text: &str) -> Self {
        let mut numbers = text.split(' ').map(|word| word.parse().expect("a number"));
        let mut next = || numbers.next().expect("six numbers");
        Self { frames: next(), first: next(), last: next(), jumps: next(), disorder: next(), torn: next() }
    }

    fn to_text(self) -> String {
        let Self { frames, first, last, jumps, disorder, torn } = self;
        format!("{frames} {first} {last} {jumps} {disorder} {torn}")
    }

    fn note(&mut self, frame: &Frame<'_>) {
        let meta = frame.meta();
        if self.frames == 0 {
            self.first = meta.sequence;
        } else {
            self.jumps += u64::from(meta.sequence != self.last + 1);
            self.disorder += u64::from(meta.sequence <= self.last);
        }
        self.frames += 1;
        self.last = meta.sequence;
        let is_good = frame.bytes().iter().all(|byte| *byte == meta.sequence as u8)
            && meta.source_index == meta.sequence + 1
            && meta.bytes == frame.bytes().len() as u64
            && frame.is_whole();
        self.torn += u64::from(!is_good);
    }
}

#[test]
fn a_child_process_plays_its_role() {
    // In an ordinary run of the tests nobody asks for a role.
    let Ok(text) = std::env::var(ROLE_VARIABLE) else { return };
    let link =
        std::io::stdin().as_fd().try_clone_to_owned().expect("the parent gave a socket as standard input");
    play(Role::from_text(&text), Link::over(link));
}

pub(super) fn play(role: Role, link: Link) {
    match role {
        Role::Producer(script) => produce(&link, script),
        Role::Reader { spin } => read(&link, spin),
        Role::Holder => hold(&link),
        Role::Stacker => stack(&link),
        Role::Gauge { dies_at } => publish_signals(&link, dies_at),
        Role::Sharer { subject, before, dies_at } => write_shared(&link, subject, before, dies_at),
    }
}

/// After how many steps whoever hears that is to die.
fn steps_in(text: &str) -> usize {
    text.strip_prefix("die ").and_then(|steps| steps.parse().ok()).expect("a number")
}

fn next_fds<const N: usize>(link: &Link) -> Option<[OwnedFd; N]> {
    let (_, fds) = link.hear()?;
    Some(fds.try_into().expect("as many descriptors as the role needs"))
}

fn accept(fd: OwnedFd) -> Doorbell {
    Doorbell::from_fd(fd).expect("it is a doorbell")
}

/// The format of the frame with this number: every size from one byte up, in rows of up to three.
fn format_of(sequence: u64, script: Script) -> FrameFormat {
    let Script { bytes, is_varying, .. } = script;
    if !is_varying {
        return row(bytes);
    }
    let height = 1 + (sequence % 3) as u32;
    let width = 1 + (sequence.wrapping_mul(2_654_435_761) % u64::from(bytes / height)) as u32;
    FrameFormat::packed(width, height, PixelType::Gray8)
}

/// Hears `ring`, then `reader` for each reader and `one` for each single frame, then `go`, or `die` and after how many
/// steps; says `mapped`, `added` each time, and `done`.
fn produce(link: &Link, script: Script) {
    let Some([ring, space]) = next_fds(link) else { return };
    let mut producer = Producer::map(ring, accept(space)).expect("the ring is fresh");
    if !script.spin {
        producer = producer.with_spin(Duration::ZERO);
    }
    link.say("mapped", &[]);
    while let Some((text, fds)) = link.hear() {
        match text.as_str() {
            "go" => break,
            "one" => publish(&mut producer, script),
            text if text.starts_with("die ") => {
                publish_until_dead(&mut producer, row(script.bytes), steps_in(text))
            }
            _ => {
                let [cursor, data] = fds.try_into().expect("a cursor and a bell");
                producer.readers().add(cursor, accept(data)).expect("there is room");
                link.say("added", &[]);
            }
        }
    }
    while producer.published() < script.frames {
        publish(&mut producer, script);
    }
    producer.end();
    link.say("done", &[]);
    let _ = link.hear();
}

fn publish(producer: &mut Producer, script: Script) {
    let sequence = producer.published();
    let mut slot = match producer.loan_timeout(format_of(sequence, script), WATCHDOG) {
        Ok(slot) => slot,
        Err(error) => panic!("watchdog: {error}"),
    };
    slot.pixels_mut().fill(sequence as u8);
    let capture = Capture { exposure_us: 0.5, device_time_ns: sequence, source_index: sequence + 1 };
    assert_eq!(slot.publish(capture), sequence);
}

fn map_reader(link: &Link) -> Option<Reader> {
    let [ring, cursor, data, space] = next_fds(link)?;
    let reader: Result<_, RingOpenError> = Reader::map(ring, cursor, accept(data), accept(space));
    link.say("mapped", &[]);
    Some(reader.expect("the ring is sealed and the cursor fresh"))
}

fn read(link: &Link, spin: bool) {
    let Some(mut reader) = map_reader(link) else { return };
    if !spin {
        reader = reader.with_spin(Duration::ZERO);
    }
    link.say(&read_to_the_end(&mut reader, Seen::default()).to_text(), &[]);
    let _ = link.hear();
}

fn hold(link: &Link) {
    let Some(mut reader) = map_reader(link) else { return };
    assert_eq!(reader.wait(WATCHDOG), Ok(Wake::News), "watchdog");
    let frame = reader.next().expect("there was news");
    let mut seen = Seen::default();
    link.say("holding", &[]);
    if link.hear().is_none() {
        return;
    }
    seen.note(&frame);
    drop(frame);
    link.say(&read_to_the_end(&mut reader, seen).to_text(), &[]);
    let _ = link.hear();
}

fn stack(link: &Link) {
    let Some(mut reader) = map_reader(link) else { return };
    let held = reader.stack(4, WATCHDOG).expect("they come");
    link.say("holding", &[]);
    let Some((text, _)) = link.hear() else { return };
    assert!(held.frames().all(|frame| frame.is_whole()), "torn");
    drop(held);
    if text.starts_with("die ") {
        reserve_until_dead(&reader, steps_in(&text));
    }
    while let Ok(held) = reader.stack(4, WATCHDOG) {
        assert!(held.frames().all(|frame| frame.is_whole()), "torn");
    }
}

fn read_to_the_end(reader: &mut Reader, mut seen: Seen) -> Seen {
    loop {
        while let Some(frame) = reader.next() {
            seen.note(&frame);
        }
        match reader.wait(WATCHDOG).expect("a reader can sleep") {
            Wake::News => {}
            Wake::Ended(_) => return seen,
            other => panic!("watchdog: {other:?}"),
        }
    }
}
