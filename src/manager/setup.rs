//! From a fresh process to a manager that is ready: hello, configure, map, set up.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::cancels::Cancels;
use super::dispatch::Dispatch;
use super::inbox::Inbox;
use super::inputs::Inputs;
use super::link::Link;
use super::link_thread::LinkThread;
use super::listening::Woken;
use super::logging;
use super::safety::Safety;
use super::signals::catch_signals;
use super::steps::Steps;
use super::worker::Worker;
use crate::registry::context::Identity;
use crate::registry::producers::Producers;
use crate::registry::{
    Context, Emergency, Instance, KindRegistration, Publications, SettingsKeeper, SetupError, Step, panics,
};
use crate::remote::estate::Home;
use crate::remote::{Port, Scope};
use crate::shm::{
    AddReaderError, Doorbell, Interrupter, LanePair, Producer, Reader, ReaderList, SignalWriter, StatusPage,
    region_words, set_words,
};
use crate::transport::Pipe;
use crate::wire::control::{self, Configure, CoordinatorWord, ManagerWord};
use crate::wire::{CommandSpec, Generation, Kind};

/// The manager never became ready; the coordinator knows why, or is gone.
pub(super) struct SetupFailed;

/// Everything that arrives before the manager is told who it is, and the streams it is given at any time.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) producers: Producers,
    pub(super) interrupters: Vec<Interrupter>,
    pub(super) inputs: Inputs,
    readers_of: BTreeMap<String, ReaderList>,
    publishes: Option<Publications>,
}

pub(super) fn set_up(pipe: Pipe) -> Result<Worker, SetupFailed> {
    let signals = catch_signals().map_err(complain)?;
    let bells = [Doorbell::create().map_err(complain)?, Doorbell::create().map_err(complain)?];
    let link = Arc::new(Link::new(pipe, bells));
    let mut inbox = Inbox::new();
    link.tell(&ManagerWord::Hello { version: env!("CARGO_PKG_VERSION").to_owned() });
    let mut streams = Streams::default();
    let (configure, mut descriptors) = loop {
        let (word, descriptors) = next_word(&link, &mut inbox)?;
        match word {
            CoordinatorWord::Configure(configure) => break (configure, descriptors.into_iter()),
            CoordinatorWord::Quit => return Err(SetupFailed),
            other => streams.take(other, descriptors, &link).map_err(|failure| fail(&link, failure))?,
        }
    };
    if !agrees(&configure, &link) {
        return Err(await_end(&link, &mut inbox));
    }
    logging::install(Arc::clone(&link), configure.log_level);
    link.introduce(configure.clone());
    let (page, urgent) = descriptors
        .next()
        .zip(descriptors.next())
        .ok_or_else(|| fail(&link, SetupError::new("the coordinator sent no status page")))?;
    if let Some(lanes) = descriptors.next() {
        let lanes = LanePair::map(lanes).map_err(|error| fail(&link, error.into()))?;
        link.line().widen(lanes.of_manager());
        link.line().wake_up();
    }
    let page = StatusPage::map(page).map_err(|error| fail(&link, error.into()))?;
    let page = Arc::new(page);
    page.set_pid(std::process::id());
    link.desk().vitals().attach(Arc::clone(&page), configure.watchdog_ms);
    let deadline = Duration::from_millis(configure.safe_deadline_ms);
    let cancels = Arc::new(Cancels::new(Arc::clone(&page), Arc::clone(link.desk())));
    let emergency = Arc::new(Emergency::default());
    let safety = Arc::new(Safety::new(&link, &page, Arc::clone(&cancels), &emergency, deadline));
    let thread = LinkThread {
        link: Arc::clone(&link),
        urgent: Doorbell::from_fd(urgent).map_err(|error| fail(&link, error.into()))?,
        page: Arc::clone(&page),
        safety: Arc::clone(&safety),
        grace: deadline,
        signals,
    };
    let witnesses = thread.start().map_err(|error| fail(&link, error.into()))?;
    let publications =
        streams.publishes.take().unwrap_or_else(|| Publications::given(None, Vec::new(), Vec::new()));
    let mut context = context_of(&configure, &link, &streams, emergency).publishing(publications);
    let opened = Steps::new(&link).mark(Step::SetUp, || open_devices(&configure, &mut context));
    let (instance, settings) = opened.map_err(|error| fail(&link, error))?;
    streams.inputs.bind(&*instance);
    if instance.commands().iter().any(|spec| spec.journaled) {
        context.settle_deeds();
    }
    // Nothing has moved yet.
    page.set_safe(true);
    let dispatch = Dispatch::new(
        Arc::clone(&link),
        page,
        cancels,
        Arc::clone(&safety),
        configure.index,
        &*instance,
        settings,
    );
    witnesses.wait();
    link.tell(&ManagerWord::Ready);
    Ok(Worker::new(link, instance, context, dispatch, streams, safety, inbox))
}

fn complain(error: impl std::fmt::Display) -> SetupFailed {
    // Nobody else can be told yet: standard error goes into the coordinator's log.
    eprintln!("labrig: this manager cannot begin: {error}");
    SetupFailed
}

fn fail(link: &Link, error: SetupError) -> SetupFailed {
    link.tell(&ManagerWord::SetupFailed(error.into_failure()));
    SetupFailed
}

/// Whether this program is the one with which the rig was proved; the coordinator is told in what it is not.
fn agrees(configure: &Configure, link: &Link) -> bool {
    // The coordinator finds the other version in our first word.
    if configure.version != env!("CARGO_PKG_VERSION") {
        return false;
    }
    let own = KindRegistration::find(&configure.kind).map(|kind| (kind.commands)()).unwrap_or_default();
    let differs =
        |spec: &&&CommandSpec| configure.agreed.iter().any(|(path, id)| *path == spec.path && *id != spec.id);
    let Some(other) = own.iter().find(differs) else { return true };
    link.tell(&ManagerWord::Differs { command: other.path.clone(), theirs: other.id });
    false
}

/// Nothing is opened: the coordinator ends this process.
fn await_end(link: &Link, inbox: &mut Inbox) -> SetupFailed {
    while let Ok((word, _)) = next_word(link, inbox) {
        if word == CoordinatorWord::Quit {
            break;
        }
    }
    SetupFailed
}

/// Waits for the next word; commands cannot come before the manager is ready.
fn next_word(link: &Link, inbox: &mut Inbox) -> Result<(CoordinatorWord, Vec<OwnedFd>), SetupFailed> {
    loop {
        if matches!(link.wait_as_worker(inbox, &[], None), Woken::Closed) {
            return Err(SetupFailed);
        }
        let Some(arrived) = inbox.pop().filter(|arrived| arrived.header.kind == Kind::Control) else {
            continue;
        };
        let word = control::open_coordinators(&arrived.payload).map_err(|error| fail(link, error.into()))?;
        if let Some(word) = link.heed_of_values(word) {
            return Ok((word, arrived.descriptors.into_vec()));
        }
    }
}

pub(super) fn context_of(
    configure: &Configure,
    link: &Arc<Link>,
    streams: &Streams,
    emergency: Arc<Emergency>,
) -> Context {
    let identity = Identity {
        rig: configure.rig.clone(),
        manager: configure.manager.clone(),
        generation: Generation(configure.generation),
        run_dir: PathBuf::from(&configure.run_dir),
        state_dir: PathBuf::from(&configure.state_dir),
    };
    let port: Arc<Link> = Arc::clone(link);
    settle_estate(configure, link);
    let (work, vitals) = (Arc::clone(link.desk().work()), Arc::clone(link.desk().vitals()));
    let context = Context::new(identity, Scope::new(port), streams.producers.clone(), work);
    context.of_manager(vitals, emergency).answering_later(link.desk().late())
}

/// Says where the values of this process are.
fn settle_estate(configure: &Configure, link: &Arc<Link>) {
    let (port, waker): (Weak<Link>, Weak<Link>) = (Arc::downgrade(link), Arc::downgrade(link));
    link.estate().settle_at(Home {
        place: configure.index,
        generation: Generation(configure.generation),
        limit: configure.max_remote_values,
        port: port as Weak<dyn Port>,
        // The worker gives back and drops what is to be, between handlers.
        wake: Box::new(move || waker.upgrade().into_iter().for_each(|link| link.bell().ring())),
    });
}

/// Sets the manager up, and gives it its settings.
fn open_devices(
    configure: &Configure,
    context: &mut Context,
) -> Result<(Box<dyn Instance>, Option<SettingsKeeper>), SetupError> {
    let registration = KindRegistration::find(&configure.kind)
        .ok_or_else(|| SetupError::new(format!("this program has no manager kind `{}`", configure.kind)))?;
    let mut opened = None;
    panics::catch(|| {
        let started = (registration.start)(configure.config_json.as_bytes(), context);
        opened = Some(started.and_then(|mut instance| {
            let settings = SettingsKeeper::begin(&mut *instance, context)?;
            Ok((instance, settings))
        }));
        Ok(())
    })
    .map_err(SetupError::of)?;
    opened.expect("a set-up that did not panic has an outcome")
}

impl Streams {
    /// Acts on a word about a stream, or about the page for the manager's signals.
    pub(super) fn take(
        &mut self,
        word: CoordinatorWord,
        descriptors: Vec<OwnedFd>,
        link: &Link,
    ) -> Result<(), SetupError> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(|| SetupError::new("a word came without its memory"));
        match word {
            CoordinatorWord::Produce { stream } => {
                let producer = Producer::map(next()?, Doorbell::from_fd(next()?)?)?;
                self.interrupters.push(producer.interrupter());
                self.readers_of.insert(stream.clone(), producer.readers());
                self.producers.offer(&stream, producer);
                link.tell(&ManagerWord::Mapped { stream });
            }
            CoordinatorWord::AddReader { stream, reader } => {
                let list = self.readers_of.get(&stream);
                let list = list.ok_or_else(|| {
                    SetupError::new(format!("`{reader}` reads `{stream}`, which is not produced here"))
                })?;
                match list.add(next()?, Doorbell::from_fd(next()?)?) {
                    // Whoever has gone already, such as an optional manager that is absent, needs no frames.
                    Ok(_) | Err(AddReaderError::Gone) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            CoordinatorWord::Read { stream, inputs, .. } => {
                let reader =
                    Reader::map(next()?, next()?, Doorbell::from_fd(next()?)?, Doorbell::from_fd(next()?)?)?;
                self.inputs.attach(stream, inputs, reader);
            }
            CoordinatorWord::Publish { sets, objects } => {
                let of_sets = sets.iter().map(|set| set_words(set.words as usize));
                let of_objects = objects.iter().map(|object| region_words(&object.layout));
                let sizes: Vec<_> = of_sets.chain(of_objects).collect();
                let page = SignalWriter::open(next()?, next()?, &sizes)?;
                self.publishes = Some(Publications::given(Some(page), sets, objects));
                link.tell(&ManagerWord::SignalsMapped);
            }
            // Words of the start and the end are the worker's; those of calls never come here.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::manager::tests::Kindness;
    use crate::shm::{CursorMemory, ReadMode, RingMemory};
    use crate::wire::{CommandId, Envelope};

    fn owned(descriptor: impl AsFd) -> OwnedFd {
        descriptor.as_fd().try_clone_to_owned().expect("a descriptor can be doubled")
    }

    /// A manager of labrig's own motor is told so; what it says is not as it should be, if anything.
    fn check_agreement(version: &str, agreed: (&str, CommandId), expected: bool, said: Option<ManagerWord>) {
        let (pipe, coordinator) = Pipe::pair().expect("a pipe");
        let bell = || Doorbell::create().expect("a bell");
        let link = Link::new(pipe, [bell(), bell()]);
        let agreed = vec![(agreed.0.to_owned(), agreed.1)];
        let configure = Configure {
            version: version.to_owned(),
            agreed,
            kind: "motor.sim".to_owned(),
            ..crate::manager::tests::configure(Kindness::default())
        };
        assert_eq!(agrees(&configure, &link), expected, "{version} {:?}", configure.agreed);
        let mut buffer = vec![0; crate::wire::MAX_ENVELOPE_BYTES];
        let heard = coordinator.receive(&mut buffer).ok().map(|packet| {
            let envelope = Envelope::open(&buffer[..packet.length]).expect("an envelope");
            control::open::<ManagerWord>(envelope.payload).expect("a word")
        });
        assert_eq!(heard, said);
    }

    #[test]
    fn a_program_that_differs_from_the_one_that_was_proved_opens_nothing_and_says_in_what() {
        let ours = env!("CARGO_PKG_VERSION");
        let own = (KindRegistration::find("motor.sim").expect("labrig's own motor").commands)();
        let (path, id) = (own[0].path.as_str(), own[0].id);
        let other = CommandId(id.0 ^ 1);
        check_agreement(ours, (path, id), true, None);
        check_agreement(ours, ("rig::Unknown", other), true, None);
        let differs = ManagerWord::Differs { command: path.to_owned(), theirs: id };
        check_agreement(ours, (path, other), false, Some(differs));
        check_agreement("9.8.7", (path, id), false, None);
    }

    #[test]
    fn a_reader_that_went_before_it_was_taken_on_fails_no_set_up() {
        let (pipe, _coordinator) = Pipe::pair().expect("a pipe");
        let bell = || Doorbell::create().expect("a bell");
        let (link, space, data) = (Link::new(pipe, [bell(), bell()]), bell(), bell());
        let ring = RingMemory::create(4, 64).expect("a ring");
        let cursor = CursorMemory::create(&ring, ReadMode::Lossless).expect("a cursor");
        let mut streams = Streams::default();
        let stream = || "video".to_owned();
        let produce = CoordinatorWord::Produce { stream: stream() };
        streams.take(produce, vec![owned(ring.fd()), owned(&space)], &link).expect("a ring to fill");
        cursor.mark_gone(&space);
        let read = CoordinatorWord::AddReader { stream: stream(), reader: "tracker".to_owned() };
        streams.take(read, vec![owned(cursor.fd()), owned(&data)], &link).expect("nobody is missed");
        assert_eq!(streams.readers_of["video"].count(), 0);
    }
}
