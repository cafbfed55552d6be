//! iceoryx2: publish-subscribe each way with plain structs, frames in memory that it lends; receivers sleep until they
//! are notified, or spin.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use harness::contestant::FRAMES_IN_FLIGHT;
use harness::payload::{shade, sum_of};
use harness::spawn;
use harness::team::{Answer, Far, Message, Near, Seen, now_ns};
use harness::{Datum, Exchange};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};

type Service = ipc::Service;
type Frames = publish_subscribe::PortFactory<Service, [u8], ()>;
type FramePublisher = Publisher<Service, [u8], ()>;

/// How many messages fit between the two sides before the sender waits.
const DEPTH: usize = 1024;

/// Anything that is said, in either direction.
#[derive(Debug, Clone, Copy, Default, ZeroCopySend)]
#[repr(C)]
struct Word {
    tag: u32,
    low: u32,
    high: u32,
    id: u64,
    x: f64,
    rest: [f64; 5],
    name: [u8; 16],
}

const EXCHANGE: u32 = 1;
const DATUM: u32 = 2;
const COUNT: u32 = 3;
const FRAME: u32 = 4;
const OVER: u32 = 5;

impl From<&Message> for Word {
    fn from(message: &Message) -> Self {
        match message {
            Message::Exchange(command) => Self::of_exchange(command),
            Message::Datum(Datum { id, x, low, high, rest }) => {
                Self { tag: DATUM, id: *id, x: *x, low: *low, high: *high, rest: *rest, ..Self::default() }
            }
            Message::HowMany => Self { tag: COUNT, ..Self::default() },
            Message::Frame { .. } => Self { tag: FRAME, ..Self::default() },
        }
    }
}

impl From<&Answer> for Word {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Exchange(answer) => Self::of_exchange(answer),
            Answer::Count(count) => Self { tag: COUNT, id: *count, ..Self::default() },
            Answer::Seen(Seen { sum, done_ns }) => Self {
                tag: FRAME,
                id: *done_ns,
                low: *sum as u32,
                high: (*sum >> 32) as u32,
                ..Self::default()
            },
        }
    }
}

impl Word {
    fn of_exchange(Exchange { id, x, name }: &Exchange) -> Self {
        let name = name.as_bytes().try_into().expect("names have 16 letters");
        Self { tag: EXCHANGE, id: *id, x: *x, name, ..Self::default() }
    }

    fn exchange(self) -> Exchange {
        let name = String::from_utf8(self.name.to_vec()).expect("names are letters");
        Exchange { id: self.id, x: self.x, name }
    }

    /// None for the word that nothing more will come.
    fn message(self) -> Option<Message> {
        match self.tag {
            EXCHANGE => Some(Message::Exchange(self.exchange())),
            DATUM => {
                let Self { id, x, low, high, rest, .. } = self;
                Some(Message::Datum(Datum { id, x, low, high, rest }))
            }
            COUNT => Some(Message::HowMany),
            FRAME => Some(Message::Frame { slot: 0, bytes: 0 }),
            _ => None,
        }
    }

    fn answer(self) -> Answer {
        match self.tag {
            EXCHANGE => Answer::Exchange(self.exchange()),
            COUNT => Answer::Count(self.id),
            _ => {
                let sum = u64::from(self.high) << 32 | u64::from(self.low);
                Answer::Seen(Seen { sum, done_ns: self.id })
            }
        }
    }
}

/// One direction: what carries words, and what wakes for them.
struct Lane {
    words: publish_subscribe::PortFactory<Service, Word, ()>,
    bell: event::PortFactory<Service>,
}

impl Lane {
    fn of(node: &Node<Service>, name: &str) -> Self {
        let name = ServiceName::new(name).expect("it is a name");
        let words = node.service_builder(&name).publish_subscribe::<Word>();
        let words = words.enable_safe_overflow(false).subscriber_max_buffer_size(DEPTH).history_size(0);
        let words =
            words.max_publishers(1).max_subscribers(1).open_or_create().expect("a service can be made");
        let bell = node.service_builder(&name).event().open_or_create().expect("a service can be made");
        Self { words, bell }
    }
}

fn frames_of(node: &Node<Service>, name: &str) -> Frames {
    let name = ServiceName::new(&format!("{name}/frames")).expect("it is a name");
    let frames = node.service_builder(&name).publish_subscribe::<[u8]>().enable_safe_overflow(false);
    let frames = frames.subscriber_max_buffer_size(FRAMES_IN_FLIGHT).history_size(0);
    frames.max_publishers(1).max_subscribers(1).open_or_create().expect("a service can be made")
}

fn node() -> Node<Service> {
    // Signals are for whoever measures.
    let builder = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
    builder.create::<Service>().expect("a node can be made")
}

/// What says something to the other side.
struct Mouth {
    words: Publisher<Service, Word, ()>,
    bell: Option<Notifier<Service>>,
}

impl Mouth {
    fn of(lane: &Lane, spins: bool) -> Self {
        let words =
            lane.words.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let words = words.create().expect("a publisher can be made");
        let bell = || lane.bell.notifier_builder().create().expect("a notifier can be made");
        Self { words, bell: (!spins).then(bell) }
    }

    fn say(&self, word: Word) {
        let sample = self.words.loan_uninit().expect("there is room for a word");
        sample.write_payload(word).send().expect("a word can be sent");
        if let Some(bell) = &self.bell {
            bell.notify().expect("the other side can be notified");
        }
    }
}

/// What hears it.
struct Ear {
    words: Subscriber<Service, Word, ()>,
    bell: Option<Listener<Service>>,
}

impl Ear {
    /// Whoever hears a word can be woken: the bell is there first.
    fn of(lane: &Lane, spins: bool) -> Self {
        let bell = || lane.bell.listener_builder().create().expect("a listener can be made");
        let bell = (!spins).then(bell);
        Self { bell, words: lane.words.subscriber_builder().create().expect("a subscriber can be made") }
    }

    fn hear(&self) -> Word {
        loop {
            if let Some(word) = self.words.receive().expect("words can be received") {
                return *word;
            }
            match &self.bell {
                Some(bell) => drop(bell.blocking_wait(|_| {}).expect("a listener can wait")),
                None => std::hint::spin_loop(),
            }
        }
    }
}

/// The coordinator's side.
pub(crate) struct Ice<const SPINS: bool> {
    name: String,
    is_met: bool,
    down: Lane,
    mouth: Mouth,
    ear: Ear,
    frames: Option<(Frames, FramePublisher)>,
    // The last to go: everything else belongs to it.
    node: Node<Service>,
}

/// Its receivers sleep.
pub(crate) type IceEvent = Ice<false>;
/// Its receivers spin.
pub(crate) type IcePoll = Ice<true>;

impl<const SPINS: bool> Ice<SPINS> {
    /// Waits until the child listens: what is published before is heard by nobody.
    fn meet(&mut self) {
        if !self.is_met {
            wait_for(|| self.down.words.dynamic_config().number_of_subscribers() == 1);
            self.is_met = true;
        }
    }

    fn frames(&mut self, bytes: usize) -> &FramePublisher {
        let (node, name) = (&self.node, &self.name);
        let (_, publisher) = self.frames.get_or_insert_with(|| {
            let frames = frames_of(node, name);
            wait_for(|| frames.dynamic_config().number_of_subscribers() == 1);
            let publisher = frames.publisher_builder().initial_max_slice_len(bytes);
            let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            let publisher = publisher.create().expect("a publisher can be made");
            (frames, publisher)
        });
        publisher
    }
}

fn wait_for(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_micros(50));
    }
}

impl<const SPINS: bool> Near for Ice<SPINS> {
    const ROLE: &'static str = if SPINS { "iceoryx2-poll" } else { "iceoryx2-event" };

    const OWN_FRAMES: bool = true;

    fn open() -> (Self, OwnedFd) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("contest/{}/{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let node = node();
        let (down, up) = (Lane::of(&node, &format!("{name}/down")), Lane::of(&node, &format!("{name}/up")));
        let (mouth, ear) = (Mouth::of(&down, SPINS), Ear::of(&up, SPINS));
        let stdin = spawn::saying(&name);
        (Self { name, is_met: false, down, mouth, ear, frames: None, node }, stdin)
    }

    fn write(&mut self, message: &Message) {
        self.meet();
        self.mouth.say(Word::from(message));
    }

    fn read(&mut self) -> Answer {
        self.ear.hear().answer()
    }

    fn hand_over(&mut self, frame: u64, bytes: usize) -> u64 {
        self.meet();
        let publisher = self.frames(bytes);
        let mut sample = publisher.loan_slice_uninit(bytes).expect("there is room for a frame");
        sample.payload_mut().fill(MaybeUninit::new(shade(frame)));
        let filled_ns = now_ns();
        filled(sample).send().expect("a frame can be sent");
        self.mouth.say(Word { tag: FRAME, ..Word::default() });
        filled_ns
    }
}

type Empty = iceoryx2::sample_mut_uninit::SampleMutUninit<Service, [MaybeUninit<u8>], ()>;
type Filled = iceoryx2::sample_mut::SampleMut<Service, [u8], ()>;

#[expect(unsafe_code, reason = "this is how the library wants to be told that a frame was written in place")]
fn filled(sample: Empty) -> Filled {
    // SAFETY: the only caller has just filled all of it.
    unsafe { sample.assume_init() }
}

impl<const SPINS: bool> Drop for Ice<SPINS> {
    fn drop(&mut self) {
        self.meet();
        self.mouth.say(Word { tag: OVER, ..Word::default() });
    }
}

/// A child's side.
pub(crate) struct IceChild<const SPINS: bool> {
    mouth: Mouth,
    frames: Subscriber<Service, [u8], ()>,
    ear: Ear,
    _node: Node<Service>,
}

impl<const SPINS: bool> Far for IceChild<SPINS> {
    fn inherited() -> Self {
        let name = spawn::told();
        let node = node();
        let (down, up) = (Lane::of(&node, &format!("{name}/down")), Lane::of(&node, &format!("{name}/up")));
        let frames = frames_of(&node, &name).subscriber_builder().create().expect("a subscriber can be made");
        let mouth = Mouth::of(&up, SPINS);
        // The last, as this is what the coordinator waits for.
        let ear = Ear::of(&down, SPINS);
        Self { mouth, frames, ear, _node: node }
    }

    fn read(&mut self) -> Option<Message> {
        self.ear.hear().message()
    }

    fn write(&mut self, answer: &Answer) {
        self.mouth.say(Word::from(answer));
    }

    fn sum(&mut self) -> Option<u64> {
        let frame = self.frames.receive().expect("frames can be received").expect("it came before its word");
        Some(sum_of(frame.payload()))
    }
}
